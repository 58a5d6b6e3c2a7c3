"""Elements of runs, and the table of runs in a lexicon."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypertok.corpus import segments
from hypertok.corpus.counting import count_corpus
from hypertok.corpus.elements import BREAK, Elements, is_joiner
from hypertok.lexicon import runs
from hypertok.lexicon.lexicon import Lexicon
from hypertok.lexicon.runs import MIN_PAIR, run_table

NAMES = ("Анна", "Борис", "Вера", "Глеб", "Дарья", "Егор")
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


def runs_of(folder: Path, texts: dict[str, str]) -> dict[str, tuple[int, float]]:
    """Count and weight of every run in these documents."""
    (folder / "corpus").mkdir()
    for name, text in texts.items():
        (folder / "corpus" / f"{name}.txt").write_text(text, encoding="utf-8")
    table = run_table(count_corpus(folder / "corpus", folder / "work", workers=1))
    return {run: (count, weight) for run, count, weight in table.iter_rows()}


def test_runs_are_cut_at_rare_pairs(tmp_path: Path) -> None:
    rare, frequent = "Тайный пароль лежит.\n\n" * (MIN_PAIR - 1), "Врач, как всегда, молчал.\n\n" * MIN_PAIR
    found = runs_of(tmp_path, {"letter": rare + frequent})
    assert {run: count for run, (count, _) in found.items()} == {
        "Тайный": MIN_PAIR - 1, " пароль": MIN_PAIR - 1, " лежит": MIN_PAIR - 1, "Врач, как всегда, молчал": MIN_PAIR,
    }  # fmt: skip


@pytest.mark.parametrize("limit", ["MAX_PAIRS", "MAX_RUNS"])
def test_no_more_is_held_than_allowed_however_frequent(
    tmp_path: Path, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, limit, 3)
    frequent = "".join(f"{word} молчал.\n\n" * (MIN_PAIR + times) for times, word in enumerate(NAMES))
    found = runs_of(tmp_path, {"letter": frequent})
    together = [run for run in found if " молчал" in run.strip()]
    assert together == [f"{word} молчал" for word in NAMES[:-4:-1]], "the most frequent are left"
    assert len(found) <= 3 or limit == "MAX_PAIRS"


def test_names_of_the_whole_corpus_are_not_gone_through_for_each_segment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: Counter[str] = Counter()
    monkeypatch.setattr(runs, "is_joiner", lambda name: asked.update([name]) or is_joiner(name))
    monkeypatch.setattr(segments, "_SEGMENT_TOKENS", 1)
    runs_of(tmp_path, {str(number): f"{word} молчал.\n" for number, word in enumerate(NAMES)})
    assert {asked[word] for word in NAMES} == {2}, "twice in the one segment that has it"


def test_words_of_one_document_weigh_less_than_those_of_many(tmp_path: Path) -> None:
    novel = "Анфиса вошла.\n\n" * 40 + "Все молчат.\n\n" * 40
    found = runs_of(tmp_path, {"novel": novel, **{str(number): "Все молчат.\n" for number in range(30)}})
    (crowded, little), (spread, much) = found["Анфиса вошла"], found["Все молчат"]
    assert (crowded, spread) == (40, 70)
    assert little / crowded < 0.8 * much / spread


def test_weights_share_out_the_runs_of_each_document(tmp_path: Path) -> None:
    """However rare its words are, a document counts for as many runs as it has."""
    novel = "Анфиса вошла.\n\n" * 40 + "Фома ушёл.\n\n" * 20
    found = runs_of(tmp_path, {"novel": novel, **{str(number): "Все молчат.\n" for number in range(30)}})
    assert found["Анфиса вошла"][1] + found["Фома ушёл"][1] == pytest.approx(60, abs=0.1)
    assert found["Все молчат"][1] == pytest.approx(30, abs=0.1)


def test_counts_are_those_of_the_text(small_lexicon: Lexicon, small_corpus: Path) -> None:
    words: Counter[str] = Counter()
    for run, count in small_lexicon.runs.select("run", "count").iter_rows():
        for word in re.findall(r"\w+", run):
            words[word] += count
    text = " ".join(path.read_text(encoding="utf-8") for path in sorted(small_corpus.iterdir()))
    for word in ("печени", "Кребса", "Ёлка", "окно", "НАТО"):
        assert words[word] == sum(part.strip(".,:;!?—") == word for part in text.split()), word
