"""New rows as a parameter of their own: the same model, the same bits back, gradients where they belong."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

import torch
from tiny_models import KINDS, tiny_model
from torch import nn

from hypertok.errors import InputError
from hypertok.model.split import head_rows, is_tied, merge_rows, new_rows, split_rows

ROWS = 128
PLACES = {"beyond": range(96, 120), "at the end": range(104, 128), "among": [3, 90, 17, 55, 127]}
TEXT = torch.tensor([[5, 3, 97, 17, 104, 127, 90, 0, 119, 96, 64]])
ALL = pytest.mark.parametrize(
    ("kind", "tied", "place"), [(k, t, p) for k in KINDS for t in (True, False) for p in PLACES]
)


@ALL
def test_a_split_model_is_the_same_model_and_comes_back_bit_by_bit(kind: str, tied: bool, place: str) -> None:
    model = tiny_model(kind, tied=tied)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with torch.no_grad():
        expected = model(TEXT).logits
        split_rows(model, PLACES[place])
        assert is_tied(model) == tied
        torch.testing.assert_close(model(TEXT).logits, expected, rtol=0, atol=2e-6)
    merge_rows(model)
    assert is_tied(model) == tied
    after = model.state_dict()
    assert after.keys() == before.keys()
    for name, tensor in before.items():
        assert torch.equal(after[name], tensor), name
    with torch.no_grad():
        assert torch.equal(model(TEXT).logits, expected)


@ALL
def test_new_rows_get_the_gradient_of_the_whole_matrix_there(kind: str, tied: bool, place: str) -> None:
    plain, split = tiny_model(kind, tied=tied), tiny_model(kind, tied=tied)
    ids = torch.tensor(list(PLACES[place]))
    plain.get_input_embeddings().weight.requires_grad_(True)
    plain(TEXT, labels=TEXT).loss.backward()
    split.requires_grad_(False)
    split_rows(split, ids)
    trained = {name: p for name, p in split.named_parameters() if p.requires_grad}
    assert len(trained) == (1 if tied else 2)
    assert all(p.shape == (len(ids), 32) and p.dtype == torch.float32 for p in trained.values())
    split(TEXT, labels=TEXT).loss.backward()
    rows = new_rows(split)
    assert set(rows) == ({"input"} if tied else {"input", "output"})
    whole = plain.get_input_embeddings().weight.grad
    torch.testing.assert_close(rows["input"].weight.grad, whole[ids], atol=1e-5, rtol=0)
    if not tied:
        found, expected = rows["output"].weight.grad, plain.get_output_embeddings().weight.grad[ids]
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("tied", [True, False])
def test_given_rows_are_taken_and_written_into_the_matrices(tied: bool) -> None:
    model = tiny_model("gemma3", tied=tied)
    ids = [3, 100, 127]
    given = torch.randn(3, 32), None if tied else torch.randn(3, 32)
    split_rows(model, ids, *given)
    held = [rows().data_ptr() for rows in new_rows(model).values()]
    assert held == [rows.data_ptr() for rows in given if rows is not None], "not copied"
    with torch.no_grad():
        live = model(TEXT).logits
    merge_rows(model)
    assert torch.equal(model.get_input_embeddings().weight[ids], given[0])
    assert torch.equal(model.get_output_embeddings().weight[ids], given[0] if given[1] is None else given[1])
    with torch.no_grad():
        torch.testing.assert_close(model(TEXT).logits, live, rtol=0, atol=1e-5)


def test_rows_may_be_any_module_that_gives_them() -> None:
    class Composed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.concept, self.inflection = nn.Parameter(torch.randn(2, 32)), nn.Parameter(torch.randn(3, 32))

        def forward(self) -> torch.Tensor:
            return (self.concept[:, None] + self.inflection).reshape(6, 32)

    model = tiny_model("llama", tied=True)
    model.requires_grad_(False)
    rows = Composed()
    split_rows(model, range(100, 106), rows)
    model(TEXT, labels=TEXT).loss.backward()
    assert rows.concept.grad is not None
    assert rows.inflection.grad is not None
    merge_rows(model)
    assert torch.equal(model.get_input_embeddings().weight[100:106], rows().detach())


def test_bf16_stays_bf16_and_rows_are_fp32() -> None:
    model = tiny_model("gemma3", tied=True).to(torch.bfloat16)
    before = model.get_input_embeddings().weight.clone()
    split_rows(model, range(96, 120))
    assert new_rows(model)["input"].weight.dtype == torch.float32
    assert model(TEXT).logits.dtype == torch.bfloat16
    assert head_rows(model).stock.dtype == torch.bfloat16
    merge_rows(model)
    assert torch.equal(model.get_input_embeddings().weight, before)


def test_a_split_model_generates() -> None:
    model = tiny_model("qwen3", tied=True)
    plain = model.generate(TEXT, max_new_tokens=8, do_sample=False, eos_token_id=None, pad_token_id=0)
    split_rows(model, [3, 90, 17, 55, 127])
    found = model.generate(TEXT, max_new_tokens=8, do_sample=False, eos_token_id=None, pad_token_id=0)
    assert found.tolist() == plain.tolist()


@pytest.mark.parametrize(
    ("ids", "told"), [([128], "128"), ([-1, 5], "-1"), ([5, 5], "1 different of 2"), ([], "no new")]
)
def test_ids_that_do_not_fit_are_refused(ids: list[int], told: str) -> None:
    with pytest.raises(InputError, match=told):
        split_rows(tiny_model("llama", tied=True), ids)


def test_other_mistakes_are_refused() -> None:
    with pytest.raises(InputError, match="one row per id"):
        split_rows(tiny_model("llama", tied=True), [5], torch.zeros(2, 32))
    with pytest.raises(InputError, match="it has one matrix"):
        split_rows(tiny_model("llama", tied=True), [5], torch.zeros(1, 32), torch.zeros(1, 32))
    model = split_rows(tiny_model("llama", tied=True), [5])
    with pytest.raises(InputError, match="split or quantised already"):
        split_rows(model, [6])
    model = tiny_model("llama", tied=False)
    model.lm_head = nn.Linear(32, ROWS, bias=True)
    with pytest.raises(InputError, match="bias"):
        split_rows(model, [5])
