"""Text to tokens: every Russian word is counted once under its form and case, and nothing else is."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypertok.corpus.prose import clean
from hypertok.corpus.stream import (
    _ABBREVIATION,
    _INITIAL,
    _NUMBER,
    BREAK,
    FIRST_FORM,
    LOWER,
    OTHER_CASE,
    SENTENCE_END,
    TITLE,
    UNKNOWN,
    UPPER,
    Tokens,
    Vocabulary,
    case_of,
    count_forms,
    renumber,
    tokenize,
)
from hypertok.corpus.words import WORD, form_of, is_russian

RUSSIAN = "абвгдеёжзийклмнопрстуфхцчшщъыьэюя"
#: What has letters and is no word where words are counted.
NO_WORD = re.compile(rf"{_INITIAL}|{_ABBREVIATION}|{_NUMBER}")
#: What text is made of, odd things included: stress marks, old letters, Latin, digits, other scripts.
ALPHABET = RUSSIAN + RUSSIAN.upper() + "ѣіѢўѓ'’-‐‑\u0301 \n\t\u00a0.,!?…—–:;«»()_#abcXYZé0129²½汉字ا\u0300😀\ue000"
PROSE = st.text(ALPHABET, max_size=200).map(lambda text: clean(text)[0])


def spell(tokens: Tokens, forms: list[str]) -> list[str]:
    """The stream as readable strings: forms, class names in angle brackets."""
    names = ("break", "end", "comma", "dash", "colon", "punctuation", "number", "latin", "unknown")
    return [forms[(t >> 2) - FIRST_FORM] if t >> 2 >= FIRST_FORM else f"<{names[t >> 2]}>" for t in tokens.tolist()]


def counted(tokens: Tokens, forms: list[str]) -> dict[tuple[str, int], int]:
    """Counts by form and case, zeros left out."""
    table = count_forms(tokens, len(forms))
    return {(forms[n], case): int(table[n, case]) for n, case in np.argwhere(table)}


def naive_case(surface: str) -> int:
    letters = [c for c in surface if c.isalpha()]
    if all(c.islower() for c in letters):
        return LOWER
    if letters[0].isupper() and all(c.islower() for c in letters[1:]):
        return TITLE
    return UPPER if all(c.isupper() for c in letters) else OTHER_CASE


@given(PROSE)
def test_counts_are_those_of_a_naive_count(prose: str) -> None:
    """All words but those that begin in what only looks like words: initials, abbreviations, endings of numbers."""
    vocabulary = Vocabulary()
    tokens = tokenize(prose, vocabulary)
    none = {place for match in NO_WORD.finditer(prose) for place in range(*match.span())}
    words = [(form_of(word[0]), naive_case(word[0])) for word in WORD.finditer(prose) if word.start() not in none]
    assert counted(tokens, vocabulary.forms) == Counter(pair for pair in words if is_russian(pair[0]))


@given(st.lists(PROSE, max_size=5))
def test_documents_share_a_vocabulary_and_end_in_a_break(proses: list[str]) -> None:
    vocabulary = Vocabulary()
    streams = [tokenize(prose, vocabulary) for prose in proses]
    assert all(stream[-1] == BREAK << 2 for stream in streams)
    assert len(set(vocabulary.forms)) == len(vocabulary.forms)
    for prose, stream in zip(proses, streams, strict=True):
        alone = Vocabulary()
        assert spell(stream, vocabulary.forms) == spell(tokenize(prose, alone), alone.forms)


@given(PROSE)
def test_only_words_have_a_case(prose: str) -> None:
    tokens = tokenize(prose, Vocabulary())
    assert not (tokens[tokens >> 2 < FIRST_FORM] & 3).any()


@pytest.mark.parametrize(
    ("surface", "case"),
    [
        ("печень", LOWER),
        ("за́мок", LOWER),
        ("Печень", TITLE),
        ("Кое-кто", TITLE),
        ("Я", TITLE),
        ("О\u0301", TITLE),
        ("НИИ", UPPER),
        ("НИ\u0301И", UPPER),
        ("Санкт-Петербург", OTHER_CASE),
        ("вУЗ", OTHER_CASE),
        ("д’Артаньян", OTHER_CASE),
    ],
)
def test_case(surface: str, case: int) -> None:
    assert case_of(surface) == case


def test_a_sentence_reads_back() -> None:
    vocabulary = Vocabulary()
    prose = "Кровь — жидкая ткань, её 5 литров… Это Blood!\n\nСтарое слово: миръ, вѣра (汉字)."
    assert " ".join(spell(tokenize(prose, vocabulary), vocabulary.forms)) == (
        "кровь <dash> жидкая ткань <comma> её <number> литров <end> это <latin> <end> <break> "
        "старое слово <colon> миръ <comma> <unknown> <punctuation> <unknown> <punctuation> <end> <break>"
    )


def test_one_line_end_is_no_break() -> None:
    vocabulary = Vocabulary()
    assert spell(tokenize("мой дядя\nсамых честных\n \n\nправил", vocabulary), vocabulary.forms) == [
        *("мой", "дядя", "самых", "честных", "<break>", "правил", "<break>")
    ]


@given(PROSE)
def test_renumbering_keeps_words_and_case(prose: str) -> None:
    vocabulary = Vocabulary()
    tokens = tokenize(prose, vocabulary)
    order = sorted(vocabulary.forms)
    ids = np.array([order.index(form) + FIRST_FORM for form in vocabulary.forms], np.uint32)
    moved = renumber(tokens, ids)
    assert spell(moved, order) == spell(tokens, vocabulary.forms)
    assert (moved & 3 == tokens & 3).all()
    assert counted(moved, order) == counted(tokens, vocabulary.forms)


def test_a_pruned_form_reads_as_unknown_without_case() -> None:
    vocabulary = Vocabulary()
    tokens = tokenize("Печень болит", vocabulary)
    moved = renumber(tokens, np.array([UNKNOWN, FIRST_FORM], np.uint32))
    assert spell(moved, ["болит"]) == ["<unknown>", "болит", "<break>"]
    assert moved[0] == UNKNOWN << 2


def test_no_text_is_one_break() -> None:
    assert tokenize("", Vocabulary()).tolist() == [BREAK << 2]
    assert count_forms(np.empty(0, np.uint32), 0).shape == (0, 4)


@pytest.mark.parametrize(
    ("text", "words", "sentences"),
    [
        ("Читали А. С. Пушкина и Л.Н. Толстого.", "Читали Пушкина и Толстого", 1),
        ("Пришёл дядя А. Он молчал.", "Пришёл дядя А Он молчал", 2),
        ("Об этом см. рис. 5 и табл. 3.", "Об этом и", 1),
        ("Остыл варёный рис. Все ушли.", "Остыл варёный рис Все ушли", 2),
        ("Дом построен в XIX в. купцом.", "Дом построен в купцом", 1),
        ("Он жил в XX в. Умер рано.", "Он жил в в Умер рано", 2),
        ("Соль, сахар и т. д. Потом тесто, т. е. главное.", "Соль сахар и Потом тесто главное", 2),
        ("Отступите 5 см. 10 штук хватит.", "Отступите см штук хватит", 2),
        ("Рис. 5. См. рис. 5, Табл. 2 и Стр. 7.", "и", 2),
        ("Иванов А. С., Петров Б. В. и А. С. ПУШКИН.", "Иванов Петров и ПУШКИН", 1),
        ("Кто там? — Я. Открывай!", "Кто там Я Открывай", 3),
        ("Идёт 3-Я АРМИЯ.", "Идёт АРМИЯ", 1),
        ("Вышла 3-я глава книги 80-х, 2024-го года.", "Вышла глава книги года", 1),
        ("Это 10-летний дом в 5-этажном ряду.", "Это летний дом в этажном ряду", 1),
    ],
)
def test_initials_abbreviations_and_endings_of_numbers_are_no_words(text: str, words: str, sentences: int) -> None:
    vocabulary = Vocabulary()
    tokens = tokenize(text, vocabulary)
    forms = [vocabulary.forms[(token >> 2) - FIRST_FORM] for token in tokens.tolist() if token >> 2 >= FIRST_FORM]
    assert forms == words.lower().split()
    assert int((tokens >> 2 == SENTENCE_END).sum()) == sentences
