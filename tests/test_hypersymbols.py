"""Every line of lexicon/ru/hypersymbols.tsv obeys the rules that lexicon/README.md states.

Scope: the shipped tables only (no code of hypertok), and what both READMEs say of them. The checks return lists of
faults instead of stopping at the first one, so that a person who edits the table sees all wrong lines at once.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import pymorphy3
import pytest

TABLE = Path(__file__).resolve().parents[1] / "lexicon" / "ru" / "hypersymbols.tsv"
RANGES = TABLE.with_name("symbol_ranges.tsv")
HEADER = "symbol\tlemma\tpos\tcomment"
AT_LEAST = 2150

# OpenCorpora tags folded into the table's parts of speech; tags that keep their name map to themselves.
POS_OF_TAG = {
    "NOUN": "NOUN",
    "ADJF": "ADJ",
    "ADJS": "ADJ",
    "COMP": "ADJ",
    "INFN": "VERB",
    "VERB": "VERB",
    "PRTF": "VERB",
    "PRTS": "VERB",
    "GRND": "VERB",
    "ADVB": "ADV",
    "NUMR": "NUM",
    "NPRO": "PRON",
    "PREP": "PREP",
    "CONJ": "CONJ",
    "PRCL": "PRCL",
    "INTJ": "INTJ",
    "PRED": "PRED",
}
CATEGORIES = {"So", "Sm", "Sc", "Lo"}
FORMS: Final = ("NFC", "NFD", "NFKC", "NFKD")
FORBIDDEN_RANGES = {
    "ASCII": (0x0000, 0x007F),
    "private use": (0xE000, 0xF8FF),
    "variation selector": (0xFE00, 0xFE0F),
    "regional indicator": (0x1F1E6, 0x1F1FF),
    "skin tone": (0x1F3FB, 0x1F3FF),
    "tag or variation selector": (0xE0000, 0xE0FFF),
    "private use plane": (0xF0000, 0x10FFFF),
}


class Row(NamedTuple):
    line: int
    symbol: str
    lemma: str
    pos: str
    comment: str


@cache
def raw_lines() -> list[str]:
    return TABLE.read_bytes().decode("utf-8").split("\n")


@cache
def rows() -> list[Row]:
    out = []
    for number, line in enumerate(raw_lines()[1:-1], start=2):
        cells = line.split("\t")
        if len(cells) == 4:  # malformed lines are the business of test_lines_are_well_formed
            out.append(Row(number, *cells))
    return out


@cache
def composition_starters() -> frozenset[str]:
    """First characters of two-character canonical decompositions: NFC may merge them with what follows."""
    starters = set()
    for point in range(sys.maxunicode + 1):
        parts = unicodedata.decomposition(chr(point)).split()
        if len(parts) == 2 and not parts[0].startswith("<"):
            starters.add(chr(int(parts[0], 16)))
    return frozenset(starters)


@cache
def analyzer() -> pymorphy3.MorphAnalyzer:
    return pymorphy3.MorphAnalyzer()


def symbol_faults(symbol: str) -> list[str]:
    if len(symbol) != 1:
        return [f"{len(symbol)} code points instead of one"]
    faults = []
    name = unicodedata.name(symbol, "")
    if not name:
        faults.append("unknown to this Python's Unicode version")
    category = unicodedata.category(symbol)
    if category not in CATEGORIES:
        faults.append(f"category {category}")
    if category == "Lo" and not name.startswith("CJK UNIFIED IDEOGRAPH"):
        faults.append("a letter that is no hanzi")
    if re.search(r"\b(LATIN|CYRILLIC)\b.*\bLETTERS?\b|\bDIGIT\b", name):
        faults.append(f"name {name!r}")
    if unicodedata.bidirectional(symbol) in {"R", "AL", "AN"}:
        faults.append("written from right to left")
    faults += [f"changed by {form}" for form in FORMS if unicodedata.normalize(form, symbol) != symbol]
    if symbol in composition_starters():
        faults.append("begins a canonical composition")
    faults += [what for what, (low, high) in FORBIDDEN_RANGES.items() if low <= ord(symbol) <= high]
    return faults


def lemma_faults(lemma: str, pos: str) -> list[str]:
    if pos not in POS_OF_TAG.values():
        return [f"unknown part of speech {pos!r}"]
    known = {
        POS_OF_TAG.get(str(parse.tag.POS))
        for parse in analyzer().parse(lemma)
        if parse.is_known and parse.normal_form == lemma
    }
    return [] if pos in known else [f"pymorphy3 knows {lemma!r} as {known or 'nothing'}, not as {pos}"]


def assert_no_faults(faults: list[str]) -> None:
    assert not faults, f"{TABLE.name}: {len(faults)} faults\n" + "\n".join(faults[:40])


def test_the_table_is_large_enough() -> None:
    assert len(rows()) >= AT_LEAST


def test_lines_are_well_formed() -> None:
    lines = raw_lines()
    assert lines[0] == HEADER
    assert lines[-1] == "", "the last line must end with a line feed"
    assert_no_faults(
        [
            f"line {number}: {line!r}: expected four non-empty cells without outer spaces"
            for number, line in enumerate(lines[1:-1], start=2)
            if len(cells := line.split("\t")) != 4 or any(not cell or cell != cell.strip() for cell in cells)
        ]
    )


def test_lines_are_sorted_by_lemma_then_part_of_speech() -> None:
    keys = [(row.lemma, row.pos) for row in rows()]
    misplaced = [
        f"line {row.line}: {row.lemma} {row.pos} stands after {before[0]} {before[1]}"
        for before, row in zip(keys, rows()[1:], strict=False)
        if before > (row.lemma, row.pos)
    ]
    assert_no_faults(misplaced)


def test_symbols_are_unique() -> None:
    counts = Counter(row.symbol for row in rows())
    assert_no_faults([f"line {r.line}: {r.symbol} {r.lemma}" for r in rows() if counts[r.symbol] > 1])


def test_concepts_are_unique() -> None:
    counts = Counter((row.lemma, row.pos) for row in rows())
    assert_no_faults([f"line {r.line}: {r.lemma} {r.pos}" for r in rows() if counts[r.lemma, r.pos] > 1])


def test_symbols_are_safe_characters() -> None:
    assert_no_faults(
        [f"line {r.line}: {r.symbol} {r.lemma}: {fault}" for r in rows() for fault in symbol_faults(r.symbol)]
    )


def test_lemmas_are_known_to_pymorphy3_in_their_part_of_speech() -> None:
    assert_no_faults([f"line {r.line}: {r.symbol}: {fault}" for r in rows() for fault in lemma_faults(r.lemma, r.pos)])


def test_comments_name_the_kind_of_the_symbol() -> None:
    assert_no_faults(
        [
            f"line {r.line}: {r.symbol}: comment {r.comment!r}"
            for r in rows()
            if not re.match(r"(emoji|sign|hanzi) \S", r.comment)
            or (r.comment.startswith("hanzi ") != (unicodedata.category(r.symbol) == "Lo"))
        ]
    )


def test_the_readmes_tell_how_many_concepts_have_a_symbol_and_how_many_characters_are_left() -> None:
    ranges = [line.split("\t")[:2] for line in RANGES.read_text(encoding="utf-8").splitlines()[1:]]
    given_out = {point for first, last in ranges for point in range(int(first, 16), int(last, 16) + 1)}
    left = len(given_out - {ord(row.symbol) for row in rows()})
    english, russian = ((TABLE.parents[2] / name).read_text(encoding="utf-8") for name in ("README.md", "README.ru.md"))
    assert f"{len(rows()):,} everyday concepts" in english
    assert f"one of {left:,} characters" in english
    assert f"{len(rows())} повседневных понятий" in russian
    assert f"{left:,} знаков".replace(",", " ") in russian


@pytest.mark.parametrize(
    ("symbol", "lemma", "pos"),
    [
        ("❤", "любовь", "NOUN"),
        ("🫁", "лёгкое", "NOUN"),
        ("肝", "печень", "NOUN"),
        ("☁", "грусть", "NOUN"),
    ],
)
def test_promised_examples(symbol: str, lemma: str, pos: str) -> None:
    assert (symbol, lemma, pos) in {(row.symbol, row.lemma, row.pos) for row in rows()}


@pytest.mark.parametrize(
    "symbol",
    [
        "",
        "❤\ufe0f",  # a variation selector makes two code points
        "=",  # ASCII, and composes with U+0338
        "→",  # composes with U+0338 into ↛
        "™",  # NFKC: TM
        "\uf900",  # CJK compatibility ideograph
        "か",  # composes with U+3099
        "ж",
        "é",
        "½",
        "א",
        "\U0001f1f7",  # regional indicator R
        "\U0001f3fb",  # skin tone
        "\ue000",
    ],
)
def test_the_symbol_check_sees_bad_symbols(symbol: str) -> None:
    assert symbol_faults(symbol)


@pytest.mark.parametrize(
    ("lemma", "pos"),
    [("печени", "NOUN"), ("печень", "VERB"), ("лёгкое", "ADJ"), ("деньги", "NOUN"), ("любовь", "ADJF")],
)
def test_the_lemma_check_sees_bad_lemmas(lemma: str, pos: str) -> None:
    assert lemma_faults(lemma, pos)
