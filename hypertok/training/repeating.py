"""Blocks of which some come once more, as a stretch that stands there twice: so a model does not unlearn to copy.

Text that never repeats itself teaches a model that nothing it has read comes again: Gemma-3-270M repeats 59 % of a
passage as it comes, 44 % after 5 million characters of plain text, and 32 % where phrases are units, whose rows have
never been copied at all. With a tenth of the blocks repeated it is 50 % with phrases, at no price in bits.

Source: the project's own; that repeated stretches of text are what copying is learned from is shown by Olsson et al.
(2022) for heads that complete such patterns.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from hypertok.errors import InputError
from hypertok.training.data import Blocks, filled, orders
from hypertok.training.loss import IGNORED

#: What stands between a stretch and its repetition.
BETWEEN = "\n\n"
#: Beside the seed, so that what is repeated hangs on no other draw.
_STREAM = 1
#: Tokens that a stretch must have: fewer are no passage to go on with.
_SHORTEST = 8


@dataclass(frozen=True)
class RepeatingBlocks(Blocks):
    """The same blocks, and among them some that hold the beginning of one twice.

    Numbers of `order` from `blocks` on are such ones, of the block whose number is so many less. Only the second time
    is predicted.

    Attributes:
        between: ids that stand between the two.
    """

    between: tuple[int, ...] = field(kw_only=True)

    @classmethod
    def of(
        cls, blocks: Blocks, share: float, between: tuple[int, ...], *, seed: int | None, fill: int = 1
    ) -> RepeatingBlocks:
        """Add to each epoch a share of its blocks; `seed` and `fill` as in `make_blocks`.

        Raises:
            InputError: a block has no room for a stretch twice.
        """
        number, generator = blocks.blocks, np.random.default_rng([seed or 0, _STREAM])
        own = orders(number, blocks.epochs, seed, 1).reshape(blocks.epochs, number)
        found = []
        for epoch in own:
            again = number + generator.choice(number, round(share * number), replace=False)
            found.append(np.insert(epoch, generator.integers(0, number + 1, len(again)), again))
        made = cls(**vars(blocks) | {"order": filled(np.concatenate(found), fill)}, between=between)
        if made.stretch < _SHORTEST:
            raise InputError(
                f"context {blocks.context}: no room for a stretch of {_SHORTEST} tokens twice, which repeats asks for; "
                "take more, or leave repeats out"
            )
        return made

    @property
    def stretch(self) -> int:
        """Tokens that come twice."""
        return (self.context + 1 - len(self.start) - len(self.between)) // 2

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """`input_ids` and `labels` (context,), labels already shifted."""
        number = int(self.order[index])
        if number < self.blocks:
            return super().__getitem__(index)
        first = (number - self.blocks) * self.size
        piece = self.tokens[first : first + self.stretch].astype(np.int64)
        ids = torch.tensor([*self.before(piece), *piece, *self.between, *piece])
        labels = torch.full_like(ids, IGNORED)
        labels[-len(piece) :] = ids[-len(piece) :]
        missing = self.context + 1 - len(ids)
        inputs = pad(ids, (0, missing), value=int(piece[-1]))[:-1]
        return {"input_ids": inputs, "labels": pad(labels[1:], (0, missing), value=IGNORED)}
