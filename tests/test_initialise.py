"""New rows: what every strategy must keep."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from units_by_hand import InMemory, Unit, matrix_of, planted, random_units, stock_rows, units_of

from hypertok.errors import ArtifactError, InputError
from hypertok.model import constituents
from hypertok.model.constituents import LOWER_WORD, NOT_A_WORD, TITLE_WORD, UPPER_WORD, combine
from hypertok.model.initialise import STRATEGIES, StockRows, candidates, initialise

#: Strategies that look at a unit's own constituents only.
SIMPLE = ("mean", "weighted", "asymmetric", "mix")


def simple_on(rows: StockRows) -> list[str]:
    return [name for name in SIMPLE if STRATEGIES[name].tied or not rows.tied]


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
    got = combine(InMemory(matrix), units, weights)
    for number, unit in enumerate(listed):
        own = weights[units.starts[number] : units.starts[number + 1]]
        expected = sum(float(weight) * matrix[one].double() for weight, one in zip(own, unit.ids, strict=True))
        torch.testing.assert_close(got[number].double(), expected, rtol=1e-6, atol=1e-6)


def test_a_long_unit_costs_its_own_length_only() -> None:
    """Padded to the longest unit these would take 20 GB."""
    units = units_of([Unit([1, 2])] * 20_000 + [Unit([3] * 8_000)])
    got = combine(InMemory(matrix_of(10, 32, 1)), units, units.uniform())
    assert got.shape == (20_001, 32)


@pytest.mark.parametrize("tied", [True, False])
def test_one_constituent_repeated_has_its_row(tied: bool) -> None:
    given_rows = planted(tied=tied).rows
    units = units_of([Unit([one] * times) for one, times in ((0, 1), (3, 2), (17, 3), (40, 7), (59, 11))])
    assert candidates(given_rows) == (*simple_on(given_rows), "composition")
    for name in candidates(given_rows):
        new = initialise(name, given_rows, units)
        ids = [0, 3, 17, 40, 59]
        assert torch.equal(new.input, given_rows.input.read(torch.tensor(ids))), name
        assert (new.output is None) == tied
        if new.output is not None and given_rows.output is not None:
            assert torch.equal(new.output, given_rows.output.read(torch.tensor(ids))), name


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
    rows, listed = stock_rows(matrix_in, matrix_out), random_units(50, 30, 5)
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
        initialise("asymmetric", stock_rows(matrix_in, None), units)


def test_what_cancels_out_stays_finite() -> None:
    matrix = torch.tensor([[1.0, 2.0], [-1.0, -2.0]])
    new = initialise("asymmetric", stock_rows(matrix, matrix), units_of([Unit([0, 1])]))
    assert torch.equal(new.input, torch.zeros(1, 2))


def test_mix_leans_to_the_end_in_and_to_the_beginning_out() -> None:
    matrix = torch.eye(3)
    units = units_of([Unit([0, 1, 2])])
    untied, tied = (initialise("mix", stock_rows(matrix, output), units) for output in (matrix, None))
    assert untied.output is not None
    assert untied.input[0].argsort().tolist() == [0, 1, 2]
    assert untied.output[0].argsort().tolist() == [2, 1, 0]
    torch.testing.assert_close(tied.input, (untied.input + untied.output) / 2)


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        (" печени", LOWER_WORD),
        (" Печени", TITLE_WORD),
        (" Санкт-Петербург", TITLE_WORD),
        (" Я", TITLE_WORD),
        (" ООН", UPPER_WORD),
        (" из-за", LOWER_WORD),
        (" пеЧень", NOT_A_WORD),
        ("печени", NOT_A_WORD),
        (" печени ", NOT_A_WORD),
        (", печени", NOT_A_WORD),
        (" о печени", NOT_A_WORD),
        (None, NOT_A_WORD),
        ("肝\ue101", NOT_A_WORD),
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
    rows = stock_rows(matrix_of(4, 2, 1), None)
    with pytest.raises(InputError, match=r"stock id 4.*4 rows"):
        initialise("mean", rows, units_of([Unit([1, 4])]))
    with pytest.raises(InputError, match=r"init random.*mean, weighted"):
        initialise("random", rows, units_of([Unit([1])]))
    with pytest.raises(InputError, match=r"\(5, 2\).*\(4, 2\)"):
        stock_rows(matrix_of(4, 2, 1), matrix_of(5, 2, 1))
