"""Units over symbol text: which concepts are written as symbols, and the tokens that cover symbols and marks."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import polars as pl
from tokenizers import Tokenizer, models

from hypertok.codec import marks
from hypertok.codec.marks import ESCAPE
from hypertok.errors import InputError
from hypertok.lexicon.book import Book
from hypertok.vocabulary.merges import allowed, count_emitted, merges_for
from hypertok.vocabulary.segmentation import BATCH, Segmentation
from hypertok.vocabulary.symbol_codec import GLUE, SymbolCodec
from hypertok.vocabulary.texts import rounded, word_table
from hypertok.vocabulary.units import Span, StockTokenizer, TooFewUnits, Units

#: Marks and symbols met less often are no rows of their own.
_LEAST = 10
#: Share of the rows that single symbols may take where they need whole rows (SentencePiece style).
_WHOLE_SHARE = 0.3
#: First bytes of a letter U+0400–U+04FF, or of a character from U+2190 on; UTF-8 has them nowhere else.
_OWN = rb"[\xd0-\xd3\xe3-\xf4]|\xe2(?:\x86[\x90-\xbf]|[\x87-\xbf])"
_FIRST_LETTER = 0xF0000


class SymbolStock(StockTokenizer, Protocol):
    """What learning over symbol text asks of a stock tokenizer besides; `hypertok.tokenizer.stock.Stock` has it."""

    def alphabet_of(self, text: str) -> str:
        """Text as the vocabulary writes it."""


@dataclass(frozen=True)
class SymbolUnits:
    """What `learn_symbol_units` gives.

    Attributes:
        units: the new tokens. A token of one character without a merge (SentencePiece style) is found as a character.
        symbols: the symbols that the codec is to write; pass them to `restricted_codec` and `symbol_run_pattern`.
    """

    units: Units
    symbols: frozenset[str]


def learn_symbol_units(
    stock: SymbolStock, concepts: pl.DataFrame, forms: pl.DataFrame, runs: pl.DataFrame, rows: int, span: Span
) -> SymbolUnits:
    """The best `rows` units for text written in symbols.

    Byte-level tokenizers write every concept as its symbol: a symbol without a row is two or three stock tokens, which
    is still less than the word (Qwen3, 8,000 rows, a tenth of the corpora, literature: 3.86 characters per token; only
    symbols of at most two stock tokens 3.78, only symbols that are or become one token 3.62–3.70; surface 3.58). Of
    each mark a row is made first, then byte-pair merges decide alone what is worth a row (rows made first for the
    frequent symbols too: no gain, 3.864 against 3.862 characters per token with 8,000 rows on a tenth of the corpora).
    SentencePiece-style tokenizers cannot merge the bytes of a character that is not in the vocabulary, so there the
    most frequent symbols get a row each and words of the other concepts stay as they are.

    Args:
        stock: the tokenizer to extend.
        concepts, forms: the lexicon's tables.
        runs: columns run, count, weight: what to learn from.
        rows: new tokens wanted.
        span: "word" learns no units across words.

    Raises:
        InputError: fewer rows than the marks take, or more than the runs have units for.
    """
    book = Book(concepts, forms)
    table = runs if span == "phrase" else word_table(runs).sort("weight", "run", descending=[True, False])
    counts = rounded(table["weight"].to_numpy())
    texts = table.filter(pl.Series(counts > 0))["run"].to_list()
    frequency = table["count"].to_numpy()[counts > 0].astype(np.int64)
    counts = counts[counts > 0]
    symbols = frozenset(concepts["symbol"].to_list())
    coded = _coded(SymbolCodec(book, symbols), texts)
    seen = _characters(coded, counts)
    whole = len(stock.alphabet_of(GLUE)) == 1
    least = 1 if whole else _LEAST
    used = [mark for mark in map(chr, range(marks.BLOCK_FIRST, marks.BLOCK_LAST + 1)) if seen[ord(mark)] >= least]
    first = _most_frequent({ESCAPE, GLUE, *marks.CASE_MARKS, *used}, seen)
    if whole:
        free = {symbol for symbol in symbols if symbol in stock.vocabulary}
        wanted = [symbol for symbol in _most_frequent(symbols - free, seen) if seen[ord(symbol)] >= _LEAST]
        first += wanted[: int(rows * _WHOLE_SHARE)]
        symbols = frozenset(free.union(first) & symbols)
        coded = _coded(SymbolCodec(book, symbols), texts)
    letters = _Letters(stock, coded, first, whole)
    if len(letters.tokens) > rows:
        raise InputError(f"{rows} new rows are fewer than the {len(letters.tokens)} of the marks; ask for more rows")
    return _learned(stock, letters, rows, counts, frequency, symbols)


class _Letters:
    """Symbol text in private characters: one for each stock token, one for each mark or symbol with a row."""

    def __init__(self, stock: SymbolStock, texts: list[str], characters: list[str], whole: bool) -> None:
        segmentation = Segmentation.of(stock, texts)
        private = {string: character for character, string in segmentation.strings.items()}
        vocabulary = {character: number for number, character in enumerate(segmentation.strings)}
        strings = dict(enumerate(segmentation.strings.values()))
        parts: dict[int, tuple[int, ...]] = {
            number: (segmentation.ids[character],) for character, number in vocabulary.items()
        }
        known = set(stock.merges)
        private_merges: list[tuple[str, str]] = []
        self.tokens: dict[str, tuple[int, ...]] = {}
        self.merges: list[tuple[str, str]] = []
        for character, ids in zip(characters, stock.segment(characters), strict=True):
            path = [stock.token_of[number] for number in ids]
            if len(path) < 2:
                if whole and stock.alphabet_of(character) not in stock.vocabulary:
                    raise InputError(
                        f"the tokenizer has no token for U+{ord(character):04X} and spells no bytes "
                        "(byte_fallback), so it reads no symbol text; extend it for text as it is written "
                        "(--text surface)"
                    )
                continue
            string = path[0]
            for at, part in enumerate(path[1:], 2):
                left, string = string, string + part
                last = at == len(path)
                if whole and last:
                    string = stock.alphabet_of(character)
                if string not in stock.vocabulary and (last or not whole):
                    self.tokens.setdefault(string, tuple(ids[:at]))
                if not whole and (left, part) not in known:
                    known.add((left, part))
                    self.merges.append((left, part))
                if left in private and part in private and private[left] + private[part] not in vocabulary:
                    private_merges.append((private[left], private[part]))
                    number = vocabulary.setdefault(private[left] + private[part], len(vocabulary))
                    strings[number], parts[number] = string, tuple(ids[:at])
                    private[string] = private[left] + private[part]
        tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=private_merges, cache_capacity=0))
        self.words: list[str] = []
        for start in range(0, len(texts), BATCH):
            for encoding in tokenizer.encode_batch_fast(segmentation.words[start : start + BATCH]):
                self.words.append("".join([chr(_FIRST_LETTER + number) for number in encoding.ids]))
        self.strings = {chr(_FIRST_LETTER + number): string for number, string in strings.items()}
        self.ids = {chr(_FIRST_LETTER + number): ids for number, ids in parts.items()}
        #: See `StockTokenizer.unmergeable`; "<0xEE><0x84>" is the beginning of a character outside the vocabulary.
        self.unmergeable = {
            letter
            for letter, string in self.strings.items()
            if string in stock.unmergeable or (whole and string.startswith("<0x"))
        }

    def string(self, word: str) -> str:
        """The vocabulary string of a private string."""
        return "".join([self.strings[letter] for letter in word])


def _learned(
    stock: SymbolStock,
    letters: _Letters,
    rows: int,
    counts: npt.NDArray[np.int64],
    frequency: npt.NDArray[np.int64],
    symbols: frozenset[str],
) -> SymbolUnits:
    tokens, merges = dict(letters.tokens), list(letters.merges)
    learned = merges_for(letters.words, counts.tolist(), rows - len(tokens), lambda: len(tokens) == rows)
    known = {*stock.merges, *merges}
    used: list[tuple[str, str]] = []
    for left, right in allowed(learned, stock, letters.string, own_bytes(symbols), letters.unmergeable):
        pair = letters.string(left), letters.string(right)
        string = pair[0] + pair[1]
        if string not in stock.vocabulary and string not in tokens:
            if len(tokens) == rows:
                break
            tokens[string] = tuple(number for letter in left + right for number in letters.ids[letter])
        used.append((left, right))
        if pair not in known:
            known.add(pair)
            merges.append(pair)
    if len(tokens) < rows:
        raise TooFewUnits(rows, len(tokens))
    emitted: Counter[str] = Counter()  # two private strings may be the same token
    for private, count in count_emitted(letters.words, letters.strings, used, frequency).items():
        emitted[letters.string(private)] += count
    units = Units(tuple(tokens), tuple(merges), tuple(emitted[string] for string in tokens), tuple(tokens.values()))
    return SymbolUnits(units, symbols)


def own_bytes(symbols: Iterable[str]) -> re.Pattern[bytes]:
    """What tells bytes of symbol text and Russian: the beginning of a Cyrillic letter, or of a character that may be a
    symbol. Bytes without (the end of a symbol, " -" between two) stand in other text too, and to merge them changes it.

    Args:
        symbols: those in use; a few lie below U+2190.
    """
    return re.compile(b"|".join([_OWN, *(re.escape(symbol.encode()) for symbol in marks.low_symbols(symbols))]))


def _coded(codec: SymbolCodec, runs: list[str]) -> list[str]:
    """Runs in symbols. A run was cut out of text: the space it begins with follows a word, so it is implied."""
    begins = codec.symbols.union(marks.CASE_MARKS)
    texts = map(codec.encode, runs)
    return [text[1:] if text[:1] == " " and text[1:2] in begins else text for text in texts]


def _characters(texts: list[str], counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """How often each code point occurs."""
    points = np.frombuffer("".join(texts).encode("utf-32-le"), np.uint32)
    weights = np.repeat(counts, [len(text) for text in texts]).astype(np.float64)
    return np.bincount(points, weights, minlength=0x110000).astype(np.float64)


def _most_frequent(characters: Iterable[str], seen: npt.NDArray[np.float64]) -> list[str]:
    return sorted(characters, key=lambda character: (-seen[ord(character)], character))
