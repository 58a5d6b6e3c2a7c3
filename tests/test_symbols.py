"""Which characters may stand for concepts, and who gets which: symbol_ranges.tsv, character by character."""

from __future__ import annotations

import unicodedata
from functools import cache

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypertok.codec import marks
from hypertok.corpus.words import JOINERS, STRESS
from hypertok.errors import InputError
from hypertok.lexicon import symbols as symbols_module
from hypertok.lexicon.symbols import all_symbols, assign_symbols, everyday_symbols, is_symbol, symbol_ranges

FORMS = ("NFC", "NFKC")
Key = tuple[str, str, str]


@cache
def every_symbol() -> str:
    """All characters that can be given out, everyday ones outside the ranges included."""
    ranges = "".join(all_symbols())
    return ranges + "".join(sorted(set(everyday_symbols().values()) - set(ranges)))


@cache
def usable() -> frozenset[str]:
    return frozenset(every_symbol())


@cache
def composing() -> frozenset[str]:
    """First halves of canonical compositions: NFC may join them with what follows."""
    pairs = (unicodedata.decomposition(chr(code)).split() for code in range(0x110000))
    return frozenset(chr(int(pair[0], 16)) for pair in pairs if len(pair) == 2 and not pair[0].startswith("<"))


def test_there_is_room() -> None:
    assert len(every_symbol()) > 250_000


def test_no_character_twice() -> None:
    assert len(set(every_symbol())) == len(every_symbol())


def test_categories() -> None:
    """Letters without case, signs and private use: no marks, modifiers, digits, punctuation, spaces."""
    wrong = [c for c in every_symbol() if unicodedata.category(c) not in {"Lo", "So", "Sm", "Sc", "Co"}]
    assert not wrong, wrong[:20]
    assert not [c for c in every_symbol() if c.isspace() or c.isdigit() or c.upper() != c or c.lower() != c]


def test_each_is_stable_under_normalisation() -> None:
    wrong = [(c, form) for c in every_symbol() for form in FORMS if unicodedata.normalize(form, c) != c]
    assert not wrong, wrong[:20]


def test_their_concatenations_are_stable_under_normalisation() -> None:
    """In any order: all at once, backwards, and each with a combining character, letter or mark behind it."""
    every = every_symbol()
    for text in (every, every[::-1], every[::2] + every[1::2], "".join(c + "е" for c in every)):
        assert all(unicodedata.normalize(form, text) == text for form in FORMS)
    assert not composing() & set(every)
    for behind in (STRESS, "\u0308", "\u0338", "\u3099", marks.ESCAPE, chr(marks.INFLECTION_LAST)):
        text = "".join(f"{c}{behind}" for c in every)
        assert all(unicodedata.normalize(form, text) == text for form in FORMS)


@given(st.lists(st.integers(0, 2**32), max_size=12))
def test_any_few_of_them_are_stable(picks: list[int]) -> None:
    text = "".join(every_symbol()[pick % len(every_symbol())] for pick in picks)
    assert all(unicodedata.normalize(form, text) == text for form in FORMS)


def test_no_cyrillic_latin_or_digits_by_name() -> None:
    named = [c for c in every_symbol() if unicodedata.category(c) == "Lo"]
    wrong = [c for c in named if unicodedata.name(c, "").startswith(("CYRILLIC", "LATIN", "DIGIT", "GREEK"))]
    assert not wrong, wrong[:20]


def test_no_right_to_left_and_no_modifiers() -> None:
    wrong = [c for c in every_symbol() if unicodedata.bidirectional(c) in {"R", "AL", "AN", "RLE", "RLO", "RLI"}]
    assert not wrong, wrong[:20]
    forbidden = [
        range(0x1F1E6, 0x1F200),
        range(0x1F3FB, 0x1F400),
        range(0xFE00, 0xFE10),
        range(0xE0100, 0xE01F0),
    ]
    assert not [c for c in every_symbol() if any(ord(c) in part for part in forbidden)]


def test_nothing_that_the_codec_needs_for_itself() -> None:
    own = {*map(chr, range(marks.BLOCK_FIRST, marks.BLOCK_LAST + 1)), *JOINERS, STRESS}
    assert not own & set(every_symbol())
    low = {c for c in every_symbol() if ord(c) < marks.SYMBOLS_FIRST}
    assert low <= set(everyday_symbols().values())
    assert not [c for c in low if c.isascii()]
    assert not [c for c in every_symbol() if 0xD800 <= ord(c) <= 0xDFFF]


def test_assigned_scripts_come_before_private_use() -> None:
    private = [unicodedata.category(c) == "Co" for c in all_symbols()]
    assert private == sorted(private)
    assert private.count(False) > 100_000


def test_is_symbol_agrees_with_the_list() -> None:
    every = set(every_symbol())
    assert [c for c in map(chr, range(0x3000, 0x3400)) if is_symbol(c) != (c in every)] == []
    assert [c for c in map(chr, range(0, 0x2200)) if is_symbol(c) != (c in every)] == []
    assert all(map(is_symbol, every_symbol()[:: len(every_symbol()) // 500]))


def concepts(*keys: Key) -> pl.DataFrame:
    return pl.DataFrame(keys, schema={"lemma": pl.String, "pos": pl.String, "kind": pl.String}, orient="row")


def many(number: int, start: int = 0) -> pl.DataFrame:
    return concepts(*((f"слово{n}", "NOUN", "word") for n in range(start, start + number)))


def assign(table: pl.DataFrame, kept: dict[Key, str] | None = None) -> dict[Key, str]:
    given = assign_symbols(table, kept or {}).to_list()
    keys = list(table.iter_rows())
    assert len(given) == len(set(given)) == len(keys), "a symbol was given twice"
    assert set(given) <= usable()
    return dict(zip(keys, given, strict=True))


def test_everyday_concepts_get_their_symbols() -> None:
    everyday = everyday_symbols()
    table = concepts(*((lemma, pos, "word") for lemma, pos in everyday))
    assert {key[:2]: symbol for key, symbol in assign(table).items()} == everyday


def test_everyday_symbols_wait_for_their_concepts() -> None:
    """However many other concepts come first, nobody else is given a symbol of hypersymbols.tsv."""
    assert not set(assign(many(30_000)).values()) & set(everyday_symbols().values())


def test_a_name_leaves_the_everyday_symbol_to_the_word() -> None:
    name, word = ("любовь", "NOUN", "name"), ("любовь", "NOUN", "word")
    heart = everyday_symbols()["любовь", "NOUN"]
    assert assign(concepts(name, word))[word] == heart
    assert assign(concepts(word, name))[word] == heart
    assert assign(concepts(name))[name] == heart


def test_more_text_changes_no_symbol() -> None:
    """Build after build, with new concepts before, between and after the old ones."""
    first = assign(many(1000))
    table = pl.concat([many(500, 5000), many(1000), concepts(("печень", "NOUN", "word"))]).sample(
        fraction=1, shuffle=True, seed=7
    )
    second = assign(table, first)
    assert first.items() <= second.items()
    third = assign(pl.concat([table, many(2000, 20_000)]), second)
    assert second.items() <= third.items()
    assert third["печень", "NOUN", "word"] == everyday_symbols()["печень", "NOUN"]


def test_a_symbol_kept_by_one_concept_is_not_given_to_its_everyday_owner() -> None:
    kept = {("роза", "NOUN", "word"): everyday_symbols()["любовь", "NOUN"]}
    given = assign(concepts(("любовь", "NOUN", "word"), ("роза", "NOUN", "word")), kept)
    assert given["роза", "NOUN", "word"] == kept["роза", "NOUN", "word"]


def test_the_same_table_gets_the_same_symbols() -> None:
    assert assign(many(3000)) == assign(many(3000))


def test_all_characters_can_be_given_out_and_then_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(symbols_module, "symbol_ranges", lambda: ((0x4E00, 0x4E00 + 999),))
    free = 1000 - sum(0x4E00 <= ord(s) < 0x4E00 + 1000 for s in everyday_symbols().values())
    assign(many(free))
    with pytest.raises(InputError, match=r"no characters left.*--min-count"):
        assign_symbols(many(free + 1), {})


def test_250_000_concepts_find_room() -> None:
    assign(many(250_000))


def test_ranges_are_disjoint() -> None:
    ends = sorted(symbol_ranges())
    assert all(first <= last for first, last in ends)
    assert all(ends[n][1] < ends[n + 1][0] for n in range(len(ends) - 1))
