"""Elements of runs, and the table of runs in a lexicon."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypertok.corpus.counting import count_corpus
from hypertok.corpus.elements import BREAK, Elements, is_joiner
from hypertok.lexicon.lexicon import Lexicon
from hypertok.lexicon.runs import MIN_PAIR, run_table

RUSSIAN = st.text("абвАБЁё ,;:-—.!\n1a'\u0301«»", max_size=60)


def cut(text: str) -> list[str]:
    elements = Elements()
    return [elements.names[number] or "/" for number in elements.cut(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("В том числе, и он.", ["В", " том", " числе", ",", " и", " он", "/", "/"]),
        ("кое-кто — мы", ["кое", "-", "кто", " —", " мы", "/"]),
        ("Да, — сказал", ["Да", ",", " —", " сказал", "/"]),
        ("конец,", ["конец", "/", "/"]),  # nothing trails
        ("конец, ", ["конец", "/", "/", "/"]),
        ("a- б", ["/", "/", " б", "/"]),
        ("за́мок", ["/", "/", "/", "/", "/", "/", "/"]),  # a stress mark leaves the word to the stock pattern
        ("слово1 и2", ["/"] * 8 + ["/"]),
        ("вКонтакте", ["/"] * 9 + ["/"]),
    ],
)
def test_elements(text: str, expected: list[str]) -> None:
    found = cut(text)
    if set(expected) == {"/"}:
        assert set(found) == {"/"}
    else:
        assert found == expected


@given(RUSSIAN)
def test_every_run_stands_in_the_text(text: str) -> None:
    elements = Elements()
    run = ""
    for number in elements.cut(text):
        name = elements.names[number]
        if number == BREAK or (run and not (name[0] == " " or is_joiner(name) or run[-1] == "-")):
            assert run in text
            run = ""
        run += name
    assert run in text


@given(RUSSIAN)
def test_no_joiner_trails(text: str) -> None:
    found = cut(text)
    for here, after in pairwise(found):
        assert not is_joiner(here) or after != "/", (text, found)


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    folder = tmp_path_factory.mktemp("runs")
    corpus = folder / "corpus"
    corpus.mkdir()
    # Anfisa crowds in one document; «в том числе» stands in every one.
    for number in range(30):
        (corpus / f"{number:02d}.txt").write_text(f"Все, в том числе слово{'абвгд'[number % 5]}.\n", encoding="utf-8")
    (corpus / "novel.txt").write_text("Анфиса вошла в том числе.\n\n" * 40, encoding="utf-8")
    return count_corpus(corpus, folder / "work", workers=1)


def test_runs_are_cut_at_rare_pairs(counted) -> None:  # type: ignore[no-untyped-def]
    table = run_table(counted)
    count = dict(table.select("run", "count").iter_rows())
    assert count["Все, в том числе словоа"] == 6  # seen six times: more than MIN_PAIR
    assert MIN_PAIR < 6
    assert sum(table["count"]) >= 70


def test_words_of_one_document_weigh_less(counted) -> None:  # type: ignore[no-untyped-def]
    table = run_table(counted)
    row = {run: (count, weight) for run, count, weight in table.iter_rows()}
    crowded = row["Анфиса вошла в том числе"]
    spread = row["Все, в том числе словоа"]
    assert spread[1] / spread[0] >= crowded[1] / crowded[0]


def test_counts_are_those_of_the_text(small_lexicon: Lexicon, small_corpus: Path) -> None:
    words: Counter[str] = Counter()
    for run, count in small_lexicon.runs.select("run", "count").iter_rows():
        for word in re.findall(r"\w+", run):
            words[word] += count
    text = " ".join(path.read_text(encoding="utf-8") for path in sorted(small_corpus.iterdir()))
    for word in ("печени", "Кребса", "Ёлка", "окно", "НАТО"):
        assert words[word] == sum(part.strip(".,:;!?—") == word for part in text.split()), word
