"""The new rows of a model as one separate parameter, its stock rows frozen beside them.

The modules of input and output are put in place of the model's own (`split_rows`) and taken out again (`merge_rows`);
the two parts of a matrix are in `split_matrix.py`. A tied model has one such table for input and output, any other
model two.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from hypertok.errors import InputError
from hypertok.model.split_matrix import FlatRows, HeldRows, SplitRows


class _Split(nn.Module):
    """A module of the model whose matrix is split; the plain one waits, emptied, to be put back."""

    def __init__(self, table: SplitRows, plain: nn.Module) -> None:
        super().__init__()
        self.table = table
        self._plain = [plain]  # in a list, so that it is no part of the model now
        plain.register_parameter("weight", None)

    @property
    def weight(self) -> Tensor:
        """The stock rows: what asks a module for its device or data type looks here."""
        return self.table.stock

    def restored(self, weight: nn.Parameter) -> nn.Module:
        """The plain module with a matrix again."""
        plain: nn.Module = self._plain[0]
        plain.register_parameter("weight", weight)
        return plain.to(weight.device)


class SplitEmbedding(_Split):
    """The input side; Gemma multiplies its rows by `embed_scale`."""

    def __init__(self, table: SplitRows, plain: nn.Module) -> None:
        super().__init__(table, plain)
        scale = getattr(plain, "embed_scale", None)
        # A constant of the configuration; in the model's data type, as Gemma's own class rounds it.
        self.scale = None if scale is None else float(torch.as_tensor(scale).to(self.table.stock.dtype))

    def forward(self, input_ids: Tensor) -> Tensor:
        """(…) -> (…, d)."""
        found = self.table.look_up(input_ids)
        return found if self.scale is None else found * self.scale


class SplitHead(_Split):
    """The output side."""

    def forward(self, hidden: Tensor) -> Tensor:
        """(…, d) -> (…, V) in order of id: whole logits, for generation; training takes `head_rows`."""
        return self.table.logits(hidden)


@dataclass(frozen=True)
class HeadRows:
    """What logits are made from, for a loss that never holds all of them.

    Attributes:
        stock: (S, d), frozen or not.
        new: (N, d) fp32 with its gradient; None for a model that is not split.
        place: (S + N,) for each id its row in stock and new together; None if that is the id itself.
        softcap: logits are softcap * tanh(logits / softcap); None: as they are.
        multiplier: of the logits, before the cap.
        sampled: so many of the first stock rows stand for rows that are left out.
        log_weight: for how many each of them stands, as a logarithm that is added to its logit.
    """

    stock: Tensor
    new: Tensor | None
    place: Tensor | None
    softcap: float | None = None
    multiplier: float = 1.0
    sampled: int = 0
    log_weight: float = 0.0


def causal_lm(model: Any) -> Any:
    """The transformers model inside PEFT's wrapper, or the model itself."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def backbone(model: nn.Module) -> nn.Module:
    """The part of a causal language model that gives the last hidden state.

    Raises:
        InputError: it has no such part.
    """
    causal = causal_lm(model)
    inner = getattr(causal, "base_model", causal)
    if inner is causal or not isinstance(inner, nn.Module):
        raise InputError(
            f"{type(causal).__name__}: not a causal language model with a backbone; load it with AutoModelForCausalLM"
        )
    return inner


def is_tied(model: nn.Module) -> bool:
    """Whether input and output are one matrix, in a plain or in a split model."""
    causal = causal_lm(model)
    inner, head = causal.get_input_embeddings(), causal.get_output_embeddings()
    return inner.weight is head.weight


def split_rows(
    model: Any,
    new_ids: Sequence[int] | Tensor,
    new_input: Tensor | nn.Module | None = None,
    new_output: Tensor | nn.Module | None = None,
) -> Any:
    """Split the matrices of a transformers causal language model, in place.

    Args:
        model: its matrices have a row for every new id already.
        new_ids: (N,), different ids.
        new_input: (N, d) new rows of the input matrix (of both, if tied), or a module that gives them; None for the
            rows that the model has. Rows in fp32 are not copied.
        new_output: the same for the output matrix of an untied model.

    Returns:
        The model. Only the new rows of the two matrices can be trained; all other parameters stay as they were.

    Raises:
        InputError: the ids do not fit the model, or its embedding or head is of a kind that hypertok does not know.
    """
    inner, head = model.get_input_embeddings(), model.get_output_embeddings()
    _check(model, inner, head, torch.as_tensor(new_ids))
    tied = inner.weight is head.weight
    if tied and new_output is not None:
        raise InputError("new_output is given and the model is tied: it has one matrix; leave it out")
    table = SplitRows(inner.weight, new_ids, _rows(inner.weight, new_ids, new_input))
    other = table if tied else SplitRows(head.weight, new_ids, _rows(head.weight, new_ids, new_output))
    model.set_input_embeddings(SplitEmbedding(table, inner))
    model.set_output_embeddings(SplitHead(other, head))
    return model


def merge_rows(model: Any) -> Any:
    """Undo `split_rows`, in place: plain matrices with the new rows written in, tied if they were.

    Stock rows have the bits that they had before; new ones are rounded to the model's data type.
    """
    tied = is_tied(model)
    inner, head = model.get_input_embeddings(), model.get_output_embeddings()
    weight = nn.Parameter(inner.table.joined(), requires_grad=False)
    other = weight if tied else nn.Parameter(head.table.joined(), requires_grad=False)
    model.set_input_embeddings(inner.restored(weight))
    model.set_output_embeddings(head.restored(other))
    return model


def head_rows(model: nn.Module) -> HeadRows:
    """The rows of the output side of a model, split or not, in PEFT's wrapper or not, for the tiled loss."""
    causal = causal_lm(model)
    config = causal.config.get_text_config()
    head = causal.get_output_embeddings()
    softcap = getattr(config, "final_logit_softcapping", None)
    multiplier = float(getattr(config, "logit_scale", None) or 1.0)  # Cohere
    multiplier /= float(getattr(config, "logits_scaling", None) or 1.0)  # Granite
    if isinstance(head, SplitHead):
        table = head.table
        return HeadRows(table.stock, table.new(), table.place, softcap, multiplier)
    return HeadRows(head.weight, None, None, softcap, multiplier)


@contextmanager
def rows_once(model: nn.Module) -> Iterator[None]:
    """Make the new rows of a tied model once for both sides, not for each; around one forward pass with its loss."""
    causal = causal_lm(model)
    inner = causal.get_input_embeddings()
    table = inner.table if isinstance(inner, _Split) and is_tied(causal) else None
    if table is not None:
        table.held = HeldRows(table.rows())
    try:
        yield
    finally:
        if table is not None:
            table.held = None


def new_rows(model: nn.Module) -> dict[str, nn.Module]:
    """The modules that give the new rows: "input", and "output" if the model is not tied; {} if it is not split."""
    causal = causal_lm(model)
    inner, head = causal.get_input_embeddings(), causal.get_output_embeddings()
    if not isinstance(inner, SplitEmbedding):
        return {}
    found = {"input": inner.table.rows}
    return found if head.table is inner.table else {**found, "output": head.table.rows}


def _rows(matrix: Tensor, new_ids: Sequence[int] | Tensor, given: Tensor | nn.Module | None) -> nn.Module:
    if isinstance(given, nn.Module):
        return given
    ids = torch.as_tensor(new_ids, dtype=torch.int64).to(matrix.device)
    weight = matrix.detach()[ids] if given is None else given
    if weight.shape != (len(ids), matrix.shape[1]):
        raise InputError(
            f"new rows of shape {tuple(weight.shape)} for {len(ids):,} ids of width {matrix.shape[1]:,}; "
            "give one row per id"
        )
    return FlatRows(weight)


def _check(model: Any, inner: Any, head: Any, ids: Tensor) -> None:
    name = type(model).__name__
    if head is None or not isinstance(inner, nn.Embedding) or not isinstance(head, nn.Linear):
        raise InputError(
            f"{name}: its input is a {type(inner).__name__} and its output a {type(head).__name__}; hypertok splits "
            "models with an Embedding and a Linear, not split or quantised already"
        )
    if head.bias is not None:
        raise InputError(f"{name}: its output head has a bias, which hypertok cannot extend; take another model")
    if type(inner).forward is not nn.Embedding.forward and not hasattr(inner, "embed_scale"):
        raise InputError(f"{name}: its embedding is a {type(inner).__name__}, which hypertok does not know")
    if not len(ids):
        raise InputError("no new ids: there is nothing to split; train a stock model without new rows")
    rows = min(inner.weight.shape[0], head.weight.shape[0])
    if int(ids.min()) < 0 or int(ids.max()) >= rows or len(ids.unique()) != len(ids):
        raise InputError(
            f"new ids from {int(ids.min()):,} to {int(ids.max()):,}, {len(ids.unique()):,} different of {len(ids):,}, "
            f"and the model has {rows:,} rows: they do not belong together; extend the model again "
            "with: hypertok extend"
        )
