"""Distillation from the stock model inside: sums over cells, gradients, and what the teacher reads."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

import torch
from peft import PeftModel
from tiny_models import KINDS, tiny_model

from hypertok.model.constituents import Constituents
from hypertok.model.split import HeadRows, split_rows
from hypertok.training import soft_loss, teacher
from hypertok.training.adapter import add_adapter
from hypertok.training.loss import IGNORED, LossModel
from hypertok.training.options import LoraOptions
from hypertok.training.soft_loss import Cells, SoftLoss, Targets

STOCK, WIDTH, POSITIONS = 20, 8, 9
#: Units by what they are made of: three begin with 3, two of them with 3 and 4.
UNITS = ((3, 4), (3, 4, 5), (3, 6), (7, 3), (8, 9), (9, 8, 9))
CELLS = Cells(
    first=torch.tensor([3, 3, 7, 8, 9]), second=torch.tensor([4, 6, 3, 9, 8]), of=torch.tensor([0, 0, 1, 2, 3, 4])
)

#: Rows of the text's own tokens: stock ones, and units that begin with the true first tokens of `targets`.
LABELLED = torch.tensor([0, STOCK, STOCK + 5, STOCK + 3, 3, STOCK + 2, STOCK + 4, 19, 1])


def constituents(units: tuple[tuple[int, ...], ...]) -> Constituents:
    sizes = torch.tensor([0, *map(len, units)])
    nothing = torch.zeros(0, dtype=torch.int64)
    zeros = torch.zeros(len(units), dtype=torch.int64)
    ids = torch.tensor([one for unit in units for one in unit])
    starts = torch.zeros(len(units) + 1, dtype=torch.int64)
    return Constituents(ids, sizes.cumsum(0), torch.ones_like(ids), nothing, nothing, starts, zeros, zeros)


def targets(seed: int = 0) -> Targets:
    """Of a teacher that is sure of nothing; position 0 has a true token that begins no unit, 1 and 2 one that does."""
    random = torch.Generator().manual_seed(seed)
    odds = torch.rand(POSITIONS, STOCK, generator=random).softmax(1)
    true = torch.tensor([0, 3, 9, 7, 3, 3, 8, 19, 1])
    likely = odds.topk(4)
    chosen = torch.zeros(POSITIONS, 2, dtype=torch.int64)
    shares = torch.zeros(POSITIONS, 2)
    chosen[true == 3] = torch.tensor([0, 1])
    shares[true == 3] = torch.tensor([0.5, 0.2])
    for cell in (2, 3, 4):
        chosen[true == CELLS.first[cell], 0] = cell
        shares[true == CELLS.first[cell], 0] = 0.6
    true_odds = odds.gather(1, true[:, None])
    return Targets(true, true_odds[:, 0], likely.indices, likely.values, chosen, shares * true_odds)


def plain(head: HeadRows, hidden: torch.Tensor, labels: torch.Tensor, told: Targets, taught: float) -> torch.Tensor:
    """Position by position, cell by cell."""
    assert head.new is not None
    logits = hidden @ torch.cat([head.stock, head.new]).T * head.multiplier
    if head.softcap is not None:
        logits = torch.tanh(logits / head.softcap) * head.softcap
    logits = torch.cat([logits[:, : head.sampled] + head.log_weight, logits[:, head.sampled :]], dim=1)
    odds = logits.softmax(1)
    old, new = odds[:, head.sampled : head.sampled + STOCK], odds[:, head.sampled + STOCK :]
    firsts = [unit[0] for unit in UNITS]
    total = hidden.new_zeros(())
    for at in range(len(hidden)):
        true = int(told.true[at])
        begun = [
            old[at, row] + sum(new[at, unit] for unit, first in enumerate(firsts) if first == row)
            for row in range(STOCK)
        ]
        cells: list[tuple[torch.Tensor, torch.Tensor]] = []
        for row, share in zip(told.rows[at].tolist(), told.odds[at], strict=True):
            if row != true:
                cells.append((share, begun[row]))
        tail = 1 - told.true_odds[at] - sum(share for share, _ in cells), 1 - begun[true] - sum(one for _, one in cells)
        inside = []
        for cell, share in zip(told.cells[at].tolist(), told.cell_odds[at], strict=True):
            if share > 0:
                inside.append((share, sum(new[at, unit] for unit in range(len(UNITS)) if CELLS.of[unit] == cell)))
        rest = told.true_odds[at] - sum(one for one, _ in inside), begun[true] - sum(one for _, one in inside)
        total = total - sum(share * torch.log(given) for share, given in (*cells, *inside, rest, tail))
    return taught * total - (1 - taught) * odds.gather(1, labels[:, None]).log().sum()


@pytest.mark.parametrize("softcap", [None, 3.0])
@pytest.mark.parametrize("sampled", [0, 5])
@pytest.mark.parametrize("elements", [1, 1 << 20])
def test_value_and_gradients_are_those_of_sums_over_cells(
    softcap: float | None, sampled: int, elements: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(soft_loss, "_ELEMENTS", elements)
    torch.manual_seed(1)
    hidden, new = torch.randn(POSITIONS, WIDTH, requires_grad=True), torch.randn(6, WIDTH, requires_grad=True)
    head = HeadRows(torch.randn(sampled + STOCK, WIDTH), new, None, softcap, 0.5, sampled, 1.5 if sampled else 0.0)
    told, labels = targets(), LABELLED + sampled
    expected = plain(head, hidden, labels, told, 0.3)
    wanted = torch.autograd.grad(expected * 0.7, [hidden, new])
    loss = SoftLoss.apply(hidden, labels, head.stock, new, head, CELLS, told, 0.3)
    found = torch.autograd.grad(loss * 0.7, [hidden, new])
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-5)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_who_expects_the_same_is_not_drawn_anywhere() -> None:
    torch.manual_seed(2)
    hidden, new = torch.randn(POSITIONS, WIDTH, requires_grad=True), torch.randn(6, WIDTH, requires_grad=True)
    head = HeadRows(torch.randn(STOCK, WIDTH), new, None)
    odds = torch.cat([hidden @ head.stock.T, hidden @ new.T], dim=1).softmax(1).detach()
    begun = odds[:, :STOCK].index_add(1, CELLS.first[CELLS.of], odds[:, STOCK:])
    inside = torch.zeros(POSITIONS, 5).index_add(1, CELLS.of, odds[:, STOCK:])
    told = targets()
    told = told._replace(
        true_odds=begun.gather(1, told.true[:, None])[:, 0],
        odds=begun.gather(1, told.rows),
        cell_odds=torch.where(told.cell_odds > 0, inside.gather(1, told.cells), 0.0),
    )
    loss = SoftLoss.apply(hidden, LABELLED, head.stock, new, head, CELLS, told, 1.0)
    for grad in torch.autograd.grad(loss, [hidden, new]):
        assert grad.abs().max() < 1e-5
    moved = told._replace(true_odds=told.true_odds * 0.5)
    loss = SoftLoss.apply(hidden, LABELLED, head.stock, new, head, CELLS, moved, 1.0)
    grads = torch.autograd.grad(loss, [hidden, new])
    assert max(grad.abs().max() for grad in grads) > 1e-2, "the measure measures"


NEW_IDS = (126, 127, 5)
PIECES = ((10, 11), (10, 11, 12), (20, 21))


def student(kind: str, *, tied: bool = True, adapter: bool = True) -> LossModel:
    torch.manual_seed(3)
    model = split_rows(tiny_model(kind, tied=tied).requires_grad_(False), NEW_IDS)
    if adapter:
        model = add_adapter(model, LoraOptions(r=2))
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if "lora_B" in name:
                    parameter.normal_(std=0.5)
    return LossModel(model, distil=0.5, units=constituents(PIECES))


BATCH = torch.tensor([[1, 126, 30, 5, 31, 10], [127, 127, 2, 10, 40, 41]])
LABELS = torch.tensor([[126, 30, 5, 31, 10, 127], [127, 2, 10, 40, IGNORED, IGNORED]])
#: The same in stock tokens, what follows the last position included.
READ = ([1, 10, 11, 30, 20, 21, 31, 10, 10, 11, 12], [10, 11, 12, 10, 11, 12, 2, 10, 40, 41, 41])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("elements", [1, 1 << 20])
def test_the_teacher_is_the_stock_model_on_stock_tokens(
    kind: str, elements: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(soft_loss, "_ELEMENTS", elements)
    whole = student(kind)
    assert isinstance(whole.model, PeftModel)
    assert whole.teacher is not None
    head = whole.heads()[0]
    told = whole.teacher(whole.model, head, BATCH, LABELS, IGNORED)
    stock = tiny_model(kind, tied=True)
    with torch.no_grad():
        rows = [stock(input_ids=torch.tensor([ids])).logits[0] for ids in READ]
    kept = [one for one in range(128) if one not in NEW_IDS]  # the teacher knows stock tokens alone
    odds = [logits[:, kept].softmax(1) for logits in rows]
    # Where the first constituent of each label is predicted, and its id.
    places = [(0, 0, 10), (0, 2, 30), (0, 3, 20), (0, 5, 31), (0, 6, 10), (0, 7, 10)]
    places += [(1, 2, 10), (1, 5, 2), (1, 6, 10), (1, 7, 40)]
    assert len(told.true) == len(places)
    for at, (row, column, first) in enumerate(places):
        here = odds[row][column]
        assert int(head.place[first]) == int(told.true[at])
        torch.testing.assert_close(told.true_odds[at], here[kept.index(first)], rtol=1e-4, atol=1e-6)
        likely = here.topk(teacher.FIRST)
        torch.testing.assert_close(told.odds[at], likely.values, rtol=1e-4, atol=1e-6)
        for second, cell in ((11, 0), (21, 1)):
            share = told.cell_odds[at][told.cells[at] == cell].sum()
            begins = first == (10, 20)[cell]
            wanted = (
                here[kept.index(first)] * odds[row][column + 1][kept.index(second)] if begins else torch.tensor(0.0)
            )
            torch.testing.assert_close(share, wanted, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("adapter", [True, False])
@pytest.mark.parametrize("tied", [True, False])
def test_a_step_moves_what_is_trained_and_leaves_the_adapter_on(tied: bool, adapter: bool) -> None:
    whole = student("llama", tied=tied, adapter=adapter).train()
    before = whole.heads()[0].new.detach().clone()
    hard = LossModel(whole.model)
    whole(BATCH, LABELS)["loss"].backward()
    assert whole.model.training
    assert all(
        parameter.requires_grad == ("lora" in name or ".rows." in name) for name, parameter in whole.named_parameters()
    )
    trained = {name: parameter for name, parameter in whole.named_parameters() if parameter.requires_grad}
    grads = {name: parameter.grad.clone() for name, parameter in whole.named_parameters() if parameter.grad is not None}
    assert grads.keys() == trained.keys()
    whole.zero_grad()
    hard(BATCH, LABELS)["loss"].backward()
    for name, parameter in trained.items():
        assert not torch.allclose(parameter.grad, grads[name], atol=1e-5), f"{name}: the teacher says nothing"
    assert torch.equal(whole.heads()[0].new, before)
    with torch.no_grad():
        torch.testing.assert_close(whole(BATCH, LABELS)["loss"], hard(BATCH, LABELS)["loss"])


def test_nothing_to_learn_from_and_a_cut_head() -> None:
    whole = student("llama")
    nothing = whole(BATCH, torch.full_like(LABELS, IGNORED), 1)["loss"]
    assert nothing.item() == 0
    nothing.backward()
    torch.manual_seed(4)
    cut = LossModel(
        whole.model,
        ids=torch.cat([BATCH.flatten(), torch.tensor([2])]),
        sampled=20,
        distil=0.5,
        units=constituents(PIECES),
    )
    in_use, sampled = cut.heads()
    assert len(in_use.stock) < len(sampled.stock) < 128
    assert torch.isfinite(cut(BATCH, LABELS)["loss"])
