"""The model under measurement: a causal language model of transformers, and text to ids and back as it reads text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from inspect import signature
from itertools import takewhile
from pathlib import Path
from typing import Any, Literal

import numpy as np
from tokenizers import Tokenizer

from hypertok.artifact import read_manifest
from hypertok.errors import ArtifactError, InputError, first_line
from hypertok.model.config import position_rows, refuse_adapter
from hypertok.model.extra import require_train
from hypertok.tokenizer.hyper import HyperTokenizer
from hypertok.tokenizer.kind import DELTA, KIND, delta_ids, only_read, read_table, symbol_text
from hypertok.tokenizer.plain import ids_before, read_plain
from hypertok.tokenizer.spelling import Spelling
from hypertok.tokenizer.stock_file import read_side_file, text_config_of

Dtype = Literal["auto", "float32", "bfloat16", "float16"]
#: What helps where the GPU is full.
LIGHTER = "free it of other programs, or measure in bfloat16 or on the CPU (dtype, device)"


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


@dataclass(frozen=True)
class Subject:
    """A model with its coding; `folder` is where they came from, None for a live model."""

    model: Any = field(repr=False)
    coding: Coding
    folder: Path | None = None

    @property
    def rows(self) -> int:
        """Rows of the embedding matrix."""
        return int(self.model.get_input_embeddings().weight.shape[0])

    @property
    def positions(self) -> int | None:
        """Tokens that the model can read at all; see `position_rows`."""
        return position_rows(self.model.config)

    @property
    def name(self) -> str:
        """For messages."""
        return str(self.folder or type(self.model).__name__)

    def ids(self, text: str) -> list[int]:
        """Ids of a text, those before every text included.

        Raises:
            InputError: see `encode_checked`.
        """
        return [*self.coding.start, *encode_checked(self.coding.encode, text, self.rows, self.name).tolist()]

    def require_room(self, prompts: Sequence[Sequence[int]], tokens: int, what: str, remedy: str) -> None:
        """See that the model can go on from each of the prompts by so many tokens.

        Raises:
            InputError: it cannot.
        """
        longest = max(map(len, prompts)) + tokens - 1  # the last token is not read again
        require_positions(self.positions, longest, what, remedy)


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


def load_subject(
    folder: Path | str, *, device: str = "auto", dtype: Dtype = "auto", coding: Coding | None = None
) -> Subject:
    """Load a model folder, extended or any other of transformers, for measuring.

    Args:
        device: "cpu", "cuda" …; "auto" takes a GPU where there is one.
        dtype: "auto" computes in the type of the checkpoint.
        coding: read text so, instead of what `load_coding` finds.

    Raises:
        InputError: an extra is not installed, no model there or a damaged one, one without rows for its new units, or
            no such device.
    """
    require_train()
    from hypertok.model.load import load_model
    from hypertok.model.shard import WeightFile

    folder, device = Path(folder), device_of(device)
    for path in sorted(folder.glob("model*.safetensors")):
        WeightFile.open(path)  # names a file that is cut off
    coding = coding or load_coding(folder)
    try:
        model = load_model(folder, dtype)
    except ImportError as error:  # of a quantised model, whose package is in no extra
        raise InputError(
            f"{folder}: transformers lacks a package for this model ({first_line(error)}); install it, or take the "
            "model's original checkpoint"
        ) from error
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"{folder}: no model that transformers loads ({first_line(error)}); give a folder with config.json and "
            "model*.safetensors"
        ) from error
    subject = Subject(model.to(device), coding, folder)
    if coding.new_ids and max(coding.new_ids) >= subject.rows:
        raise InputError(
            f"{folder}: the tokenizer's new unit {max(coding.new_ids)} has no row, the model has {subject.rows}; the "
            "two do not belong together, make the folder again with: hypertok extend MODEL_DIR notes.lexicon -o OUTPUT"
        )
    if beyond := [one for one in coding.start if not 0 <= one < subject.rows]:
        raise InputError(
            f"{folder}: the id {beyond[0]} before every text has no row, the model has {subject.rows}; correct "
            '"bos_token_id" in config.json, or take the tokenizer that belongs to the model'
        )
    return subject


def without_bars() -> None:
    """Keep transformers from drawing progress bars of its own while it loads."""
    from transformers.utils import logging

    library: Any = logging
    library.disable_progress_bar()


def device_of(name: str) -> str:
    """A device of torch that can be used; "auto" is the GPU where there is one.

    A CUDA device is looked up, not tried: a context of this process would take memory, or the whole GPU where it is
    exclusive, from the process that measures memory.

    Raises:
        InputError: no such device, or not on this machine.
    """
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        if device.type != "cuda":
            torch.zeros(1, device=device).item()
            return name
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) < count:
            return name
        reason = f"torch {torch.__version__} finds {count} CUDA GPUs"
    except (RuntimeError, AssertionError, ImportError) as error:
        reason = first_line(error)
    raise InputError(
        f"device {name!r} cannot be used here ({reason}); give cpu, cuda, cuda:1 …, mps, or auto for the GPU where "
        "there is one, and install the build of torch that your GPU needs"
    )


def wait_for(device: Any) -> None:
    """Wait until a GPU has done what it was given: it works on while Python goes on, and a clock would stop early."""
    import torch

    kind = torch.device(device).type
    if kind == "cuda":
        torch.cuda.synchronize(device)
    elif kind == "mps":
        torch.mps.synchronize()


def require_positions(positions: int | None, tokens: int, what: str, remedy: str) -> None:
    """Refuse what is longer than a model's positions before it ends in an IndexError of torch.

    Raises:
        InputError: `what` needs more tokens than there are positions.
    """
    if positions is not None and tokens > positions:
        raise InputError(f"{what} needs {tokens:,} tokens, more than the model's {positions:,} positions; {remedy}")


def last_logits(model: Any) -> dict[str, int]:
    """Arguments for the last position's logits only: those of a whole text would be larger than all else."""
    return {"logits_to_keep": 1} if "logits_to_keep" in signature(model.forward).parameters else {}


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
            "again with: hypertok extend MODEL_DIR notes.lexicon -o OUTPUT"
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
    """How an extended folder was made; empty for any other."""
    try:
        return read_manifest(folder, KIND).recipe
    except ArtifactError:
        return {}


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
