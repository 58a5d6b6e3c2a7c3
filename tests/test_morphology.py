"""Words that are made to keep pymorphy3 busy."""

from __future__ import annotations

import time
from pathlib import Path

import pymorphy3
import pytest

from hypertok.lexicon.morphology import analyse, analyzer
from hypertok.lexicon.word_classes import analyse_word


def test_remembered_answers_are_those_of_pymorphy3() -> None:
    plain = pymorphy3.MorphAnalyzer(lang="ru")
    for word in ("недонедовес", "да-то-то", "по-по-русски", "дом-музей", "стали", "крэйг", "ха-ха-ха-ха-ха", "Стали"):
        assert [tuple(p[:4]) for p in analyzer().parse(word)] == [tuple(p[:4]) for p in plain.parse(word)]
        assert analyzer().tag(word) == plain.tag(word)


def test_the_dictionary_is_read_without_handing_its_path_to_c(monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    monkeypatch.setattr(Path, "read_bytes", lambda path, own=Path.read_bytes: [read.append(path.name), own(path)][1])
    analyzer.cache_clear()
    assert analyzer().parse("стали")[0].normal_form == "стать"
    assert "words.dawg" in read


@pytest.mark.parametrize("word", ["недо" * 11 + "вес", "недо" * 12, "недо" * 40 + "вес", "по-" + "недо" * 11])
def test_a_word_that_can_be_cut_in_many_ways_is_quick(word: str) -> None:
    analyse([word], workers=1)  # loads the dictionary
    analyzer().parse.cache_clear()
    analyzer().tag.cache_clear()
    start = time.perf_counter()
    analyse([word], workers=1)
    assert time.perf_counter() - start < 5  # of «недо» forty times it would be years


@pytest.mark.parametrize("word", ["супер" * 500, "да" + "-то" * 500, "по-" * 500 + "русски", "а" * 49])
def test_a_word_longer_than_any_is_unknown(word: str) -> None:
    found = analyse([word, "дом"], workers=1)
    assert found.offsets[1] == 1
    assert [found.tags[found.tag[0]], found.lemmas[found.lemma[0]]] == ["UNKN", word]
    assert not found.known[0]
    assert analyse_word(word) is None
