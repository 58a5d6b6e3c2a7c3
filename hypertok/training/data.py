"""From documents to blocks of tokens: the same characters for every arm, nothing held out among them.

Files (large ones in parts) come in an order that hangs on the seed alone, the documents of each as they stand there,
and reading stops at a number of *characters*, so that models with different tokenizers read the same text. Between two
documents stands the end-of-text token, and whatever the tokenizer itself puts before a text. Blocks overlap by one
token: every token but the first is predicted exactly once. Each begins with what stands before a text, because a model
that was always given BOS is another one without it.
"""

from __future__ import annotations

import hashlib
import mmap
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from hypertok.corpus.documents import read_documents
from hypertok.corpus.identity import BY_CHANCE, identity_of
from hypertok.corpus.sources import Skipped
from hypertok.errors import InputError
from hypertok.model.pair import Pair
from hypertok.model.seen import digest_of
from hypertok.tokenizer.stock import batches
from hypertok.training.loss import IGNORED

#: Tokens that are looked at together.
_PIECE = 1 << 22


@dataclass(frozen=True)
class Text:
    """A document to train on or to evaluate with.

    Attributes:
        name: the file, and the number of the document in it.
        text: what is read of it; the last one is cut where the characters end.
        identity: sha256 of the whole document, normalised: see `identity_of`.
    """

    name: str
    text: str
    identity: str

    def __len__(self) -> int:
        """Characters that are read."""
        return len(self.text)


def read_texts(
    root: Path | str,
    *,
    characters: int | None = None,
    seed: int | None = None,
    skipped: Skipped | None = None,
) -> Iterator[Text]:
    """The documents of a folder, a file or whatever else the corpus room reads; every record is one.

    Args:
        characters: stop after this many, inside a document if need be.
        seed: files, large ones in parts, in an order that hangs on it; None for the order of their paths.
        skipped: told path and reason of each file that is left out, several times if it is read in several parts.

    Raises:
        InputError: nothing to read there, or fewer than `characters`.
    """
    read, reasons = 0, dict[str, None]()

    def note(path: str, reason: str) -> None:
        reasons[reason] = None
        if skipped:
            skipped(path, reason)

    for found in read_documents(root, seed=seed, skipped=note):
        text = found.text if characters is None else found.text[: characters - read]
        yield Text(f"{found.path}#{found.index}", text, identity_of(found.text))
        read += len(text)
        if read == characters:
            return
    if not read:
        told = f" ({'; '.join([*reasons][:3])})" if reasons else ""
        raise InputError(f"{root}: no text in it{told}; name a folder or a file with texts")
    if characters is not None:
        raise InputError(f"{root}: {read:,} characters in it and {characters:,} are asked for; lower characters")


def first_texts(texts: Iterable[Text], characters: int) -> Iterator[Text]:
    """The texts until there are so many characters; the last one whole."""
    read = 0
    for text in texts:
        if read >= characters:
            return
        yield text
        read += len(text.text)


def refusable(held_out: Iterable[Text]) -> dict[str, str]:
    """Name by identity of the held-out texts that no training text may be: those not written twice by chance."""
    return {text.identity: text.name for text in held_out if len(text.text.strip()) >= BY_CHANCE}


def refuse_leaks(texts: Iterable[Text], held_out: Mapping[str, str]) -> Iterator[Text]:
    """The texts, as long as none of them is held out.

    Args:
        held_out: as `refusable` gives it.

    Raises:
        InputError: one is.
    """
    for text in texts:
        if text.identity in held_out:
            raise InputError(
                f"{text.name}: the held-out document {held_out[text.identity]} is the same text; a model must not be "
                "measured on what it was trained on: take it out of one of the two"
            )
        yield text


@dataclass(frozen=True)
class Blocks(Dataset[dict[str, Tensor]]):
    """Token blocks, in the order in which they are trained on.

    Attributes:
        tokens: (L,) all documents one after the other; read only, from a file.
        context: tokens of a block.
        start: the ids that every block begins with; they take room of the context and are not predicted.
        order: the blocks' numbers, one permutation for each epoch; -1 at the end for blocks that predict nothing.
        epochs: how often every block comes.
        characters: of raw text that the tokens stand for.
        documents: (D,) the different ones, each by `digest_of` its identity, in no order.
        sha256: of the texts.
    """

    tokens: npt.NDArray[np.int32] = field(repr=False)
    context: int
    order: npt.NDArray[np.int64] = field(repr=False)
    epochs: int
    characters: int
    documents: npt.NDArray[np.uint64] = field(repr=False)
    sha256: str
    start: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        """Tokens that a block predicts, the last one fewer."""
        return self.context - len(self.start)

    @property
    def blocks(self) -> int:
        """Blocks of one epoch."""
        return _blocks(len(self.tokens), self.size)

    def before(self, piece: npt.NDArray[np.int64]) -> tuple[int, ...]:
        """The ids that stand before a piece in its block: `start`, unless it begins so itself, as a document does."""
        return () if tuple(piece[: len(self.start)].tolist()) == self.start else self.start

    def pieces(self) -> Iterator[npt.NDArray[np.int64]]:
        """The tokens, some millions at a time."""
        for first in range(0, len(self.tokens), _PIECE):
            yield self.tokens[first : first + _PIECE].astype(np.int64)

    def __len__(self) -> int:
        """Blocks of all epochs, and those that fill the last batch."""
        return len(self.order)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """`input_ids` and `labels` (context,), labels already shifted; the last block ends in ignored places."""
        number = int(self.order[index])
        if number < 0:
            nothing = torch.full((self.context,), IGNORED)
            return {"input_ids": torch.full((self.context,), int(self.tokens[0])), "labels": nothing}
        first = number * self.size
        piece = torch.from_numpy(self.tokens[first : first + self.size + 1].astype(np.int64))
        before = torch.tensor(self.before(piece.numpy()), dtype=torch.int64)
        missing = self.context + 1 - len(before) - len(piece)
        inputs = torch.nn.functional.pad(torch.cat([before, piece]), (0, missing), value=int(piece[-1]))[:-1]
        labels = torch.cat([torch.full_like(before, IGNORED), piece[1:]])
        return {"input_ids": inputs, "labels": torch.nn.functional.pad(labels, (0, missing), value=IGNORED)}


def make_blocks(
    texts: Iterable[Text],
    pair: Pair,
    context: int,
    *,
    epochs: int = 1,
    seed: int | None = None,
    at_least: int = 1,
    fill: int = 1,
    bos: bool = True,
    beside: Path | None = None,
) -> Blocks:
    """Encode texts and cut the tokens into blocks.

    Args:
        pair: whose tokenizer encodes.
        context: tokens of a block.
        epochs: how often all blocks come.
        seed: of the order of blocks; None for that of the text.
        at_least: blocks that must be there: a batch.
        fill: make the number of blocks a multiple of this, by blocks that predict nothing; several devices would repeat
            blocks instead, and their result hang on their number.
        bos: begin every block with what the tokenizer puts before a text.
        beside: a folder on the disk that takes the ids; None for the system's folder of temporary files.

    Raises:
        InputError: the text is shorter than a batch, nothing marks the end of a document, the model has no row for a
            token of it, or the disk no room for the ids.
    """
    _check_ends(pair)
    seen, digest, characters = set[int](), hashlib.sha256(), 0
    with tempfile.TemporaryFile(buffering=0, dir=beside) as file:
        for batch in batches(texts):
            _append(file, b"".join(ids.tobytes() for ids in _encode(batch, pair)), beside)
            for text in batch:
                seen.add(digest_of(text.identity))
                digest.update(text.text.encode("utf-8", "surrogatepass") + b"\xff")
                characters += len(text.text)
        tokens = _mapped(file)
    start = pair.start if bos else ()
    if context <= len(start):
        raise InputError(f"context {context}: no room beside the {len(start)} ids that stand before a text; take more")
    number = _blocks(len(tokens), context - len(start))
    if number < at_least:
        raise InputError(
            f"{characters:,} characters are {len(tokens):,} tokens: {number} blocks of {context}, less than one batch "
            f"of {at_least}; give more text, or lower batch, accumulate or context"
        )
    order = orders(number, epochs, seed, fill)
    documents = np.fromiter(seen, np.uint64)
    return Blocks(tokens, context, order, epochs, characters, documents, digest.hexdigest(), start)


def orders(number: int, epochs: int, seed: int | None, fill: int) -> npt.NDArray[np.int64]:
    """The numbers of blocks in the order in which they come; parameters as in `make_blocks`."""
    found = [
        np.arange(number) if seed is None else np.random.default_rng([seed, epoch]).permutation(number)
        for epoch in range(epochs)
    ]
    return filled(np.concatenate(found), fill)


def filled(order: npt.NDArray[np.int64], fill: int) -> npt.NDArray[np.int64]:
    """An order made a multiple of `fill` long, by blocks that predict nothing."""
    return np.concatenate([order, np.full(-len(order) % fill, -1)])


def _append(file: IO[bytes], ids: bytes, beside: Path | None) -> None:
    try:
        while ids:
            ids = ids[file.write(ids) :]  # all of them, unless the disk is nearly full
    except OSError as error:
        raise InputError(
            f"{beside or tempfile.gettempdir()}: the ids of the texts, 4 bytes each, cannot be written there "
            f"({error.strerror}); make room, or name an output on another disk"
        ) from error


def _mapped(file: IO[bytes]) -> npt.NDArray[np.int32]:
    """(L,) the numbers in a file, in memory only while they are read; the file may be closed."""
    if not file.tell():
        return np.zeros(0, np.int32)
    return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.int32)


def _blocks(tokens: int, size: int) -> int:
    return -(-(tokens - 1) // size) if tokens > 1 else 0


def _encode(batch: list[Text], pair: Pair) -> Iterator[npt.NDArray[np.int32]]:
    """Ids of each text, a mark of its end behind them; a rendered chat begins and ends as its template says."""
    found = pair.tokenizer.encode_batch([text.text for text in batch], add_special_tokens=True)
    rows, start = pair.checkpoint.stock_rows, list(pair.start)
    for text, ids in zip(batch, found, strict=True):
        if start and ids[: 2 * len(start)] == 2 * start:
            ids = ids[len(start) :]
        if pair.separator is not None and not _has_end(ids, pair):
            ids = [*ids, pair.separator]
        if (highest := max(ids, default=0)) >= rows:  # Gemma 3's text models have no row for <image_soft_token>
            raise InputError(
                f"{text.name}: its token {pair.plain.tokenizer.id_to_token(highest)!r} has the id {highest:,}, and the "
                f"model {rows:,} rows; take it out of the text, or take the tokenizer that belongs to the model"
            )
        yield np.array(ids, np.int32)


def _has_end(ids: list[int], pair: Pair) -> bool:
    """Whether a text ends with the mark of its end, white space behind it or not."""
    last = next((one for one in reversed(ids) if not pair.plain.text_of(one).isspace()), None)
    return last == pair.separator


def _check_ends(pair: Pair) -> None:
    if pair.separator is None and not pair.tokenizer.encode_batch([""], add_special_tokens=True)[0]:
        raise InputError(
            f"{pair.folder}: neither tokenizer_config.json nor config.json names an end-of-text token, so documents "
            'would run into each other; put "eos_token_id" into config.json'
        )
