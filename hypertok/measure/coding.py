"""How a model reads and writes text: text to ids and back, as its folder's tokenizer does it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from hypertok.artifact import MANIFEST, read_manifest
from hypertok.errors import InputError, first_line
from hypertok.model.config import refuse_adapter
from hypertok.model.extra import require_train
from hypertok.tokenizer.hyper import HyperTokenizer
from hypertok.tokenizer.kind import DELTA, EXTEND_MODEL, KIND, delta_ids, only_read, read_table, symbol_text
from hypertok.tokenizer.plain import ids_before, read_plain
from hypertok.tokenizer.spelling import Spelling
from hypertok.tokenizer.stock_file import read_side_file, text_config_of


@dataclass(frozen=True)
class Coding:
    """How a model reads and writes text.

    Attributes:
        encode: ids of a text, with no special tokens around it.
        decode: the text of ids, special tokens left out.
        start: ids before every text (BOS): what the tokenizer itself puts there; where it puts nothing, the model's
            `bos_token_id` or else `eos_token_id` (which Qwen puts between documents in training), so that the first
            token of a text has something to be predicted from. Empty when the model names neither.
        new_ids: ids of the new units; empty for a stock model.
        spelling: reads what the units are in stock tokens; None where there are none, or they are of symbol text.
        only_read: the units were trained to be read only (`train --reading`).
    """

    encode: Callable[[str], list[int]]
    decode: Callable[[Sequence[int]], str]
    start: tuple[int, ...] = ()
    new_ids: frozenset[int] = frozenset()
    spelling: Callable[[], Spelling] | None = None
    only_read: bool = False

    def continuation(self, prompt: Sequence[int], ids: Sequence[int]) -> str:
        """The text that `ids` add after `prompt`; decoders that strip the first space would spoil it alone."""
        return self.decode([*prompt, *ids])[len(self.decode(prompt)) :]


def load_coding(folder: Path | str) -> Coding:
    """The coding of a model folder: HyperTokenizer for symbol text, tokenizer.json, or what AutoTokenizer finds.

    Raises:
        InputError: no model or no tokenizer there, or a damaged tokenizer.json.
        ArtifactError: the folder was made by `hypertok extend` and is damaged.
    """
    folder = Path(folder)
    config = _config_of(folder)
    if not (folder / "tokenizer.json").is_file():
        return _auto_coding(folder, config)
    raw = _raw_tokenizer(folder / "tokenizer.json")
    start, new_ids = ids_before(raw) or _named_start(config), delta_ids(folder)
    recipe = _recipe(folder)
    if symbol_text(recipe):
        hyper = HyperTokenizer.from_pretrained(folder)
        return Coding(hyper.encode, lambda ids: hyper.decode(ids, skip_special_tokens=True), start, new_ids)
    return Coding(
        lambda text: list(raw.encode(text, add_special_tokens=False).ids),
        lambda ids: raw.decode(list(ids), skip_special_tokens=True),
        start,
        new_ids,
        (lambda: Spelling.of(read_table(folder / DELTA))) if new_ids else None,
        only_read(recipe),
    )


def encode_checked(
    encode: Callable[[str], list[int]], text: str, rows: int, model: str
) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Ids of a text, shape (tokens,).

    Args:
        model: its folder or name, for messages.

    Raises:
        InputError: an id has no row in the model.
    """
    ids = np.asarray(encode(text), np.int64)
    if len(ids) and int(ids.max()) >= rows:
        raise InputError(
            f"{model}: token {int(ids.max())} of the text has no row, the model has {rows}: model and tokenizer do not "
            "belong together; take the tokenizer that came with the model, or for an extended one make the folder "
            f"again with: {EXTEND_MODEL}"
        )
    return ids


def _config_of(folder: Path) -> dict[str, Any]:
    refuse_adapter(folder)
    if not (folder / "config.json").is_file():
        raise InputError(
            f"{folder}: no config.json, so no model of transformers; name the folder of a model (a tokenizer alone is "
            "measured by: hypertok curve, hypertok tokens)"
        )
    return read_side_file(folder / "config.json")


def _raw_tokenizer(path: Path) -> Tokenizer:
    try:
        return read_plain(path)
    except Exception as error:  # the library raises nothing more specific
        raise InputError(
            f"{path}: no tokenizer that can be loaded ({first_line(error)}); copy it again from where the model came "
            f"from, or make the folder again with: {KIND.command}"
        ) from error


def _recipe(folder: Path) -> dict[str, Any]:
    """How an extended folder was made; empty for any other.

    Raises:
        ArtifactError: its manifest is damaged, or newer than this program.
    """
    ours = (folder / DELTA).is_file() and (folder / MANIFEST).is_file()
    return read_manifest(folder, KIND).recipe if ours else {}


def _named_start(config: dict[str, Any]) -> tuple[int, ...]:
    for name in ("bos_token_id", "eos_token_id"):
        value = config.get(name, text_config_of(config).get(name))
        value = value[0] if isinstance(value, list) and value else value
        if isinstance(value, int):
            return (value,)
    return ()


def _auto_coding(folder: Path, config: dict[str, Any]) -> Coding:
    require_train()
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise InputError(
            f"{folder}: no tokenizer that can be loaded ({first_line(error)}); put its tokenizer.json there"
        ) from error
    plain = tokenizer("x", add_special_tokens=False)["input_ids"]
    with_special = tokenizer("x")["input_ids"]
    put = list(takewhile(lambda one: one != plain[0], with_special)) if plain else []
    return Coding(
        lambda text: list(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]),
        lambda ids: str(tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)),
        tuple(put) or _named_start(config),
        delta_ids(folder),
    )
