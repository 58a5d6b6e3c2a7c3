"""Rows that share: they begin at what the model has, and every part moves exactly the rows that it belongs to."""

from __future__ import annotations

import polars as pl
import pytest

pytest.importorskip("torch")

import torch
from tiny_models import tiny_model
from torch import Tensor, nn

from hypertok.model.constituents import Constituents
from hypertok.model.shared_rows import MAP, RESIDUAL, VECTOR, SharedRows, split_shared_rows
from hypertok.model.split import is_tied, merge_rows, new_rows

#: Forms of two concepts, a phrase of both, and a piece of a word.
UNITS = pl.DataFrame(
    {
        "id": [50, 51, 52, 53, 54],
        "text": [" печень", " печени", " крови", " печени и крови", "ость"],
        "constituents": [[3, 4], [3, 5], [6, 5], [3, 5, 7, 6, 5], [8]],
        "lengths": [[4, 3], [4, 3], [5, 1], [4, 3, 2, 5, 1], [4]],
        "concepts": [[1], [1], [2], [1, 2], []],
        "inflections": [[9], [8], [8], [8, 8], []],
        "count": [10, 20, 30, 5, 100],
        "saved": [1, 1, 1, 4, 0],
    }
)
IDS = [50, 51, 52, 53, 54]


@pytest.fixture
def units() -> Constituents:
    return Constituents.of(UNITS)


@pytest.fixture
def matrix() -> Tensor:
    return torch.randn(60, 16, generator=torch.Generator().manual_seed(0))


def moved(rows: SharedRows, part: nn.Parameter, row: int) -> Tensor:
    """By how much each new row moves when one row of a part is ones."""
    before = rows().detach().clone()
    with torch.no_grad():
        part[row] = 1.0
    after = rows().detach() - before
    with torch.no_grad():
        part.zero_()
    return after


@pytest.mark.parametrize("kind", ["flat", "factored", "composed"])
@pytest.mark.parametrize("tied", [True, False])
def test_rows_begin_where_the_model_is_and_are_written_flat(kind: str, tied: bool, units: Constituents) -> None:
    model = tiny_model("llama", tied=tied, rows=60)
    before = [m.weight.detach().clone() for m in (model.get_input_embeddings(), model.get_output_embeddings())]
    split_shared_rows(model, IDS, units, kind)
    assert is_tied(model) == tied
    modules = new_rows(model)
    assert set(modules) == ({"input"} if tied else {"input", "output"})
    for module, matrix in zip(modules.values(), before, strict=False):
        assert torch.equal(module(), matrix[IDS])
    with torch.no_grad():
        for module in modules.values():
            for parameter in module.parameters():
                parameter.add_(0.1)
    wanted = [module().detach().clone() for module in modules.values()]
    merge_rows(model)
    after = [m.weight.detach() for m in (model.get_input_embeddings(), model.get_output_embeddings())]
    kept = [number for number in range(60) if number not in IDS]
    for rows, old, new in zip(wanted * (2 if tied else 1), before, after, strict=True):
        assert torch.equal(new[IDS], rows)
        assert torch.equal(new[kept], old[kept]), "a stock row changed"
        assert not torch.equal(new[IDS], old[IDS])


def test_a_concept_moves_its_forms_and_its_phrases(matrix: Tensor, units: Constituents) -> None:
    rows = SharedRows(matrix[IDS], units)
    assert rows.concept.shape == (2, 16)
    for number, changed in ((0, [1, 1, 0, 1, 0]), (1, [0, 0, 1, 1, 0])):
        wanted = VECTOR * torch.tensor(changed)[:, None]
        assert torch.allclose(moved(rows, rows.concept, number), wanted, atol=1e-6)


def test_an_inflection_moves_all_words_that_have_it(matrix: Tensor, units: Constituents) -> None:
    rows = SharedRows(matrix[IDS], units)
    for number, changed in ((0, [0, 1, 1, 2, 0]), (1, [1, 0, 0, 0, 0])):
        wanted = VECTOR * torch.tensor(changed)[:, None]
        assert torch.allclose(moved(rows, rows.inflection, number), wanted, atol=1e-6)


def test_a_residual_moves_one_row(matrix: Tensor, units: Constituents) -> None:
    rows = SharedRows(matrix[IDS], units)
    wanted = torch.zeros(5, 16)
    wanted[3] = RESIDUAL
    assert torch.allclose(moved(rows, rows.residual, 3), wanted, atol=1e-6)


def test_the_composer_is_the_sum_of_its_maps(matrix: Tensor, units: Constituents) -> None:
    composer = SharedRows(matrix[IDS], units, matrix)
    assert composer.maps is not None
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        composer.maps.copy_(torch.randn(16, 48, generator=generator))
        composer.fact_map.copy_(torch.randn(6, 16, generator=generator))
    used = matrix[[3, 4, 5, 6, 7, 8]]
    size, even = used.square().mean().sqrt(), used - used.mean(0)
    even = even / even.square().mean().sqrt()
    of = {number: even[number - 3] for number in range(3, 9)}
    first, last, mean = composer.maps.chunk(3, dim=1)
    for row, made in zip(UNITS.iter_rows(named=True), composer() - matrix[IDS], strict=True):
        parts, lengths = row["constituents"], row["lengths"]
        middle = sum(of[part] * length for part, length in zip(parts, lengths, strict=True)) / sum(lengths)
        wanted = of[parts[0]] @ first + of[parts[-1]] @ last + middle @ mean
        wanted = wanted + composer.facts[UNITS["id"].to_list().index(row["id"])] @ composer.fact_map
        assert torch.allclose(made, MAP * size * wanted, atol=1e-4)


def test_every_trained_part_gets_a_gradient_and_nothing_else_is_saved(matrix: Tensor, units: Constituents) -> None:
    rows = SharedRows(matrix[IDS], units, matrix)
    rows().sum().backward()
    for name, parameter in rows.named_parameters():
        assert parameter.grad is not None, name
        assert bool(parameter.grad.abs().sum() > 0), name
    assert set(rows.state_dict()) == {name for name, _ in rows.named_parameters()}


def test_units_without_any_concept(matrix: Tensor) -> None:
    units = Constituents.of(UNITS.filter(pl.col("concepts").list.len() == 0))
    rows = SharedRows(matrix[[54]], units, matrix)
    assert torch.equal(rows(), matrix[[54]])
