"""The tiled loss is the plain one: value and gradients, caps and multipliers, and never the whole logits."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from tiny_models import KINDS, tiny_model
from torch.nn.functional import cross_entropy
from torch.utils._python_dispatch import TorchDispatchMode

from hypertok.errors import InputError
from hypertok.model.split import HeadRows, new_rows, split_rows
from hypertok.training.check_head import check_head
from hypertok.training.loss import IGNORED, LossModel, cross_entropy_sum, cut_head, sampled_head

TOKENS, STOCK, NEW, WIDTH = 37, 90, 13, 16


def made(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(seed)
    hidden = torch.randn(TOKENS, WIDTH, requires_grad=True)
    stock, new = torch.randn(STOCK, WIDTH), torch.randn(NEW, WIDTH, requires_grad=True)
    place = torch.randperm(STOCK + NEW)
    labels = torch.randint(0, STOCK + NEW, (TOKENS,))
    return hidden, stock, new, place, labels


def plain(
    head: HeadRows, hidden: torch.Tensor, labels: torch.Tensor, masked: torch.Tensor | None = None
) -> torch.Tensor:
    rows = head.stock if head.new is None else torch.cat([head.stock, head.new])
    logits = hidden @ rows.T * head.multiplier
    if head.softcap is not None:
        logits = torch.tanh(logits / head.softcap) * head.softcap
    if head.place is not None:
        logits = logits[:, head.place]
    if masked is not None:
        logits = logits.masked_fill(masked, -torch.inf)
    return cross_entropy(logits, labels, reduction="sum", ignore_index=IGNORED)


@pytest.mark.parametrize("softcap", [None, 3.0])
@pytest.mark.parametrize("multiplier", [1.0, 0.25])
@pytest.mark.parametrize("chunk", [0, 1, 7, 37, 1000])
def test_value_and_gradients_are_the_plain_ones(softcap: float | None, multiplier: float, chunk: int) -> None:
    hidden, stock, new, place, labels = made()
    labels[[0, 5, 36]] = IGNORED
    head = HeadRows(stock, new, place, softcap, multiplier)
    expected = plain(head, hidden, labels)
    wanted = torch.autograd.grad(expected * 0.7, [hidden, new])
    loss = cross_entropy_sum(head, hidden, labels, chunk)
    found = torch.autograd.grad(loss * 0.7, [hidden, new])
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-5)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def test_a_stock_head_and_no_labels_at_all() -> None:
    hidden, stock, _, _, _ = made()
    head = HeadRows(stock, None, None)
    labels = torch.randint(0, STOCK, (TOKENS,))
    torch.testing.assert_close(cross_entropy_sum(head, hidden, labels, 10), plain(head, hidden, labels))
    nothing = cross_entropy_sum(head, hidden, torch.full((TOKENS,), IGNORED), 10)
    assert nothing.item() == 0
    assert not torch.autograd.grad(nothing, hidden)[0].any()


class Largest(TorchDispatchMode):
    """Notes the number of elements of the largest tensor that any operation makes."""

    def __init__(self) -> None:
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for one in result if isinstance(result, tuple | list) else [result]:
            if isinstance(one, torch.Tensor):
                self.elements = max(self.elements, one.numel())
        return result


def test_the_whole_logits_are_never_there() -> None:
    hidden, stock, new, place, labels = made()
    with Largest() as largest:
        cross_entropy_sum(HeadRows(stock, new, place), hidden, labels, 4).backward()
    assert largest.elements == TOKENS * WIDTH, "hidden states and their gradient; four logits of each"
    assert largest.elements < TOKENS * (STOCK + NEW)
    with Largest() as whole:
        plain(HeadRows(stock, new, place), hidden, labels)
    assert whole.elements >= TOKENS * (STOCK + NEW), "the measure measures"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tied", [True, False])
def test_the_loss_of_a_model_is_that_of_transformers(kind: str, tied: bool) -> None:
    ids = torch.randint(3, 128, (2, 33), generator=torch.Generator().manual_seed(1))
    softcap = 4.0 if kind == "gemma3" else None
    plain_model, split = (tiny_model(kind, tied=tied, softcap=softcap) for _ in range(2))
    expected = plain_model(ids, labels=ids).loss
    expected.backward()
    split.requires_grad_(False)
    split_rows(split, [5, 77, 120])
    loss = LossModel(split, chunk=9)(ids[:, :-1], ids[:, 1:])["loss"]
    loss.backward()
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-5)
    grad = plain_model.get_input_embeddings().weight.grad[[5, 77, 120]]
    torch.testing.assert_close(new_rows(split)["input"].weight.grad, grad, rtol=1e-5, atol=1e-5)
    check_head(split, ids[:1, :16])


def test_bf16_is_near() -> None:
    hidden, stock, new, place, labels = made()
    head = HeadRows(stock.bfloat16(), new, place)
    loss = cross_entropy_sum(head, hidden.bfloat16(), labels, 8)
    loss.backward()
    assert new.grad is not None
    assert new.grad.dtype == torch.float32
    torch.testing.assert_close(loss, plain(HeadRows(stock, new, place), hidden, labels), rtol=2e-2, atol=0)


def test_a_head_that_does_something_else_is_refused() -> None:
    model = tiny_model("llama", tied=False)
    ids = torch.randint(3, 128, (1, 16))
    check_head(model, ids)
    model.config.logit_scale = 3.0  # Cohere's class multiplies by it, Llama's does not
    with pytest.raises(InputError, match="LlamaForCausalLM: its head"):
        check_head(model, ids)


def few(place: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Eleven ids to keep, new ones among them and one of them twice; and the ids that a head cut to them lacks."""
    ids = torch.randperm(STOCK + NEW)[:11]
    masked = place < STOCK
    masked[ids] = False
    return torch.cat([ids, ids[:1]]), masked


@pytest.mark.parametrize("softcap", [None, 3.0])
@pytest.mark.parametrize("chunk", [5, 1000])
def test_a_cut_head_is_the_whole_one_with_all_other_logits_masked(softcap: float | None, chunk: int) -> None:
    hidden, stock, new, place, _ = made()
    ids, masked = few(place)
    labels = torch.nonzero(~masked)[:, 0][torch.randint(0, int((~masked).sum()), (TOKENS,))]
    labels[[2, 7]] = IGNORED
    whole = HeadRows(stock, new, place, softcap, 0.5)
    expected = plain(whole, hidden, labels, masked)
    wanted = torch.autograd.grad(expected, [hidden, new])
    cut = cut_head(whole, ids)
    assert len(cut.stock) + NEW == int((~masked).sum())
    with Largest() as largest:
        loss = cross_entropy_sum(cut, hidden, labels, chunk)
    assert largest.elements <= max((TOKENS - 2) * min(chunk, max(len(cut.stock), NEW)), TOKENS * WIDTH)
    found = torch.autograd.grad(loss, [hidden, new])
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-5)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
    assert loss < plain(whole, hidden, labels)
    labels[3] = torch.nonzero(masked)[0, 0]
    with pytest.raises(InputError, match=rf"token id {int(labels[3])}: not among the ids"):
        cross_entropy_sum(cut, hidden, labels, chunk)


def test_a_stock_head_is_cut_too() -> None:
    hidden, stock, _, _, _ = made()
    masked = torch.ones(STOCK, dtype=torch.bool)
    masked[[4, 8, 80]] = False
    labels = torch.tensor([80, 4, 8] * 13)[:TOKENS]
    cut = cut_head(HeadRows(stock, None, None), torch.tensor([80, 8, 4]))
    assert cut.stock.shape == (3, WIDTH)
    expected = plain(HeadRows(stock, None, None), hidden, labels, masked)
    torch.testing.assert_close(cross_entropy_sum(cut, hidden, labels, 7), expected)


@pytest.mark.parametrize("softcap", [None, 3.0])
def test_a_sample_stands_for_what_was_cut_off(softcap: float | None) -> None:
    """Value and gradients are those of logits over the kept ids and the drawn ones, each of these so many times."""
    hidden, stock, new, place, _ = made()
    ids, masked = few(place)
    labels = torch.nonzero(~masked)[:, 0][torch.randint(0, int((~masked).sum()), (TOKENS,))]
    whole = HeadRows(stock, new, place, softcap, 0.5)
    rest = place[masked]
    torch.manual_seed(1)
    head = sampled_head(cut_head(whole, ids), stock, rest, 8)
    torch.manual_seed(1)
    drawn = rest[torch.randint(len(rest), (8,))]
    logits = hidden @ torch.cat([stock, new]).T * 0.5
    logits = logits if softcap is None else torch.tanh(logits / softcap) * softcap
    spread = torch.cat([logits[:, drawn] + torch.tensor(len(rest) / 8).log(), logits[:, place[~masked]]], dim=1)
    expected = (torch.logsumexp(spread, dim=1) - logits.gather(1, place[labels][:, None])[:, 0]).sum()
    wanted = torch.autograd.grad(expected, [hidden, new])
    loss = cross_entropy_sum(head, hidden, labels, 7)
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-5)
    for one, other in zip(torch.autograd.grad(loss, [hidden, new]), wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def test_the_sample_is_right_on_average() -> None:
    hidden, stock, new, place, _ = made()
    ids, masked = few(place)
    whole, rest = HeadRows(stock, new, place), place[masked]
    cut = cut_head(whole, ids)
    hidden = hidden.detach() / 4
    sums = [
        (hidden @ head.stock[: head.sampled].T + head.log_weight).exp().sum(1)
        for head in (sampled_head(cut, stock, rest, 16) for _ in range(2_000))
    ]
    wanted = (hidden @ stock[rest].T).exp().sum(1)
    assert ((torch.stack(sums).mean(0) / wanted) - 1).abs().max() < 0.05


def test_a_head_is_whole_where_little_would_be_cut_off_and_where_nothing_is_trained() -> None:
    model = split_rows(tiny_model("gemma3", tied=True).requires_grad_(False), [5, 77, 120])
    ids = torch.randint(3, 60, (2, 33), generator=torch.Generator().manual_seed(2))
    assert LossModel(model, 9, ids).logits == 128
    cut, whole = LossModel(model, 9, ids, sampled=16), LossModel(model, 9)
    assert cut.logits < 128
    with torch.no_grad():
        assert cut(ids[:, :-1], ids[:, 1:])["loss"] == whole(ids[:, :-1], ids[:, 1:])["loss"]
    torch.manual_seed(0)
    first, second = (cut(ids[:, :-1], ids[:, 1:])["loss"].item() for _ in range(2))
    assert first != second, "another sample in every step"
    assert abs(first - whole(ids[:, :-1], ids[:, 1:])["loss"].item()) < 0.1


@pytest.mark.parametrize("tied", [True, False])
def test_a_model_with_a_cut_head(tied: bool) -> None:
    model = tiny_model("gemma3", tied=tied, softcap=4.0).requires_grad_(False)
    new_ids = [5, 77, 120]
    split_rows(model, new_ids)
    ids = torch.randint(3, 60, (2, 33), generator=torch.Generator().manual_seed(2))
    cut = LossModel(model, 9, ids, sampled=16)
    masked = torch.ones(128, dtype=torch.bool)
    masked[new_ids] = masked[ids] = False
    others = torch.nonzero(masked)[:, 0]
    assert cut.logits == int((~masked).sum()) + 16
    rows = list(new_rows(model).values())
    for turn in range(2):  # the new rows of the second turn are others
        torch.manual_seed(turn)
        drawn = others[torch.randint(len(others), (16,))].bincount(minlength=128)
        weights = torch.where(masked, drawn * len(others) / 16, 1.0)
        torch.manual_seed(turn)
        logits = model(input_ids=ids[:, :-1]).logits + weights.log()
        expected = cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
        wanted = torch.autograd.grad(expected, [part.weight for part in rows])
        loss = cut(ids[:, :-1], ids[:, 1:])["loss"]
        torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-5)
        found = torch.autograd.grad(loss, [part.weight for part in rows])
        for one, other, part in zip(found, wanted, rows, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
            part.weight.data -= one
    with pytest.raises(InputError, match="token id 126"):
        cut(ids[:, :-1], torch.full((2, 32), 126))
