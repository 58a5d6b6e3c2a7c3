"""Counting what a tokenizer makes of texts: tokens, words, and which new rows are ever used."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from tokenizers import Encoding, Tokenizer

from hypertok.corpus.words import WORD
from hypertok.errors import InputError
from hypertok.tokenizer.stock import batches


@dataclass(frozen=True)
class TokenCounts:
    """What a tokenizer makes of texts.

    Attributes:
        characters, tokens, words: sums over all texts; a word is a run of Cyrillic letters (corpus/words.py).
        whole_words: words that lie inside a single token, alone or with others.
        emitted: ids from `first_new` on that occur.
    """

    characters: int
    tokens: int
    words: int
    whole_words: int
    emitted: int

    @property
    def characters_per_token(self) -> float:
        """Characters of the raw text per token."""
        return self.characters / self.tokens

    @property
    def tokens_per_word(self) -> float:
        """All tokens, punctuation included, per Cyrillic word."""
        return self.tokens / self.words


def without_words() -> InputError:
    """What is said of texts on which nothing can be counted."""
    return InputError("no Russian words in the texts to measure on; name texts that hold some")


def count_tokens(tokenizer: Tokenizer, texts: Iterable[str], first_new: int | None = None) -> TokenCounts:
    """Encode every text, without special tokens around it, and count.

    Args:
        first_new: the first new id; None if there is none.

    Raises:
        InputError: the texts have no Cyrillic word.
    """
    characters = tokens = words = whole = 0
    seen = np.zeros(tokenizer.get_vocab_size(with_added_tokens=True) + (1 << 16), bool)
    for batch in batches(texts):  # of bounded size: tokens with their offsets live together
        for text, encoding in zip(batch, tokenizer.encode_batch(batch, add_special_tokens=False), strict=True):
            ids = np.array(encoding.ids, np.int64)
            seen[ids] = True
            characters += len(text)
            tokens += len(ids)
            all_words, one_token = _words(text, encoding)
            words += all_words
            whole += one_token
    if not words:
        raise without_words()
    return TokenCounts(characters, tokens, words, whole, int(seen[first_new:].sum()) if first_new is not None else 0)


def _words(text: str, encoding: Encoding) -> tuple[int, int]:
    """Number of words, and of those inside one token."""
    spans = np.array([match.span() for match in WORD.finditer(text)], np.int64).reshape(-1, 2)
    ends = np.array([end for _, end in encoding.offsets], np.int64)
    first = np.searchsorted(ends, spans[:, 0], side="right")
    last = np.searchsorted(ends, spans[:, 1] - 1, side="right")
    return len(spans), int((first == last).sum())
