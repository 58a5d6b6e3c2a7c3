"""Texts as the stock tokenizer cuts them, each stock token one private character: the letters of the new merges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hypertok.vocabulary.units import StockTokenizer

#: Private-use planes 15 and 16: characters without a meaning, more than any stock vocabulary has Russian tokens.
_FIRST = 0xF0000
#: Texts cut at a time: their tokens live together.
BATCH = 50_000


@dataclass(frozen=True)
class Segmentation:
    """Texts in private characters.

    Attributes:
        words: the texts, one character for each stock token.
        ids: the stock id behind each character.
        strings: the vocabulary string behind each character.
    """

    words: list[str]
    ids: dict[str, int]
    strings: dict[str, str]

    @classmethod
    def of(cls, stock: StockTokenizer, texts: Sequence[str]) -> Segmentation:
        """Cut every text by the stock tokenizer."""
        characters: dict[int, str] = {}
        words = []
        for start in range(0, len(texts), BATCH):
            for ids in stock.segment(texts[start : start + BATCH]):
                for number in ids:
                    if number not in characters:
                        characters[number] = chr(_FIRST + len(characters))
                words.append("".join([characters[number] for number in ids]))
        ids_of = {character: number for number, character in characters.items()}
        return cls(words, ids_of, {character: stock.token_of[number] for character, number in ids_of.items()})

    def unmergeable(self, stock: StockTokenizer) -> set[str]:
        """Private characters of the tokens that no new merge may take."""
        return {one for one, string in self.strings.items() if string in stock.unmergeable}

    def string(self, word: str) -> str:
        """The vocabulary string of a private string."""
        return "".join([self.strings[character] for character in word])
