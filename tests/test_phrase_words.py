"""Words that phrases are made of: their slots, agreement and government, how runs are counted, words that stop one."""

from __future__ import annotations

import csv
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from corpus_reading import read_streams
from hypothesis import given, settings
from hypothesis import strategies as st

from hypertok.corpus.stream import FIRST_FORM
from hypertok.errors import InputError
from hypertok.lexicon import phrase_words
from hypertok.lexicon.morphology import analyse, analyzer
from hypertok.lexicon.phrase_counts import Candidates, count_pairs, count_runs
from hypertok.lexicon.phrase_grammar import CASES, NOUN, slot_mask
from hypertok.lexicon.phrase_readings import read_as
from hypertok.lexicon.phrase_words import load_stopwords, tabulate_words

ROOT = Path(__file__).resolve().parent.parent


def test_slots_of_tags() -> None:
    role, slots = slot_mask("NOUN,inan,femn sing,loct")
    assert (role, slots) == (NOUN, 0b0010 << 4 * CASES.index("loct"))
    assert slot_mask("ADJF,Apro masc,sing,nomn")[1] == 0
    assert slot_mask("VERB,perf,tran sing,3per,futr,indc")[1] == 0
    _, plural = slot_mask("ADJF inan,plur,accs")
    assert plural == 0b1000 << 4 * CASES.index("accs-inan")


@pytest.mark.parametrize(
    ("shape", "words", "fits"),
    [
        ("AN", "жёсткий диск", True),
        ("AN", "жёсткая диск", False),
        ("AN", "жёсткого дисков", False),
        ("NN", "цикл кребса", True),
        ("NN", "кребса цикл", False),
        ("NN", "управление базами", True),
        ("NN", "система базами", False),
        ("NAN", "рынок ценных бумаг", True),
        ("NAN", "рынок ценные бумаги", False),
        ("NNNN", "система управления базами данных", True),
        ("AAN", "действительный статский советник", True),
    ],
)
def test_agreement_and_government(shape: str, words: str, fits: bool) -> None:
    streams, vocabulary = read_streams(words)
    analyses = analyse(vocabulary.forms, workers=1)
    table = tabulate_words(analyses, analyses.prior.astype(np.float64), load_stopwords())
    forms = (streams[0][:-1] >> 2).astype(np.int64)[None, :] - FIRST_FORM
    assert bool(read_as(shape, forms, table)[0]) is fits


WORDS = ["жёсткий", "жёсткого", "диск", "диска", "цикл", "кребса", "данных", "база", ",", "и", "\n\n"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.sampled_from(WORDS), max_size=25), min_size=1, max_size=4))
def test_counting_agrees_with_brute_force(texts: list[list[str]]) -> None:
    streams, vocabulary = read_streams(" ".join(WORDS), *(" ".join(text) for text in texts))
    analyses = analyse(vocabulary.forms, workers=1)
    table = tabulate_words(analyses, analyses.prior.astype(np.float64), load_stopwords())
    pairs = count_pairs(lambda: streams, table)
    threes, fours = count_runs(lambda: streams, pairs)
    good = {tuple(row) for row in pairs.forms.tolist()}
    for length, candidates in ((2, pairs), (3, threes), (4, fours)):
        expected: Counter[tuple[int, ...]] = Counter()
        for stream in streams:
            forms = ((stream >> 2).astype(np.int64) - FIRST_FORM).tolist()
            runs = (tuple(forms[i : i + length]) for i in range(len(forms) - length + 1))
            expected.update(run for run in runs if all(pair in good for pair in pairwise(run)))
        assert as_counter(candidates) == expected


def as_counter(candidates: Candidates) -> Counter[tuple[int, ...]]:
    return Counter(dict(zip(map(tuple, candidates.forms.tolist()), candidates.counts.tolist(), strict=True)))


def test_shipped_stopwords_are_lemmas_of_their_part_of_speech() -> None:
    wanted = {"ADJ": "ADJF", "SOFT": "ADJF", "PART": "INFN", "NOUN": "NOUN", "HEAD": "NOUN", "FRAME": "NOUN"}
    rows = phrase_words.read_rows(phrase_words.data_file("phrase_stopwords.tsv"), ("lemma", "pos", "reason"))
    assert len(rows) > 500
    keys = [(row["lemma"], row["pos"]) for _, row in rows]
    assert len(keys) == len(set(keys))
    for line, row in rows:
        lemma, pos = row["lemma"], wanted[row["pos"]]
        assert any(p.normal_form == lemma and pos == p.tag.POS for p in analyzer().parse(lemma)), (line, row)
        assert row["reason"], (line, row)


def test_a_bad_stopword_row_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "phrase_stopwords.tsv"
    path.write_text("lemma\tpos\treason\nновый\tADJ\tgeneral\nвид\tNUON\tgeneral\n", encoding="utf-8")
    monkeypatch.setattr(phrase_words, "data_file", lambda name: path)
    with pytest.raises(InputError, match=r"phrase_stopwords\.tsv:3: pos is 'NUON'.*HEAD"):
        load_stopwords()


def test_judged_terms_are_complete() -> None:
    with (ROOT / "benchmarks" / "phrases_judged.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert Counter(row["system"] for row in rows) == {"hypertok": 200, "rutermextract": 200}
    for row in rows:
        assert row["verdict"] in ("0", "1"), row
        assert bool(row["reason"]) == (row["verdict"] == "0"), row
    verdicts = {row["term"]: row["verdict"] for row in rows}
    assert all(verdicts[row["term"]] == row["verdict"] for row in rows), "one term, two verdicts"
