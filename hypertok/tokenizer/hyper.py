"""The extended tokenizer in use: text to ids and back, and why a token is what it is.

The ids are those of tokenizer.json. Decoding gives back exactly the text that was encoded, where the library's own
decoder puts a space after special tokens (Llama 2); what the stock tokenizer throws away itself stays lost, because
the ids do not have it: Qwen makes NFC of all text, SentencePiece-style tokenizers read "▁" as a space, and those with
Metaspace drop one space at the beginning, those of them that always put one after an added token too.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hypertok.artifact import Manifest, open_checked
from hypertok.errors import ArtifactError, InputError
from hypertok.lexicon.mark_names import spelled
from hypertok.tokenizer.kind import (
    DELTA,
    KIND,
    only_read,
    read_table,
    refuse_other_lexicon,
    symbol_text,
)
from hypertok.tokenizer.plain import PlainTokenizer, read_plain
from hypertok.tokenizer.spelling import Spelling
from hypertok.tokenizer.stock import Family
from hypertok.tokenizer.symbol_text import SymbolText
from hypertok.tokenizer.tokens import Constituent, Explained, Token

if TYPE_CHECKING:
    import polars as pl

    from hypertok.lexicon.lexicon import Concept

_TABLES = (DELTA, "concepts.parquet", "tokenizer.json")
_FACTS = ("family", "rows")
#: A model's weights beside the tokenizer: gigabytes, and nothing here reads them.
_UNREAD = (".safetensors",)


class HyperTokenizer:
    """An extended tokenizer made by `hypertok extend`.

    >>> tok = HyperTokenizer.from_pretrained("qwen3-notes")   # doctest: +SKIP
    >>> tok.decode(tok.encode(text)) == text                  # doctest: +SKIP
    True

    This holds for text in NFC, strings of special tokens in it too; what the stock tokenizer itself does not keep
    (see the module) is lost.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        """Use `HyperTokenizer.from_pretrained`, which checks the files first."""
        self.folder = folder
        self.manifest = manifest
        tokenizer = read_plain(folder / "tokenizer.json")
        self.plain = PlainTokenizer(tokenizer, Family(manifest.facts["family"]))
        self._symbols = SymbolText.open(folder, tokenizer) if symbol_text(manifest.recipe) else None

    @classmethod
    def from_pretrained(cls, folder: str | Path, *, lexicon: str | Path | None = None) -> HyperTokenizer:
        """Load the folder of an extended tokenizer; weights beside it are not checked (`Pair.open` does).

        Args:
            folder: made by `hypertok extend`.
            lexicon: the lexicon it should have been made from, to be sure; it is not needed otherwise.

        Raises:
            ArtifactError: missing, damaged, written by a newer hypertok, or made from another lexicon.
        """
        folder = Path(folder)
        manifest = open_checked(folder, KIND, unread=_UNREAD)
        missing = [name for name in _TABLES if name not in manifest.files]
        missing += [f"facts.{name}" for name in _FACTS if name not in manifest.facts]
        if missing:
            raise ArtifactError(f"{folder}: the manifest has no {missing[0]}; make it again with: {KIND.command}")
        if lexicon is not None:
            refuse_other_lexicon(folder, manifest, Path(lexicon))
        return cls(folder, manifest)

    @property
    def vocab_size(self) -> int:
        """Number of token ids; they are 0, 1, 2 … without a hole."""
        return int(self.plain.tokenizer.get_vocab_size(with_added_tokens=True))

    @property
    def rows(self) -> int:
        """Rows that a model needs for this tokenizer: at least `vocab_size`, a multiple of 64."""
        return int(self.manifest.facts["rows"])

    @cached_property
    def new_ids(self) -> frozenset[int]:
        """Ids of the new units."""
        return frozenset(self._row_of)

    @property
    def symbol_text(self) -> bool:
        """Whether the units are of symbol text, which the codec writes."""
        return symbol_text(self.manifest.recipe)

    @property
    def only_read(self) -> bool:
        """Whether a model was trained to read the units and not to write them (`hypertok train --reading`)."""
        return only_read(self.manifest.recipe)

    def encode(self, text: str, *, add_special_tokens: bool = False) -> list[int]:
        """Ids of a text; with `add_special_tokens` those that the stock tokenizer puts around it (BOS) too.

        Raises:
            InputError: a lone surrogate in the text.
        """
        return self.encode_batch([text], add_special_tokens=add_special_tokens)[0]

    def encode_batch(self, texts: Sequence[str], *, add_special_tokens: bool = False) -> list[list[int]]:
        """Ids of each text, on all processors.

        Raises:
            InputError: a lone surrogate in a text, or one text instead of a sequence of them.
        """
        if self._symbols and not isinstance(texts, str):  # which the plain tokenizer refuses
            texts = [self._symbols.encode(text) for text in texts]
        return self.plain.encode_batch(texts, add_special_tokens=add_special_tokens)

    def decode(self, ids: Sequence[int], *, skip_special_tokens: bool = False) -> str:
        """The text of ids. Any ids of a model give one: bytes that are no character U+FFFD, ids without a token none.

        Raises:
            InputError: a number that can be no id, as the -100 of labels that do not count.
        """
        if self._symbols is None:
            return self.plain.decode(ids, skip_special_tokens=skip_special_tokens)
        if not skip_special_tokens:
            return self._symbols.decode(self.plain.decode(ids))
        # Each part by itself: a space is implied between words that stand side by side, not where a token was left out.
        parts = self.plain.parts(ids)
        return "".join(map(self._symbols.decode, parts))

    def decode_batch(self, batch: Sequence[Sequence[int]], *, skip_special_tokens: bool = False) -> list[str]:
        """The text of each sequence of ids."""
        return [self.decode(ids, skip_special_tokens=skip_special_tokens) for ids in batch]

    def tokens(self, text: str) -> list[Token]:
        """The tokens of a text with their places in `decode(encode(text))`, which is `text` itself if in NFC."""
        if self._symbols is None:
            return self.plain.tokens(self.encode(text), self.new_ids.__contains__)
        ids = self.encode(text)
        written, places = self._symbols.aligned(self.plain.decode(ids))
        found = []
        for token in self.plain.tokens(ids, self.new_ids.__contains__):
            start, end = places[token.start], places[token.end]
            whole = start < end and "\\x" not in token.text
            text_of = written[start:end] if whole else spelled(token.text)
            found.append(Token(token.id, text_of, token.is_new, start, end))
        return found

    def stock_ids(self, ids: Sequence[int]) -> list[int]:
        """The same text in stock tokens, as the stock tokenizer reads it, rare stock tokens apart (`spelling.py`).

        A model whose units are only read (`hypertok train --reading`) is given what it is to remember in units, and the
        question after it so.

        Raises:
            InputError: the units are of symbol text.
        """
        found: list[int] = self.spelling.spell(np.asarray(ids, np.int64))[0].tolist()
        return found

    @cached_property
    def spelling(self) -> Spelling:
        """The new units in stock ids.

        Raises:
            InputError: they are of symbol text.
        """
        if self._symbols:
            raise InputError(
                f"{self.folder}: its units are of symbol text, which no stock tokens spell; make an extension of text "
                "as it is written (hypertok extend --text surface)"
            )
        return Spelling.of(self._delta)

    def explain(self, word: str) -> tuple[Explained, ...]:
        """Why the tokens of a word, alone and after a space, are what they are; of any other text, too.

        Raises:
            InputError: a lone surrogate in it.
        """
        both = ((written, self.tokens(written)) for written in (word, f" {word}"))
        return tuple(self._explained(written, token) for written, tokens in both for token in tokens)

    def constituents(self, identifier: int) -> tuple[Constituent, ...]:
        """The stock tokens that a new unit stands for; none for a stock token."""
        row = self._row_of.get(identifier)
        if row is None:
            return ()
        ids, lengths = self._delta["constituents"][row].to_list(), self._delta["lengths"][row].to_list()
        return tuple(
            Constituent(one, spelled(self.plain.text_of(one)), length) for one, length in zip(ids, lengths, strict=True)
        )

    def _explained(self, written: str, token: Token) -> Explained:
        row, text = self._row_of.get(token.id), token.text
        if self._symbols:
            text = spelled(self.plain.text_of(token.id))
        if row is None:
            return Explained(written, token.id, text, False)
        from hypertok.lexicon.inflections import shipped_inflections

        record, keys = self._delta.row(row, named=True), shipped_inflections().keys
        inflections = [keys[one - 1] if 0 < one <= len(keys) else f"inflection {one}" for one in record["inflections"]]
        return Explained(
            written,
            token.id,
            text,
            True,
            tuple(map(self._concept, record["concepts"])),
            tuple(key for key in inflections if key),
            self.constituents(token.id),
            record["count"],
            record["saved"],
        )

    def _concept(self, number: int) -> Concept:
        from hypertok.lexicon.lexicon import Concept

        if number >= self._concepts.height:
            raise ArtifactError(
                f"{self.folder / DELTA}: concept {number} is not in concepts.parquet "
                f"({self._concepts.height} rows); make the tokenizer again with: {KIND.command}"
            )
        return Concept.of(number, self._concepts.row(number, named=True))

    @cached_property
    def _delta(self) -> pl.DataFrame:
        return read_table(self.folder / DELTA)

    @cached_property
    def _row_of(self) -> dict[int, int]:
        """Row of each new id in the delta."""
        return {identifier: row for row, identifier in enumerate(self._delta["id"])}

    @cached_property
    def _concepts(self) -> pl.DataFrame:
        return read_table(self.folder / "concepts.parquet")
