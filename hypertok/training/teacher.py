"""The stock model inside an extended one as its teacher: the same text in stock tokens, without the adapter.

It is there already, for the stock rows are frozen and an adapter can be switched off, so a teacher takes no memory of
its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from peft import PeftModel
from torch import Tensor, nn

from hypertok.model.constituents import Constituents
from hypertok.model.split import HeadRows, backbone
from hypertok.training.soft_loss import Cells, Targets, part_elements
from hypertok.training.tiles import capped_logits

#: Likeliest first and second tokens that are told apart. What they leave is one cell each.
FIRST, SECOND = 32, 16


class Teacher(nn.Module):
    """Reads what the model reads in stock tokens, and says what it expects."""

    place: Tensor
    unit_of: Tensor
    pieces: Tensor
    starts: Tensor
    cell_first: Tensor
    cell_second: Tensor
    cell_of: Tensor

    def __init__(self, units: Constituents, new_ids: Tensor, place: Tensor) -> None:
        """For the units of a model.

        Args:
            units: what the N new rows are made of, two stock tokens each or more.
            new_ids: (N,) their ids.
            place: (V,) for each id its row in the head, that of every constituent known.
        """
        super().__init__()
        unit_of = torch.full((len(place),), -1)
        unit_of[new_ids] = torch.arange(len(new_ids))
        heads = torch.stack([units.ids[units.starts[:-1]], units.ids[units.starts[:-1] + 1]], dim=1)
        pairs, of = torch.unique(place.cpu()[heads], dim=0, return_inverse=True)
        tensors = {
            "place": place,
            "unit_of": unit_of,
            "pieces": units.ids,
            "starts": units.starts,
            "cell_first": pairs[:, 0].contiguous(),
            "cell_second": pairs[:, 1].contiguous(),
            "cell_of": of,
        }
        for name, tensor in tensors.items():
            self.register_buffer(name, tensor.to(place.device), persistent=False)

    @property
    def cells(self) -> Cells:
        """The units by their first two constituents."""
        return Cells(self.cell_first, self.cell_second, self.cell_of)

    @torch.no_grad()
    def forward(self, model: nn.Module, head: HeadRows, input_ids: Tensor, labels: Tensor, ignored: int) -> Targets:
        """What is expected at the positions that have a label.

        Args:
            model: the extended one.
            head: its rows, without a sample.
            input_ids: (B, T).
            labels: (B, T) the ids that follow; `ignored` where nothing is predicted.
        """
        last = torch.where(labels[:, -1:] == ignored, input_ids[:, -1:], labels[:, -1:])
        stock_ids, ends = self._in_stock_tokens(torch.cat([input_ids, last], dim=1))
        with _as_it_came(model), torch.compiler.set_stance("force_eager"):  # lengths differ from step to step
            hidden = backbone(model)(input_ids=stock_ids, use_cache=False).last_hidden_state
        row, column = torch.nonzero(labels != ignored, as_tuple=True)
        at = ends[row, column]
        label = labels[row, column]
        unit = self.unit_of[label]
        true = self.place[torch.where(unit < 0, label, self.pieces[self.starts[unit.clamp(min=0)]])]
        stock = head.stock.to(hidden.dtype)
        step = max(1, part_elements(cpu=hidden.device.type == "cpu") // max(len(stock), len(self.cell_of)))
        parts = [
            self._expected(head, stock, hidden[row[some], at[some]], hidden[row[some], at[some] + 1], true[some])
            for some in torch.split(torch.arange(len(row), device=row.device), step)
        ]
        return Targets(true, *(torch.cat(column) for column in zip(*parts, strict=True)))

    def _in_stock_tokens(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T) -> (B, L) stock ids, the shorter ones filled up, and (B, T) where the last of each token stands."""
        unit = self.unit_of[ids]
        known = unit.clamp(min=0)
        sizes = torch.where(unit < 0, 1, self.starts[known + 1] - self.starts[known])
        ends = sizes.cumsum(1)
        of = torch.repeat_interleave(torch.arange(ids.numel(), device=ids.device), sizes.flatten())
        begins = (ends - sizes).flatten()
        before = sizes.flatten().cumsum(0) - sizes.flatten()
        offset = torch.arange(len(of), device=ids.device) - before[of]
        piece = self.pieces[(self.starts[known].flatten()[of] + offset).clamp(max=len(self.pieces) - 1)]
        out = ids[:, -1:].new_zeros(len(ids), int(ends[:, -1].max()))
        out[of // ids.shape[1], begins[of] + offset] = torch.where(unit.flatten()[of] < 0, ids.flatten()[of], piece)
        return out, ends - 1

    def _expected(
        self, head: HeadRows, stock: Tensor, before: Tensor, after: Tensor, true: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Of states (T, d) before and after the true first token: the other fields of `Targets`."""
        odds = capped_logits(head, before @ stock.T)[0].softmax(1)
        true_odds = odds.gather(1, true[:, None])
        likely = odds.topk(min(FIRST, len(stock)), dim=1)
        del odds
        second = capped_logits(head, after @ stock.T)[0].softmax(1)[:, self.cell_second]
        inside = second.masked_fill_(self.cell_first != true[:, None], 0.0)
        likely_cells = inside.topk(min(SECOND, inside.shape[1]), dim=1)
        return true_odds[:, 0], likely.indices, likely.values, likely_cells.indices, likely_cells.values * true_odds


@contextmanager
def _as_it_came(model: nn.Module) -> Iterator[None]:
    """Without adapter and dropout."""
    training = model.training
    model.eval()
    try:
        with model.disable_adapter() if isinstance(model, PeftModel) else nullcontext():
            yield
    finally:
        model.train(training)
