"""Blocks for units that are only read: stretches of text in units and in stock tokens, by turns.

Stock tokens that follow a stretch in units are predicted; that they are predicted as after the same text in stock
tokens is what the rows of the units are trained for (`reading_loss.py`). So every block comes twice, as it is read and
in stock tokens throughout.

Source: new input rows trained with the model frozen, to do for what follows as the old tokens did, are near to Token
Distillation (Dobler et al., 2025), which compares hidden states; the stretches by turns are the project's own.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hypertok.tokenizer.spelling import Flags, Ids, Spelling
from hypertok.training.data import Blocks, orders
from hypertok.training.loss import IGNORED

#: Tokens of a stretch, as shares of its block; what follows hangs on the last tokens most, so stretches end often.
_SHORTEST, _LONGEST = 1 / 8, 1 / 2
#: Share of the blocks that are half as long, in units, and then come again in stock tokens. On 600,000 characters they
#: bring what a stretch that comes again costs from 0.60 bits per character to 0.34 (after stock tokens: 0.14), and what
#: follows from 1.75 to 2.7 % over stock tokens.
_REPEATED = 1 / 2


@dataclass(frozen=True)
class ReadingBlocks(Blocks):
    """Blocks by stock tokens: none has more of them than `context`.

    Attributes:
        spelling: of the units.
        begins: (B + 1,) the first token of each block, and where the last one ends.
        seed: of the stretches.
    """

    spelling: Spelling = field(kw_only=True, repr=False)
    begins: npt.NDArray[np.int64] = field(kw_only=True, repr=False)
    seed: int = field(kw_only=True)

    @classmethod
    def of(cls, blocks: Blocks, spelling: Spelling, *, seed: int | None, fill: int = 1) -> ReadingBlocks:
        """The same tokens in other blocks; `seed` and `fill` as in `make_blocks`."""
        sizes = np.concatenate([spelling.spell(piece)[1] for piece in blocks.pieces()])
        begins = _cut(sizes, blocks.size)
        order = orders(len(begins) - 1, blocks.epochs, seed, fill)
        return cls(**vars(blocks) | {"order": order}, spelling=spelling, begins=begins, seed=seed or 0)

    @property
    def blocks(self) -> int:
        """Blocks of one epoch."""
        return len(self.begins) - 1

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """`input_ids` and `labels` of the block as it is read, `stock_ids` and `stock_labels` in stock tokens.

        Labels are shifted already, ignored in stretches in units; of both they are the same ids in the same order.
        Lengths differ.
        """
        number = int(self.order[index])
        piece = self.tokens[self.begins[number] : self.begins[number + 1]].astype(np.int64)
        if number < 0 or len(piece) == 1:  # a unit as long as a block has nothing before it and nothing behind
            one, nothing = torch.tensor([int(self.tokens[0])]), torch.tensor([IGNORED])
            return {"input_ids": one, "labels": nothing, "stock_ids": one, "stock_labels": nothing}
        generator = np.random.default_rng([self.seed, index])
        part = _half(self.spelling.spell(piece)[1], generator)
        if generator.random() < _REPEATED and part.any():
            piece = np.tile(piece[part], 2)
            read = np.arange(len(piece)) < len(piece) // 2
        else:
            read = _stretches(len(piece), generator)
        ids, labels = self._shifted(*self.spelling.spell(piece, read), read)
        stock_ids, stock_labels = self._shifted(*self.spelling.spell(piece), read)
        return {"input_ids": ids, "labels": labels, "stock_ids": stock_ids, "stock_labels": stock_labels}

    def _shifted(self, ids: Ids, sizes: Ids, read: Flags) -> tuple[Tensor, Tensor]:
        """Ids behind what stands before a text, and those of them that are predicted, one place earlier."""
        predicted = np.repeat(~read, sizes)
        before = self.before(ids)
        ids = np.concatenate([np.asarray(before, np.int64), ids])
        predicted = np.concatenate([np.zeros(len(before), np.bool_), predicted])
        labels = np.where(predicted, ids, IGNORED)
        return torch.from_numpy(ids[:-1]), torch.from_numpy(labels[1:])


def _stretches(tokens: int, generator: np.random.Generator) -> Flags:
    """Which tokens of a block stay units: the first stretch, and every second one; never all."""
    low, high = (max(1, int(tokens * share)) for share in (_SHORTEST, _LONGEST))
    flags, read = np.zeros(tokens, np.bool_), True
    at = 0
    while at < tokens:
        end = at + int(generator.integers(low, high + 1))
        flags[at:end] = read
        at, read = end, not read
    return flags


def _half(sizes: Ids, generator: np.random.Generator) -> Flags:
    """The tokens at the beginning of a block, or at its end, that come to half of its stock tokens at most."""
    back = int(generator.choice([-1, 1]))
    ends: Ids = sizes[::back].cumsum()[::back]
    return ends <= int(sizes.sum()) // 2


def _cut(sizes: Ids, room: int) -> npt.NDArray[np.int64]:
    """Where blocks begin that come to `room` stock tokens and one at most, no token cut; the end of the last one.

    A last block of a single token predicts nothing and is left out.
    """
    ends = np.concatenate([[0], sizes.cumsum()])
    begins = [0]
    while begins[-1] < len(sizes):
        last = int(np.searchsorted(ends, ends[begins[-1]] + room + 1, side="right")) - 1
        begins.append(max(last, begins[-1] + 1))
    if len(begins) > 2 and begins[-1] - begins[-2] == 1:
        begins.pop()
    return np.array(begins, np.int64)
