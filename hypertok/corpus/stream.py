"""Text as a stream of numbers: the compact form in which a corpus is counted, disambiguated and searched.

A token is a `uint32`: `id << 2 | case`. Ids below `FIRST_FORM` are classes of everything that is not a
Russian word; id `FIRST_FORM + n` is the n-th form of a vocabulary. White space leaves no token, so two
neighbouring words in a stream stood side by side with nothing but white space between them.
"""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from hypertok.corpus.words import JOINERS, LETTERS, STRESS, WORD_PATTERN, form_of, is_russian

Tokens = npt.NDArray[np.uint32]

BREAK, SENTENCE_END, COMMA, DASH, COLON, PUNCTUATION, NUMBER, LATIN, UNKNOWN = range(9)
FIRST_FORM = 16
LOWER, TITLE, UPPER, OTHER_CASE = range(4)

_CLASSES = {
    **dict.fromkeys(".!?…", SENTENCE_END),
    **dict.fromkeys(",", COMMA),
    **dict.fromkeys("—–-−", DASH),
    **dict.fromkeys(":;", COLON),
}
#: Initials: before another one, behind one, and before a surname («Н. Гоголь»; what ends in «я» may be the pronoun).
_INITIAL = (
    r"[А-ЯЁ]\.(?=[ \xa0]?[А-ЯЁ]\.)|(?:(?<=[А-ЯЁ]\.)|(?<=[А-ЯЁ]\.[ \xa0]))[А-ЯЁ]\.(?=[ \xa0]?[А-ЯЁ]?[А-ЯЁа-яё]|[,;)])"
    r"|[А-ЮЁ]\.(?=[ \xa0]?[А-ЯЁ][а-яё]{2})"
)
#: Abbreviations that end no sentence: «см.», «рис. 5», «XIX в.», «т. е.», «и т. д.» but for its point before a capital.
_ABBREVIATION = (
    r"(?<![0-9])(?<![0-9][ \xa0])(?:[Сс]м\.(?=[ \xa0]?[0-9а-яё«])|(?:[Рр]ис|[Гг]л|[Сс]тр|[Тт]абл|ст|с|п)\."
    r"(?=[ \xa0]?[0-9]))|(?<=[0-9IVXLC][ \xa0])(?:гг?|вв?)\.(?!\s+[А-ЯЁ])"
    r"|[Тт]\.[ \xa0]?(?:[екн]\.|[дп](?=\.\s+[А-ЯЁ])|[дп]\.)"
)
#: A number with its ending, which is no word: «3-я», «в 2024-го», «80-х».
_NUMBER = rf"[0-9]+(?:[-\u2010\u2011][А-ЯЁа-яё]{{1,3}}(?![{LETTERS}{STRESS}]|[{JOINERS}][{LETTERS}]))?"
# A paragraph ends at an empty line; a single line end does not end a sentence (verse, hard-wrapped text).
TOKEN = re.compile(
    rf"{_INITIAL}|{_ABBREVIATION}|{WORD_PATTERN}|[A-Za-z]+|{_NUMBER}|\n[^\S\n]*\n\s*|[^\w\s]|[^\W{LETTERS}A-Za-z0-9]+"
)


def case_of(surface: str) -> int:
    """Case pattern of a surface: LOWER, TITLE (first letter only), UPPER (two letters on), OTHER_CASE."""
    if surface.islower():
        return LOWER
    head, tail = surface[0], surface[1:]
    if head.isupper() and tail == tail.lower():  # the tail may be nothing, or only a stress mark
        return TITLE
    return UPPER if surface.isupper() else OTHER_CASE


class Vocabulary(dict[str, int]):
    """Numbers surfaces on first sight; `forms` are the word forms in order of first appearance."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[str] = []
        self._ids: dict[str, int] = {}

    def __missing__(self, surface: str) -> int:
        self[surface] = token = self._token(surface)
        return token

    def _token(self, surface: str) -> int:
        head = surface[0]
        if head in _CLASSES:
            return _CLASSES[head] << 2
        if head == "\n":
            return BREAK << 2
        if head.isdigit():
            return NUMBER << 2
        if not head.isalpha():
            return PUNCTUATION << 2
        form = form_of(surface)
        if not is_russian(form):
            return (LATIN if head.isascii() else UNKNOWN) << 2
        number = self._ids.get(form)
        if number is None:
            number = self._ids[form] = len(self.forms)
            self.forms.append(form)
        return (FIRST_FORM + number) << 2 | case_of(surface)


def tokenize(prose: str, vocabulary: Vocabulary) -> Tokens:
    """The stream of one document, ending in a BREAK; new forms are added to `vocabulary`. Shape (T,)."""
    found = TOKEN.findall(prose)
    found.append("\n\n")
    return np.fromiter(map(vocabulary.__getitem__, found), dtype=np.uint32, count=len(found))


def renumber(tokens: Tokens, global_ids: npt.NDArray[np.uint32]) -> Tokens:
    """The stream with local form numbers replaced: local form n becomes id `global_ids[n]`. Shape (T,).

    A form whose global id is a class (`UNKNOWN`) becomes that class; classes have no case.
    """
    cases = np.arange(4, dtype=np.uint32)
    classes = np.arange(FIRST_FORM << 2, dtype=np.uint32)
    words = (global_ids[:, None] << 2) | np.where(global_ids[:, None] < FIRST_FORM, np.uint32(0), cases)
    renumbered: Tokens = np.concatenate([classes, words.reshape(-1)])[tokens]
    return renumbered


def count_forms(tokens: Tokens, size: int) -> npt.NDArray[np.int64]:
    """How often each of `size` forms occurs in each case pattern. Shape (size, 4)."""
    words = tokens[tokens >= FIRST_FORM << 2] - np.uint32(FIRST_FORM << 2)
    return np.bincount(words, minlength=size * 4).reshape(size, 4).astype(np.int64)
