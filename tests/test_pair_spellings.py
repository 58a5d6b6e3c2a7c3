"""Minimal pairs by the sum of two spellings: units where the sentences differ, and the same in stock tokens."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from measured_models import able, taught, tiny_subject

from hypertok.measure.minimal_pairs import MinimalPair, measure_pairs
from hypertok.measure.quality import measure_quality
from hypertok.measure.subject import Subject

PAIRS = [
    MinimalPair("Врач сказал, что печени нужен покой.", "Врач сказал, что печень нужен покой.", "case"),
    MinimalPair("Печень очищает кровь.", "Печени очищает кровь.", "agreement"),
    MinimalPair("Кот спит.", "Кот спал.", "tense"),
]


@pytest.fixture
def subject(sound_extension: Path, tmp_path: Path) -> Subject:
    """An untaught extended model."""
    return tiny_subject(tmp_path / "model", sound_extension)


def bits(subject: Subject, ids: list[int]) -> float:
    coding = subject.coding
    return measure_quality(subject.model, lambda _: ids, ["x"], start=coding.start, context=512).documents[0].bits


def in_either(subject: Subject, sentence: str, other: str) -> float:
    """The same sum, with every unit spelled that the other sentence has not."""
    assert subject.coding.spelling is not None
    ids, others = subject.coding.encode(sentence), subject.coding.encode(other)
    kept = np.array([one in others for one in ids])
    spelled = subject.coding.spelling().spell(np.array(ids), kept)[0].tolist()
    if spelled == ids:
        return bits(subject, ids)
    return -float(np.logaddexp2(-bits(subject, ids), -bits(subject, spelled)))


def test_what_the_stock_spelling_holds_is_added(subject: Subject) -> None:
    units = [sum(one in subject.coding.new_ids for one in subject.coding.encode(pair.chosen)) for pair in PAIRS]
    assert max(units) > 0, "a pair without units would show nothing"
    found = measure_pairs(subject, PAIRS)
    wanted = [
        in_either(subject, one.chosen, one.rejected) < in_either(subject, one.rejected, one.chosen) for one in PAIRS
    ]
    assert found.either == tuple(wanted)
    assert found.either_accuracy == sum(wanted) / len(wanted)


def test_a_model_that_knows_the_right_form_in_stock_tokens_alone_is_right_by_the_sum(subject: Subject) -> None:
    pair, model = PAIRS[0], able(subject)
    assert subject.coding.spelling is not None
    spelled = subject.coding.spelling().spell(np.array(subject.coding.encode(pair.chosen)))[0].tolist()
    wrong = subject.coding.encode(pair.rejected)
    assert taught(model, [[600, *spelled], [600, *spelled], [600, *wrong]]) < 0.7
    found = measure_pairs(model, [pair])
    assert (found.right, found.either) == ((False,), (True,))


def test_a_model_without_units_has_one_spelling(small_stock: Path, tmp_path: Path) -> None:
    found = measure_pairs(tiny_subject(tmp_path / "stock", small_stock), PAIRS)
    assert found.either == ()
    assert found.either_accuracy is None
