"""The texts of a run, as blocks: those to train on and those held out, which are not among them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from hypertok.corpus.sources import Skipped
from hypertok.model.pair import Pair
from hypertok.tokenizer.spelling import Spelling
from hypertok.training.data import Blocks, first_texts, make_blocks, read_texts, refusable, refuse_leaks
from hypertok.training.options import TrainOptions


def read_blocks(
    pair: Pair,
    data: Path | str,
    held_out: Path | str | None,
    characters: int,
    options: TrainOptions,
    ranks: int,
    *,
    beside: Path,
    skipped: Skipped | None = None,
) -> tuple[Blocks, Blocks | None]:
    """The blocks to train on, and those to evaluate on.

    Args:
        characters: of the held-out texts that are read.
        ranks: processes that share the blocks.
        beside: a folder on the disk that takes the ids; made where it is not there.

    Raises:
        InputError: see `read_texts`, `refuse_leaks` and `make_blocks`.
    """
    beside.mkdir(parents=True, exist_ok=True)
    held, every = None, dict[str, str]()
    if held_out is not None:
        every = refusable(read_texts(held_out, skipped=skipped))
        texts = first_texts(read_texts(held_out), characters)
        held = make_blocks(texts, pair, options.context, bos=options.bos, beside=beside)
    blocks = make_blocks(
        refuse_leaks(read_texts(data, characters=options.characters, seed=options.seed, skipped=skipped), every),
        pair,
        options.context,
        epochs=options.epochs,
        seed=options.seed,
        at_least=options.batch * options.accumulate * ranks,
        fill=options.batch * ranks,
        bos=options.bos,
        beside=beside,
    )
    return blocks, held


def ids_in_use(blocks: Blocks, held: Blocks | None, spelling: Spelling | None) -> Tensor:
    """(K,) the ids that stand in the texts of a run; units spelled, where they are only read."""
    parts = [part for part in (blocks, held) if part is not None]
    found = np.unique(np.concatenate([np.unique(piece) for part in parts for piece in part.pieces()]))
    return torch.from_numpy(found if spelling is None else spelling.spell(found)[0])
