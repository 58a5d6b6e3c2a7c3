"""Bits per character of raw texts: the only figure of quality that compares across tokenizers.

A text is scored in windows that overlap. Every token is scored once: those of the first window given the start (BOS)
and what is before them in it, those of a later one given at least `overlap` tokens. All tokens of the text count, the
last one too, and nothing after it: no arm is charged for an end of text. The bits stand over all characters of the raw
text, so a text that a tokenizer normalises (Qwen makes NFC of it) has the same denominator for every arm.

A context is counted in tokens, so a model with longer tokens sees more characters in the same context, as in use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import log2
from typing import Any

import numpy as np

from hypertok.errors import InputError
from hypertok.measure.coding import encode_checked
from hypertok.measure.scoring import BATCH_TOKENS, Bits, Ids, Window, token_bits
from hypertok.model.config import positions_of
from hypertok.progress import Count


@dataclass(frozen=True)
class DocumentBits:
    """One text: the sum of its bits, its characters, its tokens without the start."""

    bits: float
    characters: int
    tokens: int


@dataclass(frozen=True, eq=False)
class Scored:
    """A text token by token: its ids and the bits of each, both (tokens,), and what they come to."""

    text: str
    ids: Ids
    bits: Bits
    document: DocumentBits


@dataclass(frozen=True)
class Quality:
    """What a model makes of texts.

    Attributes:
        bits, characters, tokens: sums over the documents.
        bits_per_character: the headline.
        characters_per_token: compression.
        perplexity_per_token: 2 to the bits per token; it does NOT compare across vocabularies.
        context, overlap: tokens of a window, start included, and of the part before what is scored.
        documents: in the order of the texts.
    """

    bits: float
    characters: int
    tokens: int
    bits_per_character: float
    characters_per_token: float
    perplexity_per_token: float
    context: int
    overlap: int
    documents: tuple[DocumentBits, ...]

    @classmethod
    def of(cls, documents: Sequence[DocumentBits], context: int, overlap: int) -> Quality:
        """Sum up documents.

        Raises:
            InputError: they have no characters or no tokens.
        """
        bits = float(np.sum([one.bits for one in documents]))
        characters, tokens = sum(one.characters for one in documents), sum(one.tokens for one in documents)
        if not characters or not tokens:
            raise InputError("no text to measure on: all documents are empty; name texts that hold some")
        perplexity = float(np.exp2(min(bits / tokens, 1000.0)))
        per_character, per_token = bits / characters, characters / tokens
        return cls(bits, characters, tokens, per_character, per_token, perplexity, context, overlap, tuple(documents))

    @property
    def sums(self) -> tuple[Bits, Bits]:
        """(bits, characters) by document, shapes (documents,): what the bootstrap takes."""
        rows = np.array([(one.bits, one.characters) for one in self.documents], np.float64).reshape(-1, 2)
        return rows[:, 0], rows[:, 1]


def measure_quality(
    model: Any,
    encode: Callable[[str], list[int]],
    texts: Sequence[str],
    *,
    start: Sequence[int] = (),
    context: int = 512,
    overlap: int | None = None,
    chunk: int | None = None,
    batch_tokens: int = BATCH_TOKENS,
    progress: Count | None = None,
) -> Quality:
    """Bits per character of each text under a causal language model of transformers.

    Args:
        encode: ids of a text with no special tokens around it.
        start: ids before every window. Without any, the first token of a text costs log2(rows) bits: what is known
            about it before anything is read.
        context: tokens of a window with its start; also the most that a token is given, less one.
        overlap: tokens of a window that were scored in the one before it; a quarter of the context if None.
        chunk, batch_tokens, progress: see `token_bits`.

    Raises:
        InputError: an unusable context or overlap, nothing to measure, an id without a row, logits that are no numbers.
    """
    overlap = check_windows(model.config, context, overlap, len(start))
    scored = score_texts(
        model, encode, texts, start=start, context=context, overlap=overlap, chunk=chunk, batch_tokens=batch_tokens,
        progress=progress,
    )  # fmt: skip
    return Quality.of([one.document for one in scored], context, overlap)


def score_texts(
    model: Any,
    encode: Callable[[str], list[int]],
    texts: Sequence[str],
    *,
    start: Sequence[int] = (),
    context: int,
    overlap: int,
    chunk: int | None = None,
    batch_tokens: int = BATCH_TOKENS,
    progress: Count | None = None,
) -> list[Scored]:
    """Every token of each text with its bits; see `measure_quality`, which sums them up.

    Raises:
        InputError: an unusable context or overlap, an id without a row, logits that are no numbers.
    """
    check_windows(model.config, context, overlap, len(start))
    rows = int(model.get_input_embeddings().weight.shape[0])
    name = str(getattr(model, "name_or_path", None) or type(model).__name__)
    encoded = [encode_checked(encode, text, rows, name) for text in texts]
    parts = [list(windows(ids, start, context=context, overlap=overlap)) for ids in encoded]
    flat = [window for part in parts for window in part]
    scored = iter(token_bits(model, flat, chunk=chunk, batch_tokens=batch_tokens, progress=progress))
    unread = 0.0 if start else log2(rows)
    found = []
    for text, ids, part in zip(texts, encoded, parts, strict=True):
        own = [next(scored) for _ in part]
        bits = sum(float(one.sum()) for one in own) + (unread if len(ids) else 0.0)
        first = [] if start or not len(ids) else [np.array([unread])]
        each = np.concatenate([np.zeros(0), *first, *own])
        found.append(Scored(text, ids, each, DocumentBits(bits, len(text), len(ids))))
    return found


def windows(ids: Ids, start: Sequence[int], *, context: int, overlap: int) -> Iterator[Window]:
    """Windows of at most `context` ids, `start` before each, in which every id is scored once.

    Without a start the first id is scored in none: it has nothing before it.

    >>> [(window.ids.tolist(), window.scored) for window in windows(np.arange(5), [9], context=4, overlap=1)]
    [([9, 0, 1, 2], 3), ([9, 2, 3, 4], 2)]
    """
    room, done, before = context - len(start), 0, np.asarray(start, np.int64)
    while done < len(ids):
        begin = max(0, done - overlap)
        end = min(begin + room, len(ids))
        unscored = 0 if start or done else 1
        if end - done > unscored:
            yield Window(np.concatenate([before, ids[begin:end]]), end - done - unscored)
        done = end


def check_windows(config: Any, context: int, overlap: int | None, start: int) -> int:
    """The overlap that windows of a model are to have: what is asked for, or a quarter of the context.

    Raises:
        InputError: an unusable context or overlap.
    """
    positions = positions_of(config)
    overlap = max(1, context // 4) if overlap is None else overlap
    if positions is not None and context > positions:
        raise InputError(f"context {context} is more than the model's {positions} positions; take a smaller one")
    if not 1 <= overlap < context - start:
        raise InputError(
            f"overlap {overlap} does not go with context {context} and {start} start tokens; take one from 1 to "
            f"{context - start - 1}, or a larger context"
        )
    return overlap
