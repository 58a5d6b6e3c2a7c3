"""A model and its tokenizer in one folder, checked to belong together: what training and merging begin from.

The folder is an extended one (made by `hypertok extend` from a model with weights) or a stock one, which has no new
rows; both are used alike, so that a stock model can be trained as the arm that an extended one is compared with.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from hypertok.artifact import MANIFEST, Kind, Manifest, kind_of, open_checked, sha256_of
from hypertok.errors import InputError
from hypertok.model.checkpoint import CONFIG, Checkpoint
from hypertok.model.constituents import Constituents
from hypertok.model.load import load_model
from hypertok.tokenizer.hyper import HyperTokenizer
from hypertok.tokenizer.kind import DELTA, EXTEND_MODEL, KIND, read_table
from hypertok.tokenizer.plain import PlainTokenizer, ids_before
from hypertok.tokenizer.spelling import Spelling
from hypertok.tokenizer.stock import Stock

EXTENDED = replace(KIND, command=EXTEND_MODEL)
#: What the manifest of a merged stock model says it is: a stock model again, which has no new rows.
MERGED_STOCK = Kind("model", 1, "hypertok merge TRAINED -o OUTPUT")
#: Data types that a model can be trained and merged in, by the names that the options use.
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_WEIGHTS = ".safetensors"
#: sha256 of files by path, device, inode, size and time of the last change; and the age in ns from which that counts.
_KNOWN: dict[tuple[Path, int, int, int, int], str] = {}
_SETTLED = 2_000_000_000


@dataclass(frozen=True)
class Pair:
    """A model folder, opened but not loaded.

    Attributes:
        folder: where it lies.
        checkpoint: the model on disk.
        tokenizer: its tokenizer, extended or stock.
        new_ids: the ids of the new units, ascending; () for a stock model.
        separator: the id that is put between documents, the end-of-text token; None if there is none.
        manifest: of an extended folder.
        sha256: identity of the folder: of its manifest, or of the stock model's files.
    """

    folder: Path
    checkpoint: Checkpoint
    tokenizer: HyperTokenizer | PlainTokenizer = field(repr=False)
    new_ids: tuple[int, ...]
    separator: int | None
    manifest: Manifest | None
    sha256: str

    @classmethod
    def open(cls, folder: Path | str) -> Pair:
        """Open a folder with a model and a tokenizer.

        Raises:
            InputError: no model or no tokenizer there, or they do not belong together.
            ArtifactError: an extended folder is damaged.
        """
        folder = Path(folder)
        checkpoint = Checkpoint.open(folder)
        if not (folder / MANIFEST).is_file() or kind_of(folder) == MERGED_STOCK.name:
            stock = Stock.load(folder)
            plain = PlainTokenizer.of(stock)
            checkpoint.check_tokens(stock.data["model"]["vocab"].values())
            _check_stated(checkpoint, "correct it, or download the model again")
            return cls(folder, checkpoint, plain, (), separator_of(stock, checkpoint), None, identity(checkpoint))
        manifest = _open_checked(folder)
        tokenizer = HyperTokenizer.from_pretrained(folder)
        new_ids = tuple(sorted(tokenizer.new_ids))
        _check(folder, checkpoint, tokenizer, new_ids)
        stock = Stock.load(folder)
        return cls(folder, checkpoint, tokenizer, new_ids, separator_of(stock, checkpoint), manifest, manifest.sha256)

    @property
    def files_sha256(self) -> str | None:
        """Of an extended folder, of its files alone: the manifest tells the versions that made them, too."""
        return None if self.manifest is None else self.manifest.files_sha256

    @property
    def start(self) -> tuple[int, ...]:
        """What the tokenizer itself puts before a text, the BOS token mostly; () for Qwen."""
        return ids_before(self.plain.tokenizer)

    @property
    def plain(self) -> PlainTokenizer:
        """What the tokenizer reads text by; one for symbol text writes the symbols first."""
        return self.tokenizer.plain if isinstance(self.tokenizer, HyperTokenizer) else self.tokenizer

    @property
    def units(self) -> Constituents:
        """What the new units are made of, in the order of `new_ids`.

        Raises:
            ArtifactError: the delta is damaged.
        """
        return Constituents.of(read_table(self.folder / DELTA).sort("id"))

    @property
    def spelling(self) -> Spelling:
        """The new units in stock ids.

        Raises:
            InputError: there are none, or they are of symbol text.
        """
        if not isinstance(self.tokenizer, HyperTokenizer):
            raise InputError(f"{self.folder}: a stock model has no units to spell; extend it first")
        return self.tokenizer.spelling

    def load(self, dtype: str | torch.dtype, **options: Any) -> Any:
        """The model on the CPU, by transformers, from this folder alone and without foreign code.

        Args:
            dtype: one of `DTYPES`, "auto" for the checkpoint's own, or a torch data type.
            options: further ones of `from_pretrained`.
        """
        kind = DTYPES.get(dtype, dtype) if isinstance(dtype, str) else dtype
        if kind == "auto":
            kind = self.checkpoint.dtype
        return load_model(self.folder, kind, **options)


def _check(folder: Path, checkpoint: Checkpoint, tokenizer: HyperTokenizer, new_ids: Sequence[int]) -> None:
    rows, needed = checkpoint.stock_rows, tokenizer.rows
    if rows < needed or (new_ids and max(new_ids) >= rows):
        raise InputError(
            f"{folder}: the model has {rows:,} rows and its tokenizer needs {needed:,}: they do not belong together; "
            f"make both in one go with: {EXTENDED.command}"
        )
    _check_stated(checkpoint, f"make the folder again with: {EXTENDED.command}")


def _check_stated(checkpoint: Checkpoint, remedy: str) -> None:
    rows = checkpoint.stock_rows
    stated = checkpoint.text_config.get("vocab_size", rows)
    if stated != rows:
        said = f"{stated:,}" if isinstance(stated, int) else repr(stated)
        raise InputError(
            f"{checkpoint.folder / CONFIG}: vocab_size is {said} and the matrix has {rows:,} rows; {remedy}"
        )


def separator_of(stock: Stock, checkpoint: Checkpoint) -> int | None:
    """The end-of-text token that the tokenizer names, else the one that the model names."""
    token = stock.config.get("eos_token")
    content = token.get("content") if isinstance(token, dict) else token
    if isinstance(content, str) and (found := stock.tokenizer.token_to_id(content)) is not None:
        return int(found)
    named = checkpoint.text_config.get("eos_token_id", checkpoint.config.get("eos_token_id"))
    first = named[0] if isinstance(named, list) and named else named
    return first if isinstance(first, int) else None


def identity(checkpoint: Checkpoint) -> str:
    """sha256 over names and contents of the configuration, the weights and the tokenizer."""
    digest = hashlib.sha256()
    folder = checkpoint.folder
    paths = [folder / "config.json", *(shard.path for shard in checkpoint.shards), folder / "tokenizer.json"]
    for path in paths:
        if path.is_file():
            digest.update(f"{path.name} {_known_sha256(path)}\n".encode())
    return digest.hexdigest()


def _open_checked(folder: Path) -> Manifest:
    """`open_checked`, weights too, but for those that this process has read and nobody has changed since."""
    manifest = open_checked(folder, EXTENDED, unread=(_WEIGHTS,))
    weights = {name: sha for name, sha in manifest.files.items() if name.endswith(_WEIGHTS)}
    if all(_known_sha256(folder / name) == sha for name, sha in weights.items()):
        return manifest
    return open_checked(folder, EXTENDED)  # says which


def _known_sha256(path: Path) -> str:
    """sha256 of a file, read once by this process as long as the file is the same."""
    status = path.stat()
    changed = max(status.st_mtime_ns, status.st_ctime_ns)  # a copy may keep the time of what it is a copy of
    key = path, status.st_dev, status.st_ino, status.st_size, changed
    if key not in _KNOWN:
        found = sha256_of(path)
        if time.time_ns() - changed < _SETTLED:  # it may change once more within one tick of the clock
            return found
        _KNOWN[key] = found
    return _KNOWN[key]
