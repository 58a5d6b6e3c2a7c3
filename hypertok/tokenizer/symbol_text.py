"""Symbol text around a tokenizer: text to it and back, and places in both."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

from hypertok.codec import marks
from hypertok.errors import CodecError
from hypertok.tokenizer.kind import SYMBOLS, read_table

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from hypertok.vocabulary.symbol_codec import SymbolCodec

_MARKS = range(marks.BLOCK_FIRST, marks.BLOCK_LAST + 1)
#: One concept with its marks, an escaped character, or one character of the text.
GROUP = re.compile(
    f"{marks.ESCAPE}.|[{marks.CASE_RANGE}]?[^{marks.BLOCK_RANGE}][{marks.INFLECTION_RANGE}]?[{marks.VARIANT_RANGE}]?|.",
    re.DOTALL,
)


class SymbolText:
    """Text to symbol text and back, around a tokenizer.

    No symbol makes one character with a mark behind it (`lexicon.symbols`), so NFC of symbol text changes only what
    NFC of the text does.
    """

    def __init__(self, codec: SymbolCodec, tokenizer: Tokenizer) -> None:
        """Of `tokenizer` only its normaliser is asked."""
        self.codec = codec
        # Before the codec and not after it, so that decomposed words are words to it.
        self.composes = tokenizer.normalizer is not None and tokenizer.normalizer.normalize_str("и\u0306") == "й"

    @classmethod
    def open(cls, folder: Path, tokenizer: Tokenizer) -> SymbolText:
        """The symbol text of the tokenizer in a folder, which need not be sealed yet."""
        from hypertok.vocabulary.symbol_codec import restricted_codec

        concepts, forms, symbols = (
            read_table(folder / name) for name in ("concepts.parquet", "forms.parquet", SYMBOLS)
        )
        written = frozenset(symbols["symbol"]) - {"▁"}  # SentencePiece-style tokenizers read it as a space
        return cls(restricted_codec(concepts, forms, written), tokenizer)

    def encode(self, text: str) -> str:
        """Symbol text of a text, which is made NFC first if the tokenizer makes it so."""
        return self.codec.encode(self._composed(text))

    def decode(self, symbols: str) -> str:
        """The text of any symbol text; marks that mean nothing become U+FFFD."""
        try:
            return self.codec.decode(symbols)
        except CodecError:  # not the codec's own text: take what can be taken
            return "".join(map(self._decode_group, GROUP.findall(self.codec.open(symbols))))

    def aligned(self, symbols: str) -> tuple[str, list[int]]:
        """The text of symbol text, and for each place in the latter the place in the text.

        Not of the text's own: a tokenizer may have read some of it in another way (SentencePiece reads ▁ as a space).
        """
        opened = self.codec.open(symbols)
        text, places = [], [0]  # places in the text, of each place in the symbol text with all its spaces
        for group in GROUP.findall(opened):
            text.append(self._decode_group(group))
            start, end = places[-1], places[-1] + len(text[-1])
            before = group[0] == marks.ESCAPE or group[0] in marks.CASE_MARKS  # stands for nothing by itself
            places += [start] * before + [end] * (len(group) - before)
        found, at = [0], 0
        for character in symbols:
            if at < len(opened) and opened[at] == " " != character:  # a space that is implied goes with what follows
                at += 1
            at += character == opened[at]  # else it says that no space is implied
            found.append(places[at])
        return "".join(text), found

    def _composed(self, text: str) -> str:
        return unicodedata.normalize("NFC", text) if self.composes else text

    def _decode_group(self, group: str) -> str:
        try:
            return self.codec.decode(group)
        except CodecError:
            bare = group.translate(dict.fromkeys(_MARKS))
            lemma = self.codec.decode(bare)
            return lemma if lemma != bare else group.translate(dict.fromkeys(_MARKS, "\ufffd"))
