"""Intervals by document hold the truth as often as they say, and pairing narrows them."""

from __future__ import annotations

import numpy as np
import pytest

from hypertok.errors import InputError
from hypertok.measure.bootstrap import paired_difference, paired_ratio, ratio

TRUTH = 1.6


def documents(generator: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Characters, bits of an arm, and bits of one that is 0.05 bits per character worse on every document."""
    characters = generator.integers(500, 20_000, count).astype(float)
    hardness = generator.normal(TRUTH, 0.4, count)
    noise = generator.normal(0, 0.02, (2, count))
    return characters, characters * (hardness + noise[0]), characters * (hardness + 0.05 + noise[1])


def test_the_truth_lies_inside_as_often_as_promised() -> None:
    generator, inside, rounds = np.random.default_rng(5), 0, 300
    for number in range(rounds):
        characters, bits, _ = documents(generator, 80)
        found = ratio(bits, characters, resamples=400, level=0.9, seed=number)
        assert found.low < found.value < found.high
        inside += found.low <= TRUTH <= found.high
    assert 0.83 <= inside / rounds <= 0.95


def test_pairing_narrows_and_covers() -> None:
    generator, inside, rounds = np.random.default_rng(6), 0, 200
    for number in range(rounds):
        characters, ours, theirs = documents(generator, 60)
        found = paired_difference((theirs, characters), (ours, characters), resamples=400, seed=number)
        inside += found.low <= 0.05 <= found.high
        alone = ratio(ours, characters, resamples=400, seed=number)
        assert found.high - found.low < (alone.high - alone.low) / 5
    assert 0.9 <= inside / rounds <= 0.99


def test_figures_are_the_plain_ratios() -> None:
    characters, ours, theirs = documents(np.random.default_rng(7), 40)
    a, b = ours.sum() / characters.sum(), theirs.sum() / characters.sum()
    assert ratio(ours, characters).value == pytest.approx(a)
    assert paired_difference((ours, characters), (theirs, characters)).value == pytest.approx(a - b)
    found = paired_ratio((ours, characters), (theirs, characters))
    assert found.value == pytest.approx(a / b)
    assert found.low < a / b < found.high < 1
    same = paired_difference((ours, characters), (ours, characters))
    assert (same.value, same.low, same.high) == (0, 0, 0)


def test_trainings_that_differ_widen_an_interval_and_like_ones_do_not() -> None:
    characters, ours, theirs = documents(np.random.default_rng(10), 40)
    one = paired_ratio((theirs, characters), (ours, characters))
    stock, size = np.stack([ours, ours]), np.stack([characters, characters])
    alike = paired_ratio((np.stack([theirs, theirs]), size), (stock, size))
    assert (alike.value, alike.documents, alike.seeds, one.seeds) == (pytest.approx(one.value), 40, 2, 1)
    assert alike.high - alike.low == pytest.approx(one.high - one.low, rel=0.1)
    apart = paired_ratio((np.stack([0.99 * theirs, 1.01 * theirs]), size), (stock, size))
    assert apart.value == pytest.approx(one.value)
    assert apart.low < 0.992 * one.value < 1.008 * one.value < apart.high


def test_seeds_are_drawn_as_often_as_chance_has_it() -> None:
    """Of two that lie 0 and 1, a quarter of the draws has the one alone, and a quarter the other."""
    inner, outer = (ratio([[0.0] * 9, [1.0] * 9], [[1.0] * 9] * 2, level=level) for level in (0.48, 0.52))
    assert (inner.low, inner.value, inner.high) == (0.5, 0.5, 0.5)
    assert (outer.low, outer.value, outer.high) == (0, 0.5, 1)


def test_seeds_and_batches_of_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    characters, bits, _ = documents(np.random.default_rng(8), 30)
    first = ratio(bits, characters, seed=1)
    assert first == ratio(bits, characters, seed=1)
    assert first != ratio(bits, characters, seed=2)
    monkeypatch.setattr("hypertok.measure.bootstrap._DRAWN", 1000)  # 33 resamples at a time
    small = ratio(bits, characters, seed=1)
    assert (small.low, small.high) == pytest.approx((first.low, first.high), abs=0.02)
    assert small.resamples == 10_000


def test_kinds_with_fixed_shares_add_no_width_of_their_own() -> None:
    """Plays cost a tenth more and manuals nothing: within each kind nothing differs, so nothing is left to chance."""
    characters, *_ = documents(np.random.default_rng(11), 20)
    kinds = ["plays"] * 5 + ["manuals"] * 15
    stock = characters * np.where(np.arange(20) < 5, 2.0, 1.0)
    ours = stock * np.where(np.arange(20) < 5, 1.1, 1.0)
    arms = (ours, characters), (stock, characters)
    for paired in (paired_ratio, paired_difference):
        fixed = paired(*arms, strata=kinds)
        assert fixed.low == pytest.approx(fixed.value) == pytest.approx(fixed.high)
        free = paired(*arms)
        assert free.value == fixed.value
        assert free.low < 0.999 * free.value
        assert free.high > 1.001 * free.value
    seeds = [(np.stack([one, one]), np.stack([size, size])) for one, size in arms]
    again = paired_ratio(*seeds, strata=kinds)
    assert again.low == pytest.approx(again.value) == pytest.approx(again.high)


def test_documents_are_drawn_within_their_kind_and_a_kind_without_weight_is_none() -> None:
    """What differs within a kind is left to chance; a kind that has no characters spoils no draw."""
    ours, stock, size = [1.0, 3.0, 5.0, 5.0, 0.0], [1.0, 1.0, 5.0, 5.0, 0.0], [1.0, 1.0, 1.0, 1.0, 0.0]
    found = paired_difference((ours, size), (stock, size), strata=["a", "a", "b", "b", "c"])
    assert (found.low, found.value, found.high) == (0, 0.5, 1)
    with pytest.raises(InputError, match="3 strata for 5 documents"):
        paired_ratio((ours, size), (stock, size), strata=["a", "b", "c"])


@pytest.mark.parametrize("place", [0, 3])
def test_every_document_can_be_drawn(place: int) -> None:
    bits = [8.0 * (number == place) for number in range(4)]
    assert ratio(bits, [1] * 4).high > 2, "drawn more often than once"


def test_an_interval_is_of_95_percent_over_ten_thousand_draws() -> None:
    characters, ours, theirs = documents(np.random.default_rng(9), 20)
    for found in (
        ratio(ours, characters),
        paired_difference((ours, characters), (theirs, characters)),
        paired_ratio((ours, characters), (theirs, characters)),
    ):
        assert (found.level, found.resamples, found.documents) == (0.95, 10_000, 20)


def test_empty_documents_do_not_spoil_it() -> None:
    found = ratio([0, 3, 0, 4], [0, 2, 0, 2], resamples=500)
    assert np.isfinite([found.low, found.high]).all()
    assert found.value == 7 / 4


@pytest.mark.parametrize(
    ("numerator", "denominator", "message"),
    [
        ([1.0], [2.0], "two documents or more, not 1"),
        ([], [], "not 0"),
        ([1.0, 2.0], [1.0], "cannot be paired"),
        ([1.0, 2.0], [0.0, 0.0], "nothing to divide by"),
    ],
)
def test_what_has_no_interval_is_refused(numerator: list[float], denominator: list[float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ratio(numerator, denominator)


def test_unusable_settings_are_refused() -> None:
    with pytest.raises(InputError, match="level 1"):
        ratio([1, 2], [1, 2], level=1)
    with pytest.raises(InputError, match="none that is positive"):
        paired_ratio(([1, 2], [1, 2]), ([0, 0], [1, 2]))
