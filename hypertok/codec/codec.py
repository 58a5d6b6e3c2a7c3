"""Text to symbol text and back, without loss for every `str`.

A word that the lexicon knows becomes `[case mark] symbol [inflection mark] [variant mark]`; everything else
stays as it is, and a character of the text that is a mark, or a symbol of this lexicon or of one that may grow out of
it, is escaped. Each word is checked once: if its code does not lead back to exactly that word, the word stays raw.
Losslessness therefore rests on this file alone and not on the lexicon's content.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from hypertok.codec import marks
from hypertok.codec.book import CodeBook
from hypertok.codec.marks import ESCAPE
from hypertok.corpus.words import JOINERS, LETTERS, STRESS, WORD_PATTERN
from hypertok.errors import CodecError

#: Cached pieces per direction; a piece takes about 200 bytes, and 500,000 cover 107 MB of mixed Russian text.
CACHE_LIMIT = 500_000
#: Characters from which a block of lines is coded: pieces of a whole text took 13 times its size. A code, a phrase
#: and an escape never go over a line end.
BLOCK = 1 << 20
#: Longer pieces (a page of English is one) hardly ever come twice and are not cached.
CACHED_LENGTH = 100


class Codec:
    """Encodes and decodes with one code book; keeps caches, so reuse it."""

    def __init__(self, book: CodeBook, *, concepts_only: bool = False) -> None:
        """`concepts_only` drops case, inflection and variant marks: what remains is lossy and says what
        the text is about, not how it is worded.

        Raises:
            CodecError: the book has a symbol that is part of words, ASCII or one of the marks.
        """
        _check_symbols(book.symbols)
        self._decoder = _DecodeCache(book)
        self._encoder = _EncodeCache(book, concepts_only)
        self._phrases = _PhraseCache(self._encoder)

    def encode(self, text: str) -> str:
        """Symbol text of `text`; `decode` restores it exactly (not with `concepts_only`).

        Lone surrogates are carried through like any other character.
        """
        return "".join(["".join(self.pieces(block)) for block in _blocks(text)])

    def pieces(self, text: str) -> list[str]:
        """The codes of the text's pieces in order: words (with the space after them) and raw runs.

        Joined, they are `encode(text)`. Empty strings stand where a piece became part of a phrase.
        """
        found = _PIECE.findall(text)
        codes = list(map(self._encoder.__getitem__, found))
        starts = self._encoder.starts
        if not starts.isdisjoint(found):
            self._join_phrases(found, codes)
        self._encoder.trim()
        return codes

    def decode(self, symbols: str) -> str:
        """The text whose symbol text this is.

        Raises:
            CodecError: a mark without its symbol, or an inflection that the concept does not have.
        """
        try:
            return "".join([self._decode(block) for block in _blocks(symbols)])
        except _BadCode as error:
            raise self._located(symbols, error) from None

    def _decode(self, symbols: str) -> str:
        text = "".join(map(self._decoder.__getitem__, self._decoder.pattern.findall(symbols)))
        self._decoder.trim()
        return text

    def _join_phrases(self, found: list[str], codes: list[str]) -> None:
        starts, done = self._encoder.starts, 0
        for at in [i for i, piece in enumerate(found) if piece in starts]:
            if at < done:
                continue
            for words in range(min(self._encoder.longest[found[at]], len(found) - at), 1, -1):
                code = self._phrases["".join(found[at : at + words])]
                if code is not None:
                    codes[at] = code
                    codes[at + 1 : at + words] = [""] * (words - 1)
                    done = at + words
                    break
        self._phrases.trim()

    def _located(self, symbols: str, error: _BadCode) -> CodecError:
        for match in self._decoder.pattern.finditer(symbols):
            try:
                self._decoder[match[0]]
            except _BadCode:
                line = symbols.count("\n", 0, match.start()) + 1
                return CodecError(
                    f"character {match.start()} (line {line}): {error} Decode with the lexicon that "
                    "encoded this text, and do not edit symbol text by hand."
                )
        return CodecError(str(error))


def _blocks(text: str) -> Iterator[str]:
    start = 0
    while start < len(text):
        stop = text.find("\n", start + BLOCK) + 1 or len(text)
        yield text[start:stop]
        start = stop


def _check_symbols(symbols: frozenset[str]) -> None:
    """A raw word is written without escapes, so nothing that can stand in a word may be a symbol."""
    wrong = [symbol for symbol in symbols if len(symbol) != 1] or _NOT_SYMBOL.findall("".join(symbols))
    if wrong:
        raise CodecError(
            f"{min(wrong)!r} cannot be a concept symbol: symbols are single characters outside ASCII, "
            "Cyrillic, hyphens, apostrophes and the marks; build the lexicon again"
        )


_NOT_SYMBOL = re.compile(f"[{JOINERS}{STRESS}\0-\x7f{LETTERS}{marks.BLOCK_RANGE}]")
_PIECE = re.compile(rf"{WORD_PATTERN} ?|[^{LETTERS}]+")
_CASE, _VARIANT, _INFLECTION = f"[{marks.CASE_RANGE}]", f"[{marks.VARIANT_RANGE}]", f"[{marks.INFLECTION_RANGE}]"


#: Case mark, symbol, inflection mark, variant mark, space.
_LONGEST_CODE = 5


class _BadCode(Exception):
    pass


class _Cache(dict[str, str]):
    def keep(self, piece: str, result: str) -> str:
        if len(piece) <= CACHED_LENGTH:
            self[piece] = result
        return result

    def trim(self) -> None:
        if len(self) > CACHE_LIMIT:
            self.clear()


class _DecodeCache(_Cache):
    """Piece of symbol text -> text."""

    def __init__(self, book: CodeBook) -> None:
        super().__init__()
        self.book = book
        self.symbols = book.symbols
        low = re.escape(marks.low_symbols(self.symbols))
        first, last = chr(marks.SYMBOLS_FIRST), chr(marks.BLOCK_LAST + 1)
        symbol = f"[{first}-{chr(marks.BLOCK_FIRST - 1)}{last}-\U0010ffff{low}]"
        self.word = re.compile(f"({_CASE}?)({symbol})({_INFLECTION}?)({_VARIANT}?)")
        self.pattern = re.compile(
            f"[^{first}-\U0010ffff{low}]+|{_CASE}?{symbol}{_INFLECTION}?{_VARIANT}? ?|{ESCAPE}.|.", re.DOTALL
        )

    def __missing__(self, piece: str) -> str:
        return self.keep(piece, self._decode(piece))

    def _decode(self, piece: str) -> str:
        if piece[0] == ESCAPE:
            if len(piece) == 1:
                raise _BadCode("an escape mark at the end of the text.")
            return piece[1]
        if piece[-1] == " " and 1 < len(piece) <= _LONGEST_CODE:  # most words are met both with and without
            return self[piece[:-1]] + " "
        match = self.word.fullmatch(piece)
        if match is None:
            if marks.BLOCK_FIRST <= ord(piece[0]) <= marks.BLOCK_LAST:
                raise _BadCode(f"the mark U+{ord(piece[0]):04X} stands without a concept symbol.")
            return piece
        case, symbol, inflection, variant = match.groups()
        if symbol not in self.symbols:
            if case or inflection or variant:
                raise _BadCode(f"{symbol!r} (U+{ord(symbol):04X}) is not a concept symbol of this lexicon.")
            return piece
        found = self.book.form_at(symbol, marks.inflection_id(inflection), marks.variant_id(variant))
        if found is None:
            raise _BadCode(f"the concept {symbol!r} has no such form in this lexicon.")
        form, cases = found
        try:
            return marks.apply_case(form, marks.cases_of(case, cases))
        except ValueError:
            raise _BadCode(f"{form!r} does not have the {len(cases)} words of its concept {symbol!r}.") from None


class _EncodeCache(_Cache):
    """Piece of text -> piece of symbol text; notes on the way which pieces can start a phrase."""

    def __init__(self, book: CodeBook, concepts_only: bool) -> None:
        super().__init__()
        self.book = book
        self.symbols = book.symbols
        self.concepts_only = concepts_only
        self.starts: set[str] = set()
        self.longest: dict[str, int] = {}

    def trim(self) -> None:
        if len(self) > CACHE_LIMIT:
            self.clear()
            self.starts.clear()
            self.longest.clear()

    def __missing__(self, piece: str) -> str:
        return self.keep(piece, self._encode(piece))

    def _encode(self, piece: str) -> str:
        if piece.isascii():
            return piece
        if not _WORD_START.match(piece):
            return self._escape(piece)
        if piece[-1] != " ":
            return self.word_code(piece) or self._parts(piece)
        word = piece[:-1]
        words = self.book.longest_phrase(word.lower())
        if words:
            self.starts.add(piece)
            self.longest[piece] = words
        return self[word] + " "

    def word_code(self, surface: str) -> str | None:
        """Code of a word or phrase as written, None if it has no code that decodes to exactly this.

        Asking the book back and taking a case mark that makes `surface` of the very same form is the proof.
        """
        form = surface.lower()
        code = self.book.code_of(form)
        if code is None or code.symbol not in self.symbols:
            return None
        symbol, inflection, variant, cases = code
        if self.book.form_at(symbol, inflection, variant) != (form, cases):
            return None
        try:
            case = marks.case_mark(surface, form, cases)
            if case is None:
                return None
            written = f"{case}{symbol}{marks.inflection_mark(inflection)}{marks.variant_mark(variant)}"
        except ValueError:  # no such mark, or cases that do not fit: the book contradicts itself
            return None
        return symbol if self.concepts_only else written

    def _parts(self, word: str) -> str:
        """A hyphenated word that is no concept itself: each part on its own."""
        if "-" not in word:
            return word
        return "-".join(self.word_code(part) or part for part in word.split("-"))

    def _escape(self, run: str) -> str:
        symbols, reserved = self.symbols, self.book.is_reserved
        return "".join(
            ESCAPE + c if c in symbols or reserved(c) or marks.BLOCK_FIRST <= ord(c) <= marks.BLOCK_LAST else c
            for c in run
        )


class _PhraseCache(dict[str, str | None]):
    """Pieces joined -> code of the phrase (with the space after it), None if they are no phrase."""

    def __init__(self, encoder: _EncodeCache) -> None:
        super().__init__()
        self.encoder = encoder

    def trim(self) -> None:
        if len(self) > CACHE_LIMIT:
            self.clear()

    def __missing__(self, joined: str) -> str | None:
        phrase = joined[:-1] if joined[-1] == " " else joined
        code = self.encoder.word_code(phrase)
        result = None if code is None else code + joined[len(phrase) :]
        if len(joined) <= CACHED_LENGTH:
            self[joined] = result
        return result


_WORD_START = re.compile(f"[{LETTERS}]")
