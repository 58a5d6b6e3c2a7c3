"""One matrix in two parts: stock rows, frozen, and new rows, trained.

PEFT's `trainable_token_indices` copies the whole matrix in every step, `modules_to_save` trains all of it, and a mask
on the gradient still leaves the optimizer with state for every stock row. Here the matrix is two: `stock`, frozen, in
the model's data type, and the new rows, a module of their own in fp32. Both orders of ids are allowed: new ids after
the stock ones, and new ids among them. Inside, row `place[id]` counts the stock rows first and the new ones after
them, so that nothing has to be put back in order but logits that somebody looks at.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F


class FlatRows(nn.Module):
    """New rows, each trained for itself.

    Whatever gives a (N, d) fp32 tensor when it is called can stand in its place: rows composed of concept, inflection
    and a residual, say.
    """

    def __init__(self, weight: Tensor) -> None:
        """`weight`: (N, d), any data type; trained in its own place where it is fp32."""
        super().__init__()
        self.weight = nn.Parameter(weight.detach().to(torch.float32))

    def forward(self) -> Tensor:
        """The rows, (N, d) fp32."""
        return self.weight


class _LookUp(torch.autograd.Function):
    """As `F.embedding`, (N, d) and (…) -> (…, d), but the gradient of what was read is left in a list, with the index.

    The gradient of `F.embedding` is (N, d), and of 250,000 rows a step reads a thousand: 0.6 GiB of zeros at the peak
    of Gemma-3-270M.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, index: Tensor, left: list[tuple[Tensor, Tensor]]) -> Tensor:
        """The rows that are asked for."""
        ctx.save_for_backward(index)
        ctx.left = left
        return F.embedding(index, rows)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[None, None, None]:
        """Nothing goes to the rows from here: `HeldRows` adds what is left in the list."""
        ctx.left.append((ctx.saved_tensors[0].flatten(), grad.flatten(0, -2)))
        return None, None, None


class HeldRows:
    """New rows made once for a forward pass, for both sides of a tied model.

    The head gives a gradient for every row; that of the look-up is added to it in place when both have come.
    """

    def __init__(self, rows: Tensor) -> None:
        """`rows`: (N, d) fp32."""
        self.rows = rows
        self._left: list[tuple[Tensor, Tensor]] = []
        self._hook: Any = None
        if rows.requires_grad and torch.is_grad_enabled():
            self._hook = rows.register_hook(self._add)  # type: ignore[no-untyped-call]

    def look_up(self, index: Tensor) -> Tensor:
        """(…) -> (…, d)."""
        if self._hook is None:
            return F.embedding(index, self.rows)
        found: Tensor = _LookUp.apply(self.rows, index, self._left)  # type: ignore[no-untyped-call]
        return found

    def _add(self, grad: Tensor) -> Tensor:
        for index, part in self._left:
            grad.index_add_(0, index, part.to(grad.dtype))
        self._left.clear()
        self._hook.remove()  # a parameter outlives the step
        return grad


class SplitRows(nn.Module):
    """One matrix of a model, in two parts.

    Attributes:
        stock: (S, d), frozen, the rows of all ids that are not new, in order of id.
        rows: gives the new rows, (N, d) fp32, in the order of `new_ids`.
        place: (S + N,), for each id its row, the stock rows first.
        held: the new rows while `rows_once` holds them.
    """

    held: HeldRows | None = None
    place: Tensor
    new_ids: Tensor
    stock_ids: Tensor

    def __init__(self, matrix: Tensor, new_ids: Sequence[int] | Tensor, rows: nn.Module) -> None:
        """Cut (V, d) into two; the matrix is copied, not kept."""
        super().__init__()
        device = matrix.device
        ids = torch.as_tensor(new_ids, dtype=torch.int64).to(device)
        is_new = torch.zeros(matrix.shape[0], dtype=torch.bool, device=device)
        is_new[ids] = True
        stock_ids = torch.nonzero(~is_new)[:, 0]
        place = torch.empty(matrix.shape[0], dtype=torch.int64, device=device)
        place[stock_ids] = torch.arange(len(stock_ids), device=device)
        place[ids] = torch.arange(len(stock_ids), matrix.shape[0], device=device)
        self.stock = nn.Parameter(matrix.detach()[stock_ids], requires_grad=False)
        self.rows = rows.to(device)
        for name, value in (("place", place), ("new_ids", ids), ("stock_ids", stock_ids)):
            self.register_buffer(name, value, persistent=False)

    def new(self) -> Tensor:
        """The new rows, (N, d) fp32."""
        return self.rows() if self.held is None else self.held.rows

    def look_up(self, ids: Tensor) -> Tensor:
        """Rows of ids: (…) -> (…, d), in the data type of the stock rows."""
        place, size = self.place[ids], self.stock.shape[0]
        is_new = place >= size
        stock = F.embedding(place.masked_fill(is_new, 0), self.stock)
        index = (place - size).clamp_(min=0)
        new = F.embedding(index, self.rows()) if self.held is None else self.held.look_up(index)
        new = new.to(stock.dtype)
        return torch.where(is_new[..., None], new, stock)

    def logits(self, hidden: Tensor) -> Tensor:
        """(…, d) -> (…, V), in order of id."""
        new = self.new().to(hidden.dtype)
        both = torch.cat([F.linear(hidden, self.stock), F.linear(hidden, new)], dim=-1)
        return both.index_select(-1, self.place)

    @torch.no_grad()
    def joined(self) -> Tensor:
        """The plain matrix, (V, d) in the data type of the stock rows; their bits are as they were."""
        matrix = self.stock.new_empty(len(self.place), self.stock.shape[1])
        matrix[self.stock_ids] = self.stock
        matrix[self.new_ids] = self.new().to(matrix.dtype)
        return matrix
