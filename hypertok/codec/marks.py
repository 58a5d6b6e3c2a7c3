"""The signs of symbol text that are not concepts: escape, case marks, variant marks, inflection marks.

They fill a fixed block of the first private use plane, disjoint from every concept symbol, so symbol text
can be cut into words without knowing the lexicon.

| range       | meaning                                                                      |
|-------------|------------------------------------------------------------------------------|
| U+E000      | escape: the next character stands for itself                                 |
| U+E001–E004 | case marks, before the symbol: lower, Title, UPPER, Title-In-Every-Part       |
| U+E010–E01F | variant marks, last: the second, third … form with the same inflection        |
| U+E100–E4FF | inflection marks, after the symbol; none for the base form                   |
"""

from __future__ import annotations

from collections.abc import Iterable

from hypertok.corpus.stream import LOWER, TITLE, UPPER

ESCAPE = "\ue000"
CASE_LOWER, CASE_TITLE, CASE_UPPER, CASE_EACH = CASE_MARKS = "\ue001\ue002\ue003\ue004"
VARIANTS = "".join(map(chr, range(0xE010, 0xE020)))
INFLECTION_FIRST, INFLECTION_LAST = 0xE100, 0xE4FF
BLOCK_FIRST, BLOCK_LAST = 0xE000, 0xE4FF
#: The marks as the inside of a character class.
CASE_RANGE, VARIANT_RANGE = f"{CASE_MARKS[0]}-{CASE_MARKS[-1]}", f"{VARIANTS[0]}-{VARIANTS[-1]}"
INFLECTION_RANGE = f"{chr(INFLECTION_FIRST)}-{chr(INFLECTION_LAST)}"
BLOCK_RANGE = f"{chr(BLOCK_FIRST)}-{chr(BLOCK_LAST)}"
#: No concept symbol lies below this code point, except a few signs (§, €, ±) that the lexicon names.
SYMBOLS_FIRST = 0x2190

EACH = 3
_MARK_OF = {LOWER: CASE_LOWER, TITLE: CASE_TITLE, UPPER: CASE_UPPER, EACH: CASE_EACH}
_CASE_OF = {mark: case for case, mark in _MARK_OF.items()}


def low_symbols(symbols: Iterable[str]) -> str:
    """Those of the symbols that lie below `SYMBOLS_FIRST`, sorted."""
    return "".join(sorted(symbol for symbol in symbols if ord(symbol) < SYMBOLS_FIRST))


def inflection_mark(inflection: int) -> str:
    """The mark of an inflection id; the base form, id 0, has none.

    Raises:
        ValueError: the block has no mark for this number.
    """
    if not 0 <= inflection <= INFLECTION_LAST - INFLECTION_FIRST + 1:
        raise ValueError(f"no mark for inflection {inflection}")
    return chr(INFLECTION_FIRST + inflection - 1) if inflection else ""


def inflection_id(mark: str) -> int:
    """The inflection id of a mark ('' is the base form)."""
    return ord(mark) - INFLECTION_FIRST + 1 if mark else 0


def variant_mark(variant: int) -> str:
    """The mark of the n-th form with the same inflection; the first has none.

    Raises:
        ValueError: the block has no mark for this number.
    """
    if not 0 <= variant <= len(VARIANTS):
        raise ValueError(f"no mark for variant {variant}")
    return VARIANTS[variant - 1] if variant else ""


def variant_id(mark: str) -> int:
    """The variant number of a mark ('' is the first)."""
    return VARIANTS.index(mark) + 1 if mark else 0


def apply_case(words: str, cases: tuple[int, ...]) -> str:
    """Lower-case `words` (one, or several joined by single spaces) in the given case, one per word.

    Raises:
        ValueError: several cases, and not one per word.

    >>> apply_case("цикл кребса", (0, 1))
    'цикл Кребса'
    """
    if len(cases) == 1:
        return _apply(words, cases[0])
    return " ".join(_apply(word, case) for word, case in zip(words.split(" "), cases, strict=True))


def case_mark(surface: str, form: str, default: tuple[int, ...]) -> str | None:
    """The mark that turns `form`, whose usual case is `default`, into `surface`; None if no mark does.

    Raises:
        ValueError: `default` does not fit the number of words.

    >>> case_mark("цикл Кребса", "цикл кребса", (0, 1))
    ''
    >>> case_mark("Цикл Кребса", "цикл кребса", (0, 1)) == CASE_TITLE
    True
    """
    if apply_case(form, default) == surface:
        return ""
    for mark in CASE_MARKS:
        if apply_case(form, cases_of(mark, default)) == surface:
            return mark
    return None


def cases_of(mark: str, default: tuple[int, ...]) -> tuple[int, ...]:
    """The case of every word under a mark. A Title mark on a phrase lifts its first word only."""
    if not mark:
        return default
    case = _CASE_OF[mark]
    return (case, *default[1:]) if case == TITLE else (case,) * len(default)


def _apply(word: str, case: int) -> str:
    if case == LOWER:
        return word
    if case == UPPER:
        return word.upper()
    if case == EACH:
        return "-".join(part[:1].upper() + part[1:] for part in word.split("-"))
    return word[:1].upper() + word[1:]
