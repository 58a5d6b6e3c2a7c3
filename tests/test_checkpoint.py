"""A checkpoint is read as transformers reads it, row by row, and tied where transformers ties it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from plain_models import CONFIG, INPUT, NORM, OUTPUT, ROWS, WIDTH, matrix, one_file, untied
from torch import Tensor

from hypertok.errors import InputError
from hypertok.model.checkpoint import Checkpoint
from hypertok.model.shard import BLOCK


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_rows_are_the_rows(tmp_path: Path, dtype: torch.dtype) -> None:
    stock = matrix(1, dtype=dtype)
    checkpoint = Checkpoint.open(one_file(tmp_path / "m", {"a.weight": torch.ones(3), INPUT: stock}))
    assert checkpoint.dtype == dtype
    assert checkpoint.stock_rows == ROWS
    assert checkpoint.input.width == WIDTH
    ids = [5, 4, 69, 0, 5, 6, 7]
    assert torch.equal(checkpoint.input.read(ids), stock[ids])
    assert torch.equal(checkpoint.input.read(np.array([3, 4, 9])), stock[[3, 4, 9]])
    assert torch.equal(checkpoint.output.read(torch.tensor([3])), stock[[3]])
    assert torch.equal(checkpoint.input.read(slice(None)), stock)
    assert torch.equal(checkpoint.input.read(slice(60, None, 3)), stock[60::3])
    assert checkpoint.input.read([]).shape == (0, WIDTH)
    assert torch.equal(torch.cat(list(checkpoint.input.blocks())), stock)


def test_blocks_cover_a_matrix_of_several(tmp_path: Path) -> None:
    rows = BLOCK // (2 * WIDTH) + 100
    stock = torch.arange(rows * WIDTH, dtype=torch.int64).to(torch.float16).view(rows, WIDTH)
    blocks = list(Checkpoint.open(one_file(tmp_path / "m", {INPUT: stock})).input.blocks())
    assert len(blocks) == 2
    assert torch.equal(torch.cat(blocks).view(torch.int16), stock.view(torch.int16))


@pytest.mark.parametrize("ids", [[ROWS], [-1], [0, ROWS + 5]])
def test_rows_that_are_not_there(tmp_path: Path, ids: list[int]) -> None:
    checkpoint = Checkpoint.open(one_file(tmp_path / "m", {INPUT: matrix(1)}))
    with pytest.raises(InputError, match="has rows 0 to 69"):
        checkpoint.input.read(ids)


def test_shards(tmp_path: Path) -> None:
    checkpoint = Checkpoint.open(untied(tmp_path / "m"))
    assert [shard.path.name[:11] for shard in checkpoint.shards] == ["model-00001", "model-00002"]
    assert not checkpoint.tied
    assert torch.equal(checkpoint.input.read(slice(None)), matrix(1))
    assert torch.equal(checkpoint.output.read(slice(None)), matrix(2))


def test_one_file_comes_before_an_index(tmp_path: Path) -> None:
    folder = one_file(untied(tmp_path / "m"), {INPUT: matrix(3)})
    assert torch.equal(Checkpoint.open(folder).input.read(slice(None)), matrix(3))


def test_links_of_a_download_cache_are_followed(tmp_path: Path) -> None:
    stored = one_file(tmp_path / "blobs", {INPUT: matrix(1)})
    (tmp_path / "snapshot").mkdir()
    for path in stored.iterdir():
        (tmp_path / "snapshot" / path.name).symlink_to(path)
    assert torch.equal(Checkpoint.open(tmp_path / "snapshot").input.read([1]), matrix(1)[[1]])


@pytest.mark.parametrize(
    "name",
    [
        "model.embed_tokens.weight",
        "model.language_model.embed_tokens.weight",
        "language_model.model.embed_tokens.weight",
        "transformer.wte.weight",
        "gpt_neox.embed_in.weight",
        "transformer.word_embeddings.weight",
    ],
)
def test_names_of_the_matrix(tmp_path: Path, name: str) -> None:
    tensors = {name: matrix(1), "vision_tower.embed_tokens.weight": matrix(2, rows=5), NORM: torch.ones(WIDTH)}
    assert Checkpoint.open(one_file(tmp_path / "m", tensors)).input.name == name


SAME, DIFFERENT = matrix(1), matrix(2)


@pytest.mark.parametrize(
    ("flag", "inner", "head", "tied"),
    [
        (None, None, None, True),
        (True, None, None, True),
        (None, True, None, True),
        (False, True, None, True),
        (True, None, SAME, True),
        (None, None, SAME, True),
        (None, True, SAME, True),
        (False, None, SAME, False),
        (None, False, SAME, False),
        (None, None, DIFFERENT, False),
        (False, None, DIFFERENT, False),
        (False, True, DIFFERENT, False),
        (True, None, DIFFERENT, "differs from"),
        (None, True, DIFFERENT, "differs from"),
        (False, None, None, "no output matrix"),
        (None, False, None, "no output matrix"),
    ],
)
def test_tied_or_not(
    tmp_path: Path, flag: bool | None, inner: bool | None, head: Tensor | None, tied: bool | str
) -> None:
    config: dict[str, Any] = dict(CONFIG)
    if flag is not None:
        config["tie_word_embeddings"] = flag
    if inner is not None:
        config["text_config"] = {"tie_word_embeddings": inner}
    folder = one_file(tmp_path / "m", {INPUT: SAME} if head is None else {INPUT: SAME, OUTPUT: head.clone()}, config)
    if isinstance(tied, str):
        with pytest.raises(InputError, match=tied):
            Checkpoint.open(folder)
        return
    checkpoint = Checkpoint.open(folder)
    assert checkpoint.tied is tied
    assert checkpoint.output.name == (INPUT if tied else OUTPUT)
    assert (checkpoint.copy is not None) == (tied and head is not None)
