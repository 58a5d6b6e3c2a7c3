"""New rows: what every strategy must keep, and what composition finds in rows that have it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl
import pytest
import torch
from conftest import stock_of
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from torch import Tensor

from hypertok.errors import ArtifactError, InputError
from hypertok.lexicon.lexicon import Lexicon
from hypertok.model import constituents
from hypertok.model.constituents import LOWER, NOT_A_WORD, TITLE, UPPER, Constituents, combine
from hypertok.model.initialise import STRATEGIES, StockRows, StockWords, candidates, initialise
from hypertok.model.initialise.additive import Additive
from hypertok.model.initialise.words import stock_words
from hypertok.tokenizer.delta import SCHEMA

#: Strategies that look at a unit's own constituents only.
SIMPLE = ("mean", "weighted", "asymmetric", "mix")


@dataclass
class Unit:
    ids: Sequence[int]
    lengths: Sequence[int] | None = None
    text: str | None = " слово"
    concepts: Sequence[int] = ()
    inflections: Sequence[int] = ()


def units_of(units: Sequence[Unit]) -> Constituents:
    rows = [
        (
            1000 + number,
            f"unit{number}",
            unit.text,
            list(unit.ids),
            list(unit.lengths if unit.lengths is not None else [1] * len(unit.ids)),
            list(unit.concepts),
            list(unit.inflections),
            7,
            7 * (len(unit.ids) - 1),
        )
        for number, unit in enumerate(units)
    ]
    return Constituents.of(pl.DataFrame(rows, schema=SCHEMA, orient="row"))


def matrix_of(rows: int, width: int, seed: int) -> Tensor:
    return torch.randn(rows, width, generator=torch.Generator().manual_seed(seed))


def random_units(number: int, rows: int, seed: int) -> list[Unit]:
    generator = torch.Generator().manual_seed(seed)

    def draw(high: int, size: int) -> list[int]:
        return torch.randint(high, (size,), generator=generator).tolist()

    sizes = [1 + size for size in draw(6, number)]
    return [Unit(draw(rows, size), draw(4, size)) for size in sizes]


def simple_on(rows: StockRows) -> list[str]:
    return [name for name in SIMPLE if STRATEGIES[name].tied or not rows.tied]


@dataclass
class Planted:
    """Rows that are concept + inflection + a little noise, of words whose pieces say little of it."""

    rows: StockRows
    units: Constituents
    truth: dict[str, Tensor]
    known: Tensor


def planted(*, tied: bool, noise: float = 0.1, structure: bool = True) -> Planted:
    """40 concepts with four of eight forms in the stock, 10 with none; the units are all forms that are left."""
    concepts, inflections, width = 50, 8, 24
    generator = torch.Generator().manual_seed(11)
    pieces = concepts + inflections
    in_stock, units, truths = [], [], []
    for concept in range(concepts):
        forms = torch.randperm(inflections, generator=generator).tolist()
        for place, inflection in enumerate(forms):
            ids = [concept, concepts + inflection]
            form = Unit(ids, [3, 2], " слово", [900 - concept], [5 * inflection + 1])
            if place < 4 and concept < 40:
                in_stock.append(form)
            else:
                units.append(form)
                truths.append((concept, inflection))

    def side(seed: int) -> tuple[Tensor, Tensor]:
        of_concepts, of_inflections = matrix_of(concepts, width, seed), 0.7 * matrix_of(inflections, width, seed + 1)
        of_words = torch.stack([of_concepts[one.ids[0]] + of_inflections[one.ids[1] - concepts] for one in in_stock])
        if not structure:
            of_words = matrix_of(len(in_stock), width, seed + 4)
        of_words = of_words + noise * matrix_of(len(in_stock), width, seed + 2)
        stems = 0.5 * of_concepts + 0.3 * matrix_of(concepts, width, seed + 5)
        of_pieces = torch.cat([stems if structure else matrix_of(concepts, width, seed + 6), of_inflections * 0])
        of_pieces = of_pieces + noise * matrix_of(pieces, width, seed + 3)
        true = torch.stack([of_concepts[concept] + of_inflections[inflection] for concept, inflection in truths])
        return torch.cat([of_pieces, of_words]), true

    (matrix_in, true_in), (matrix_out, true_out) = side(1), side(100)
    words = StockWords(torch.arange(pieces, pieces + len(in_stock)), units_of(in_stock))
    known = torch.tensor([concept < 40 for concept, _ in truths])
    rows = StockRows(matrix_in, None if tied else matrix_out, words)
    truth = {"input": true_in} if tied else {"input": true_in, "output": true_out}
    return Planted(rows, units_of(units), truth, known)


RAGGED = st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=6), min_size=1, max_size=8)


@given(RAGGED, st.floats(0.1, 1.0), st.booleans())
def test_weights_add_to_one(lengths: list[list[int]], ratio: float, last: bool) -> None:
    units = units_of([Unit(range(len(one)), one) for one in lengths])
    for weights in (units.uniform(), units.by_length(), units.by_place(ratio, last=last)):
        assert (weights >= 0).all()
        for first, end in zip(units.starts[:-1], units.starts[1:], strict=True):
            assert float(weights[first:end].sum()) == pytest.approx(1, abs=1e-12)


def test_weights_by_hand() -> None:
    units = units_of([Unit([4, 5, 6], [0, 3, 1]), Unit([7, 8], [0, 0], None), Unit([9], [0], None)])
    assert units.by_length().tolist() == [0, 0.75, 0.25, 0.5, 0.5, 1]
    assert units.by_place(0.5, last=True)[:3].tolist() == pytest.approx([1 / 7, 2 / 7, 4 / 7])
    assert units.by_place(0.5, last=False)[:3].tolist() == pytest.approx([4 / 7, 2 / 7, 1 / 7])


@pytest.mark.parametrize("block", [1, 7, 4096])
def test_combine_is_the_weighted_sum(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constituents, "BLOCK", block)
    matrix, listed = matrix_of(30, 5, 1), random_units(40, 30, 2)
    units = units_of(listed)
    weights = units.by_length()
    got = combine(matrix, units, weights)
    for number, unit in enumerate(listed):
        own = weights[units.starts[number] : units.starts[number + 1]]
        expected = sum(float(weight) * matrix[one].double() for weight, one in zip(own, unit.ids, strict=True))
        torch.testing.assert_close(got[number].double(), expected, rtol=1e-6, atol=1e-6)


def test_a_long_unit_costs_its_own_length_only() -> None:
    """Padded to the longest unit these would take 20 GB."""
    units = units_of([Unit([1, 2])] * 20_000 + [Unit([3] * 8_000)])
    got = combine(matrix_of(10, 32, 1), units, units.uniform())
    assert got.shape == (20_001, 32)


@pytest.mark.parametrize("tied", [True, False])
def test_one_constituent_repeated_has_its_row(tied: bool) -> None:
    given_rows = planted(tied=tied).rows
    units = units_of([Unit([one] * times) for one, times in ((0, 1), (3, 2), (17, 3), (40, 7), (59, 11))])
    assert candidates(given_rows) == (*simple_on(given_rows), "composition")
    for name in candidates(given_rows):
        new = initialise(name, given_rows, units)
        ids = [0, 3, 17, 40, 59]
        assert torch.equal(new.input, given_rows.input[ids]), name
        assert (new.output is None) == tied
        if new.output is not None and given_rows.output is not None:
            assert torch.equal(new.output, given_rows.output[ids]), name


@pytest.mark.parametrize("tied", [True, False])
def test_units_in_another_order_get_the_same_rows(tied: bool) -> None:
    world = planted(tied=tied)
    order = torch.randperm(len(world.units), generator=torch.Generator().manual_seed(3))
    for name in candidates(world.rows):
        one, other = initialise(name, world.rows, world.units), initialise(name, world.rows, world.units.take(order))
        again = initialise(name, world.rows, world.units)
        assert torch.equal(one.input, again.input), name
        tolerance = 1e-6 if name == "composition" else 0  # its sums over forms run in another order
        torch.testing.assert_close(one.input[order], other.input, rtol=0, atol=tolerance)
        if one.output is not None and other.output is not None:
            torch.testing.assert_close(one.output[order], other.output, rtol=0, atol=tolerance)


def test_asymmetric_restores_the_norm_of_the_input_alone() -> None:
    matrix_in, matrix_out = 3 * matrix_of(30, 16, 1), matrix_of(30, 16, 2)
    rows, listed = StockRows(matrix_in, matrix_out), random_units(50, 30, 5)
    units = units_of(listed)
    new = initialise("asymmetric", rows, units)
    wanted = torch.stack([matrix_in[list(unit.ids)].norm(dim=1).mean() for unit in listed])
    torch.testing.assert_close(new.input.norm(dim=1), wanted)
    mean = initialise("mean", rows, units).input
    assert (mean.norm(dim=1) < 0.95 * wanted).any()
    torch.testing.assert_close(torch.cosine_similarity(new.input, mean), torch.ones(50))
    weighted = initialise("weighted", rows, units).output
    assert weighted is not None
    assert new.output is not None
    assert torch.equal(new.output, weighted)
    with pytest.raises(InputError, match=r"tied.*weighted"):
        initialise("asymmetric", StockRows(matrix_in), units)


def test_what_cancels_out_stays_finite() -> None:
    matrix = torch.tensor([[1.0, 2.0], [-1.0, -2.0]])
    new = initialise("asymmetric", StockRows(matrix, matrix), units_of([Unit([0, 1])]))
    assert torch.equal(new.input, torch.zeros(1, 2))


def test_mix_leans_to_the_end_in_and_to_the_beginning_out() -> None:
    matrix = torch.eye(3)
    units = units_of([Unit([0, 1, 2])])
    untied, tied = (initialise("mix", StockRows(matrix, output), units) for output in (matrix, None))
    assert untied.output is not None
    assert untied.input[0].argsort().tolist() == [0, 1, 2]
    assert untied.output[0].argsort().tolist() == [2, 1, 0]
    torch.testing.assert_close(tied.input, (untied.input + untied.output) / 2)


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
    assert world.rows.words is not None
    few = StockWords(world.rows.words.ids[:10], world.rows.words.units.take(torch.arange(10)))
    new = initialise("composition", StockRows(world.rows.input, None, few), world.units)
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


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        (" печени", LOWER),
        (" Печени", TITLE),
        (" Санкт-Петербург", TITLE),
        (" Я", TITLE),
        (" ООН", UPPER),
        (" из-за", LOWER),
        (" пеЧень", NOT_A_WORD),
        ("печени", NOT_A_WORD),
        (" печени ", NOT_A_WORD),
        (", печени", NOT_A_WORD),
        (" о печени", NOT_A_WORD),
        (None, NOT_A_WORD),
        (" 肝\ue101", LOWER),
        (" 肝\ue101 木", NOT_A_WORD),
    ],
)
def test_shape_of_a_unit(text: str | None, shape: int) -> None:
    assert units_of([Unit([1, 2], None, text, [5], [6])]).shapes.tolist() == [shape]
    assert units_of([Unit([1, 2], None, text, [5, 8], [6, 6])]).shapes.tolist() == [NOT_A_WORD]
    assert units_of([Unit([1, 2], None, text)]).shapes.tolist() == [NOT_A_WORD]


def test_units_taken_keep_what_is_theirs() -> None:
    listed = random_units(20, 30, 4)
    for number, unit in enumerate(listed):
        unit.concepts, unit.inflections = range(number % 3), range(10, 10 + number % 3)
    order = [5, 0, 19, 5, 7]
    got, expected = units_of(listed).take(torch.tensor(order)), units_of([listed[one] for one in order])
    for name in vars(expected):
        assert torch.equal(getattr(got, name), getattr(expected, name)), name


@pytest.mark.parametrize(
    ("unit", "message"),
    [
        (Unit([1, 2], [1]), "unit 1000.*constituents and lengths"),
        (Unit([1], [1], " а", [4], []), "unit 1000.*concepts and inflections"),
        (Unit([], []), "unit 1000.*no constituents"),
    ],
)
def test_a_delta_that_contradicts_itself_is_refused(unit: Unit, message: str) -> None:
    with pytest.raises(ArtifactError, match=message):
        units_of([unit])


def test_what_does_not_fit_is_refused() -> None:
    rows = StockRows(matrix_of(4, 2, 1))
    with pytest.raises(InputError, match=r"stock id 4.*4 rows"):
        initialise("mean", rows, units_of([Unit([1, 4])]))
    with pytest.raises(InputError, match=r"init random.*mean, weighted"):
        initialise("random", rows, units_of([Unit([1])]))
    with pytest.raises(InputError, match=r"composition.*--init weighted"):
        initialise("composition", rows, units_of([Unit([1])]))
    with pytest.raises(InputError, match=r"\(5, 2\).*\(4, 2\)"):
        StockRows(matrix_of(4, 2, 1), matrix_of(5, 2, 1))


@pytest.mark.parametrize("name", ["qwen3", pytest.param("gemma3", marks=pytest.mark.slow)])
def test_stock_words_are_cut_as_the_tokenizer_would_without_them(name: str, small_lexicon: Lexicon) -> None:
    stock = stock_of(name)
    words = stock_words(stock, small_lexicon)
    assert len(words.ids) > 50
    string_of = {number: token for token, number in stock.vocabulary.items()}
    found: dict[str, list[str]] = {}
    for number, identifier in enumerate(words.ids.tolist()):
        own = slice(int(words.units.starts[number]), int(words.units.starts[number + 1]))
        parts = [string_of[one] for one in words.units.ids[own].tolist()]
        assert len(parts) > 1
        assert "".join(parts) == string_of[identifier]
        assert int(words.units.lengths[own].sum()) == len(stock.bytes_of(string_of[identifier]).decode())
        found[string_of[identifier]] = parts
    assert set(words.units.shapes.tolist()) <= {LOWER, TITLE, UPPER}
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
    without = Tokenizer.from_str(json.dumps(changed))
    for token in chosen:
        text = stock.bytes_of(token).decode()
        assert without.encode(text, add_special_tokens=False).tokens == found[token]
