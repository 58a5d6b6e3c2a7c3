"""Units over symbol text: which concepts are written as symbols, and the tokens that cover symbols and marks.

Text is first written by a codec that knows the chosen concepts only; other words stay as they are, so that stock tokens
and ordinary units cover them. The space before a coded word is left out where it can be told from what stands before
it: a stock tokenizer would glue it to the first bytes of the symbol and lose characters that are one token to it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import polars as pl
from tokenizers import Tokenizer, models

from hypertok.codec import marks
from hypertok.codec.codec import Code, Codec
from hypertok.codec.marks import ESCAPE
from hypertok.corpus.words import LETTERS
from hypertok.errors import InputError
from hypertok.lexicon.book import Book
from hypertok.vocabulary.merges import count_emitted, learn_merges
from hypertok.vocabulary.segmentation import Segmentation
from hypertok.vocabulary.texts import rounded, word_table
from hypertok.vocabulary.units import Span, StockTokenizer, Units

#: Stands between a coded word and what it touches without the space that is expected there. The codec writes no such
#: character and escapes it in text, as all of the marks' block.
GLUE = "\ue005"
#: After these characters, as after a coded word, a coded word is expected to follow a space.
_SPACED = rf"{LETTERS}A-Za-z0-9,;:.!?…—–»”)%"
_CASES = f"{marks.CASE_MARKS[0]}-{marks.CASE_MARKS[-1]}"
_INFLECTIONS = f"{chr(marks.INFLECTION_FIRST)}-{chr(marks.INFLECTION_LAST)}"
_VARIANTS = f"{marks.VARIANTS[0]}-{marks.VARIANTS[-1]}"


class _Restricted:
    """A code book that knows some of the symbols only."""

    def __init__(self, book: Book, symbols: frozenset[str]) -> None:
        self._book = book
        self.symbols = symbols

    def code_of(self, form: str) -> Code | None:
        return self._book.code_of(form)  # the codec itself leaves words of other symbols alone

    def form_at(self, symbol: str, inflection: int, variant: int) -> tuple[str, tuple[int, ...]] | None:
        return self._book.form_at(symbol, inflection, variant)

    def longest_phrase(self, first_word: str) -> int:
        return self._book.longest_phrase(first_word)


class SymbolCodec(Codec):
    """A codec for tokenizers: writes some concepts only, and leaves out the spaces that coded words imply."""

    def __init__(self, book: Book, symbols: frozenset[str]) -> None:
        """Raises CodecError as `Codec` does."""
        super().__init__(_Restricted(book, symbols))
        self.symbols = symbols
        low = "".join(sorted(symbol for symbol in symbols if ord(symbol) < marks.SYMBOLS_FIRST))
        starts = f"{_CASES}{_ranges(symbols)}"
        # The wide range comes first because the exact one is slow to say no.
        start = f"(?=[{re.escape(low)}{chr(marks.SYMBOLS_FIRST)}-\U0010ffff])(?=[{starts}])"
        before = f"[{_SPACED}{_INFLECTIONS}{_VARIANTS}{_ranges(symbols)}]"
        self._closing = re.compile(f"{ESCAPE}.|({before})( ?){start}", re.DOTALL)
        self._opening = re.compile(f"{ESCAPE}.|({before})({GLUE}?){start}", re.DOTALL)

    def encode(self, text: str) -> str:
        """Symbol text of `text` without implied spaces; `decode` restores the text exactly."""
        return self.close(super().encode(text)) if self.symbols else super().encode(text)

    def decode(self, symbols: str) -> str:
        """The text whose symbol text this is.

        Raises:
            CodecError: a mark without its symbol, or an inflection that the concept does not have.
        """
        return super().decode(self.open(symbols) if self.symbols else symbols)

    def close(self, symbols: str) -> str:
        """Plain symbol text without the spaces that are implied."""
        return self._closing.sub(_closed, symbols)

    def open(self, symbols: str) -> str:
        """Plain symbol text again."""
        return self._opening.sub(_opened, symbols)


def _closed(match: re.Match[str]) -> str:
    before, space = match.groups()
    if before is None:
        return match[0]
    return before if space else before + GLUE


def _opened(match: re.Match[str]) -> str:
    before, glue = match.groups()
    if before is None:
        return match[0]
    return before if glue else f"{before} "


def _ranges(characters: Iterable[str]) -> str:
    """The inside of a character class of exactly these characters."""
    return "".join(_range_list(characters))


def _range_list(characters: Iterable[str]) -> list[str]:
    found: list[list[int]] = []
    for place in sorted(map(ord, characters)):
        if found and place == found[-1][1] + 1:
            found[-1][1] = place
        else:
            found.append([place, place])
    return [re.escape(chr(a)) + (f"-{re.escape(chr(b))}" if b > a else "") for a, b in found]


def restricted_codec(concepts: pl.DataFrame, forms: pl.DataFrame, symbols: frozenset[str]) -> SymbolCodec:
    """A lossless codec that writes the concepts of `symbols`; every other word stays as it is written.

    Raises:
        CodecError: a symbol that cannot be one.
    """
    return SymbolCodec(Book(concepts, forms), symbols)


def symbol_run_pattern(symbols: Collection[str], max_words: int = 64) -> str:
    """The regular expression of a run of words of symbol text, at least one of them coded or Russian.

    It is meant to stand before the stock pattern in an alternation. A run has no space before a coded word and may
    have one before its first Russian word.

    Args:
        symbols: the symbols in use.
        max_words: words in a run at most; the rest is another run.
    """
    parts = _range_list(symbols)
    one_of = "|".join(f"[{''.join(parts[at : at + _CLASS])}]" for at in range(0, len(parts), _CLASS)) or "(?!)"
    coded = f"(?:[{_CASES}]?(?:{one_of})[{_INFLECTIONS}]?[{_VARIANTS}]?)"
    signs = "".join(_range_list(symbol for symbol in symbols if not symbol.isalpha()))
    block = f"{chr(marks.BLOCK_FIRST)}-{chr(marks.BLOCK_LAST)}"
    first = rf"(?:{coded}|[^\r\n\p{{L}}\p{{M}}\p{{N}}{block}{signs}]?{_RUSSIAN})"
    further = rf"(?:(?:[,;:]?(?: (?:[—–]|- ))?|-){coded}|(?:[,;:]? (?:[—–-] )?|-){_RUSSIAN})"
    return f"{first}{further}{{0,{max_words - 1}}}"


#: Ranges in one character class at most: Oniguruma takes 10,000 in all parts of a class.
_CLASS = 4_000
_RUSSIAN = r"(?:[А-ЯЁ]?[а-яё]{1,48}|[А-ЯЁ]{1,48})(?![\p{L}\p{M}\p{N}'])"


class SymbolStock(StockTokenizer, Protocol):
    """What learning over symbol text asks of a stock tokenizer besides; `hypertok.tokenizer.stock.Stock` has it."""

    @property
    def merges(self) -> list[tuple[str, str]]:
        """The merges in rank order."""

    def alphabet_of(self, text: str) -> str:
        """Text as the vocabulary writes it."""


@dataclass(frozen=True)
class SymbolUnits:
    """What `learn_symbol_units` gives.

    Attributes:
        units: the new tokens. A token of one character without a merge (SentencePiece style) is found as a character.
        symbols: the symbols that the codec is to write; pass them to `restricted_codec` and `symbol_run_pattern`.
        sorts: how many of the new rows are marks, single symbols, parts of characters, joins (of symbols, marks and
            words) and plain surface text.
    """

    units: Units
    symbols: frozenset[str]
    sorts: dict[str, int]


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
    table = runs if span == "phrase" else word_table(runs)
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


#: Marks and symbols met less often are no rows of their own.
_LEAST = 10
#: Share of the rows that single symbols may take where they need whole rows (SentencePiece style).
_WHOLE_SHARE = 0.3
#: Merges that make a token that the stock tokenizer has take no row: room for them.
_SPARE = 1.02
_BATCH = 50_000
_FIRST_LETTER = 0xF0000


class _Letters:
    """Symbol text in private characters: one for each stock token, one for each mark or symbol with a row."""

    def __init__(self, stock: SymbolStock, texts: list[str], characters: list[str], whole: bool) -> None:
        segmentation = Segmentation.of(stock, texts)
        private = {string: character for character, string in segmentation.strings.items()}
        names = {number: string for string, number in stock.vocabulary.items()}
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
            path = [names[number] for number in ids]
            if len(path) == 1:
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
        for start in range(0, len(texts), _BATCH):
            for encoding in tokenizer.encode_batch_fast(segmentation.words[start : start + _BATCH]):
                self.words.append("".join([chr(_FIRST_LETTER + number) for number in encoding.ids]))
        self.strings = {chr(_FIRST_LETTER + number): string for number, string in strings.items()}
        self.ids = {chr(_FIRST_LETTER + number): ids for number, ids in parts.items()}
        #: Bytes of characters outside the vocabulary: SentencePiece-style merging is over before they appear.
        self.unmergeable = {letter for letter, string in self.strings.items() if whole and string.startswith("<0x")}

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
    learned = learn_merges(letters.words, counts.tolist(), int((rows - len(tokens)) * _SPARE) + 64)
    known = {*stock.merges, *merges}
    used: list[tuple[str, str]] = []
    for left, right in learned:
        if not letters.unmergeable.isdisjoint(left + right):
            continue
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
        raise InputError(
            f"{rows} new rows are more than the lexicon's corpus has units for ({len(tokens)}); "
            f"ask for at most {len(tokens)} rows, or build the lexicon from more text"
        )
    emitted: Counter[str] = Counter()  # two private strings may be the same token
    for private, count in count_emitted(letters.words, letters.strings, used, frequency).items():
        emitted[letters.string(private)] += count
    units = Units(tuple(tokens), tuple(merges), tuple(emitted[string] for string in tokens), tuple(tokens.values()))
    sorts = Counter(_sort(stock.bytes_of(token), symbols) for token in tokens)
    return SymbolUnits(units, symbols, dict(sorts))


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


def _sort(raw: bytes, symbols: frozenset[str]) -> str:
    """What a new token is, for the report."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return "parts"
    if all(marks.BLOCK_FIRST <= ord(character) <= marks.BLOCK_LAST for character in text):
        return "marks"
    if text in symbols:
        return "symbols"
    return (
        "joins"
        if any(ord(character) >= marks.SYMBOLS_FIRST or character in symbols for character in text)
        else "surface"
    )
