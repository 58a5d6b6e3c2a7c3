"""Composition: what it finds in rows that have it, the regression below it, the stock words it is fitted on."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from conftest import stock_of
from units_by_hand import Unit, matrix_of, planted, units_of

from hypertok.lexicon.lexicon import Lexicon
from hypertok.model.constituents import LOWER_WORD, TITLE_WORD, UPPER_WORD
from hypertok.model.initialise import StockWords, initialise
from hypertok.model.initialise.additive import Additive
from hypertok.model.initialise.words import stock_words
from hypertok.tokenizer.stock import built


@pytest.mark.parametrize("tied", [True, False])
def test_composition_recovers_concept_and_inflection(tied: bool) -> None:
    world = planted(tied=tied)
    names = ("composition", "weighted", "mean")
    composed, weighted, mean = (initialise(name, world.rows, world.units) for name in names)
    assert world.known.sum() == 160
    assert (~world.known).sum() == 80
    for side, true in world.truth.items():
        error, before, plain = ((getattr(new, side) - true).square().sum(1) for new in (composed, weighted, mean))
        assert error[world.known].sum() < 0.1 * min(before[world.known].sum(), plain[world.known].sum())
        assert error[~world.known].sum() < 0.8 * min(before[~world.known].sum(), plain[~world.known].sum())
        facts = {name.split(".")[1]: value for name, value in composed.facts.items() if name.startswith(side)}
        assert facts["share_known"] > 0.9
        assert facts["error_known"] < 0.15
        # What it said of words that it held out is what became of the units.
        share_left = float(error[~world.known].sum() / before[~world.known].sum())
        assert facts["error_new"] == pytest.approx(share_left, abs=0.25)
    assert {name.split(".")[0] for name in composed.facts} == set(world.truth)


def test_composition_does_no_harm_where_there_is_nothing_to_find() -> None:
    world = planted(tied=True, structure=False)
    composed, weighted = (initialise(name, world.rows, world.units) for name in ("composition", "weighted"))
    error, before = ((new.input - world.truth["input"]).square().sum() for new in (composed, weighted))
    assert error < 1.02 * before
    assert 0.6 < composed.facts["input.error_known"] <= 1  # a little: random means are too long
    assert 0.6 < composed.facts["input.error_new"] <= 1


def test_composition_leaves_all_other_units_alone() -> None:
    world = planted(tied=True)
    word = Unit([3, 51], [3, 2], " слово", [897], [6])
    others = [
        Unit([3, 51], [3, 2], "слово", [897], [6]),  # no space: may be the end of another word
        Unit([3, 51, 4], [3, 2, 4], " слово о", [897], [6]),
        Unit([3, 51, 4], [3, 2, 4], " слово дело", [897, 896], [6, 1]),
        Unit([3, 51], [3, 2], " слово"),
        Unit([3, 51], [0, 0], None),
    ]
    units = units_of([word, *others])
    composed, weighted = (initialise(name, world.rows, units).input for name in ("composition", "weighted"))
    assert torch.equal(composed[1:], weighted[1:])
    assert (composed[0] - weighted[0]).norm() > 1


def test_composition_with_few_words_is_the_weighted_mean() -> None:
    world = planted(tied=True)
    words = world.rows.words()
    few = StockWords(words.ids[:10], words.units.take(torch.arange(10)))
    new = initialise("composition", replace(world.rows, words=lambda: few), world.units)
    assert torch.equal(new.input, initialise("weighted", world.rows, world.units).input)
    assert new.facts["input.share_known"] == new.facts["input.share_new"] == 0
    no_words = units_of([Unit([1, 2])])
    assert initialise("composition", world.rows, no_words).input.shape == (1, 24)


def test_additive_is_ridge_regression() -> None:
    """Against one dense system; a group without rows is zero."""
    groups = torch.tensor([0, 0, 1, 3, 3, 3, 5, 5])
    factors = torch.tensor([[0, 4], [1, 4], [0, 5], [2, 4], [0, 4], [3, 5], [1, 5], [0, 4]])
    values = matrix_of(8, 3, 1).double()
    design = torch.zeros(8, 6 + 6, dtype=torch.float64)
    design[torch.arange(8), groups] = 1
    for one in factors.unbind(1):
        design[torch.arange(8), 6 + one] = 1
    penalty = torch.diag(torch.tensor([0.3] * 6 + [2.0] * 6, dtype=torch.float64))
    expected = torch.linalg.solve(design.T @ design + penalty, design.T @ values)
    system = Additive(groups, 6, factors, 6, group_penalty=0.3, factor_penalty=2.0)
    of_groups, of_factors = system.solve(values)
    torch.testing.assert_close(torch.cat([of_groups, of_factors]), expected)
    assert not of_groups[[2, 4]].any()


def test_additive_in_chunks_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    groups = torch.randint(50, (300,), generator=torch.Generator().manual_seed(1))
    factors = torch.randint(9, (300, 1), generator=torch.Generator().manual_seed(2))
    values = matrix_of(300, 4, 3).double()
    whole = Additive(groups, 50, factors, 9, group_penalty=0.0, factor_penalty=1.0).solve(values)
    monkeypatch.setattr("hypertok.model.initialise.additive._CHUNK", 7)
    parts = Additive(groups, 50, factors, 9, group_penalty=0.0, factor_penalty=1.0).solve(values)
    torch.testing.assert_close(whole, parts)


@pytest.mark.parametrize("name", ["qwen3", pytest.param("gemma3", marks=pytest.mark.slow)])
def test_stock_words_are_cut_as_the_tokenizer_would_without_them(name: str, small_lexicon: Lexicon) -> None:
    stock = stock_of(name)
    words = stock_words(stock, small_lexicon)
    assert len(words.ids) > 50
    string_of = stock.token_of
    found: dict[str, list[str]] = {}
    for number, identifier in enumerate(words.ids.tolist()):
        own = slice(int(words.units.starts[number]), int(words.units.starts[number + 1]))
        parts = [string_of[one] for one in words.units.ids[own].tolist()]
        assert len(parts) > 1
        assert "".join(parts) == string_of[identifier]
        assert int(words.units.lengths[own].sum()) == len(stock.bytes_of(string_of[identifier]).decode())
        found[string_of[identifier]] = parts
    assert set(words.units.shapes.tolist()) <= {LOWER_WORD, TITLE_WORD, UPPER_WORD}
    # The oracle: the library itself, without some of them (of which none is a part of another) and their merges.
    chosen: list[str] = []
    for token in sorted(found, key=lambda one: (-len(one), one)):
        if len(chosen) < 20 and not any(token in other for other in chosen):
            chosen.append(token)
    gone, model = set(chosen), stock.data["model"]
    vocabulary = {token: number for token, number in model["vocab"].items() if token not in gone}
    numbers = {token: place for place, token in enumerate(vocabulary)}
    merges = [pair for pair in stock.merges if pair[0] + pair[1] not in gone and not gone & set(pair)]
    changed = {**stock.data, "added_tokens": [], "post_processor": None}
    changed["model"] = {**model, "vocab": numbers, "merges": merges}
    without = built(changed)
    for token in chosen:
        text = stock.bytes_of(token).decode()
        assert without.encode(text, add_special_tokens=False).tokens == found[token]
