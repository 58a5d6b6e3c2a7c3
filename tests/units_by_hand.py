"""Units and matrices made by hand, for tests of what rows are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl
import torch
from torch import Tensor

from hypertok.model.constituents import Constituents
from hypertok.model.initialise import StockRows, StockWords
from hypertok.tokenizer.delta import SCHEMA


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


def no_words() -> StockWords:
    return StockWords(torch.empty(0, dtype=torch.int64), units_of([]))


@dataclass(frozen=True)
class InMemory:
    """A matrix whose rows are read as those of a checkpoint are."""

    values: Tensor

    @property
    def rows(self) -> int:
        return self.values.shape[0]

    @property
    def width(self) -> int:
        return self.values.shape[1]

    def read(self, ids: Tensor) -> Tensor:
        return self.values[ids]


def stock_rows(input: Tensor, output: Tensor | None = None, words: StockWords | None = None) -> StockRows:
    return StockRows(InMemory(input), None if output is None else InMemory(output), lambda: words or no_words())


def matrix_of(rows: int, width: int, seed: int) -> Tensor:
    return torch.randn(rows, width, generator=torch.Generator().manual_seed(seed))


def random_units(number: int, rows: int, seed: int) -> list[Unit]:
    generator = torch.Generator().manual_seed(seed)

    def draw(high: int, size: int) -> list[int]:
        return torch.randint(high, (size,), generator=generator).tolist()

    sizes = [1 + size for size in draw(6, number)]
    return [Unit(draw(rows, size), draw(4, size)) for size in sizes]


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
    rows = stock_rows(matrix_in, None if tied else matrix_out, words)
    truth = {"input": true_in} if tied else {"input": true_in, "output": true_out}
    return Planted(rows, units_of(units), truth, known)
