"""Write a model with more rows: the shards with the matrices anew, a few MiB at a time, all others linked.

Memory does not depend on the size of the model, only on the new rows, which the caller holds. A stock row's bytes are
copied as they are, so nothing is rounded.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from hypertok.errors import InputError
from hypertok.model.checkpoint import CONFIG, Checkpoint
from hypertok.model.seen import SEEN
from hypertok.model.shard import BLOCK, INDEX, SINGLE, Entry, Matrix, WeightFile, header_of, runs
from hypertok.replacing import unfinished
from hypertok.single_file import require_disk, write_file, writing_file
from hypertok.tokenizer.kind import ABOUT, ROW_MULTIPLE, padded
from hypertok.tokenizer.stock_file import is_own

#: Files beside the weights that belong to the model. Its own code (*.py) does not: it is never run.
COPIED = (
    "generation_config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "video_preprocessor_config.json",
    SEEN,
)


def is_side_file(path: Path) -> bool:
    """Whether a file of a model's folder belongs to the model, and may be copied."""
    named = path.name in COPIED or path.name.upper().startswith(ABOUT)
    return named and is_own(path, path.parent)


@dataclass(frozen=True)
class _New:
    """New rows in the order of their ids.

    Attributes:
        ids: sorted.
        order: positions in `values` that belong to them.
        values: (N, width), as the caller gave them.
    """

    ids: NDArray[np.int64]
    order: NDArray[np.int64]
    values: torch.Tensor

    def blocks(self, dtype: torch.dtype) -> Iterator[tuple[NDArray[np.int64], torch.Tensor]]:
        """(ids, rows in the data type of the file), some MiB at a time."""
        step = max(1, BLOCK // (4 * self.values.shape[1]))
        for first in range(0, len(self.ids), step):
            picked = torch.from_numpy(self.order[first : first + step]).to(self.values.device)
            yield self.ids[first : first + step], self.values.detach()[picked].to("cpu", dtype).contiguous()


def write_extended(
    checkpoint: Checkpoint,
    output: Path,
    new_ids: ArrayLike,
    new_input: torch.Tensor,
    new_output: torch.Tensor | None,
    rows: int,
) -> int:
    """Write the model with new rows into an existing folder, which may hold other files (a tokenizer's) already.

    New rows go where their ids say, among the stock's rows too; rows that are neither stock nor new are the mean of the
    stock rows. The matrices never shrink: if the stock has more than `rows`, that number (rounded up to a multiple
    of 64) stays. config.json gets the number, an explicit `tie_word_embeddings`, and loses `auto_map`, because code of
    the model's own is not copied. Linked shards are the stock's files: change neither of them in place.

    Call it inside `hypertok.artifact.writing`, so that the folder appears whole or not at all.

    Args:
        checkpoint: the stock model.
        output: an existing folder without weights.
        new_ids: (N,) ids of the new rows, each once, in any order.
        new_input: (N, width of the input matrix) any floating type, any device.
        new_output: (N, width of the output matrix), None for a tied model.
        rows: how many rows the matrices are to have, a multiple of 64.

    Returns:
        How many they have.

    Raises:
        InputError: the new rows do not fit the model, the disk is too small, the folder holds weights already, or a
            matrix of the stock is damaged.
    """
    if rows % ROW_MULTIPLE or rows < 1:
        raise InputError(f"rows {rows:,}: must be a multiple of {ROW_MULTIPLE}; take {padded(max(rows, 1)):,}")
    rows = max(rows, padded(checkpoint.stock_rows))
    if checkpoint.tied != (new_output is None):
        needed = "no output rows: they are the input rows" if checkpoint.tied else "output rows too: it is not tied"
        raise InputError(f"{checkpoint.folder}: this model takes {needed}")
    new = {checkpoint.input.name: _checked(checkpoint.input, new_ids, new_input, rows)}
    if new_output is not None:
        new[checkpoint.output.name] = _checked(checkpoint.output, new_ids, new_output, rows)
    if checkpoint.copy is not None:
        new[checkpoint.copy.name] = new[checkpoint.input.name]
    if there := sorted([*output.glob("*.safetensors"), *output.glob(INDEX)]):
        raise InputError(f"{there[0]}: the folder holds weights already; name another output")
    shards = {shard.path.name: _grown(shard, new, rows) for shard in checkpoint.shards}
    check_disk(checkpoint, output, rows)
    for shard in checkpoint.shards:
        name = shard.path.name
        if shards[name] is not None:
            with writing_file(output / name) as file:
                _write_shard(file, shard, new, rows)
        else:
            link_or_copy(shard.path, output / name)
    if (checkpoint.folder / INDEX).is_file() and not (checkpoint.folder / SINGLE).is_file():
        _write_json(output / INDEX, _index(checkpoint, shards, rows))
    for path in sorted(checkpoint.folder.iterdir()):
        if is_side_file(path):
            write_file(output / path.name, path.read_bytes())
    _write_json(output / CONFIG, _config(checkpoint, rows))  # last: a folder without it is no model
    return rows


def link_or_copy(source: Path, target: Path) -> None:
    """Make `target` the same file as `source`, or a copy where that cannot be."""
    source = source.resolve()  # the file itself, where a download cache has links to it
    try:
        os.link(source, target)
    except OSError:  # another disk, no links on this kind of disk, somebody else's file
        with source.open("rb") as file, writing_file(target) as copy:
            shutil.copyfileobj(file, copy, BLOCK)


def _checked(matrix: Matrix, new_ids: ArrayLike, values: torch.Tensor, rows: int) -> _New:
    ids = np.asarray(new_ids, dtype=np.int64)
    if ids.ndim != 1 or tuple(values.shape) != (len(ids), matrix.width):
        raise InputError(
            f"new rows for {matrix.name}: {tuple(values.shape)} for ids of shape {ids.shape}; needed is "
            f"({ids.size}, {matrix.width})"
        )
    if not values.is_floating_point():
        raise InputError(f"new rows for {matrix.name}: {values.dtype}; needed is a floating-point type")
    order = np.argsort(ids, kind="stable")
    ids = ids[order]
    if len(ids) and not (ids[0] >= 0 and ids[-1] < rows):
        raise InputError(f"new ids {ids[0]:,} to {ids[-1]:,} do not fit into {rows:,} rows; ask for more rows")
    if twice := ids[1:][np.diff(ids) == 0].tolist():
        raise InputError(f"new id {twice[0]:,} is there twice; give each id one row")
    new = _New(ids, order, values)
    for block_ids, block in new.blocks(matrix.dtype):
        finite = block.isfinite().all(1)
        if not bool(finite.all()):
            wrong = block_ids[int((~finite).nonzero()[0, 0])]
            raise InputError(
                f"new row of id {wrong:,} for {matrix.name}: not finite in {matrix.entry.dtype}; initialise it anew"
            )
    return new


def _grown(shard: WeightFile, new: Collection[str], rows: int) -> list[Entry] | None:
    """The tensors of the shard when it is rewritten; None if it stays as it is."""
    if shard.entries.keys().isdisjoint(new):
        return None
    grown = []
    for entry in shard.entries.values():
        if entry.name in new:
            size = rows * Matrix(shard, entry.name).row_bytes
            entry = replace(entry, shape=(rows, entry.shape[1]), size=size)
        grown.append(entry)
    return grown


def check_disk(checkpoint: Checkpoint, output: Path, rows: int) -> None:
    """Refuse before anything is written; a file on the same disk is linked, where that can be, and needs no room.

    Args:
        output: an existing folder.
        rows: see `write_extended`.

    Raises:
        InputError: the disk is too small.
    """
    rows = max(rows, padded(checkpoint.stock_rows))
    matrices = {matrix.name for matrix in (checkpoint.input, checkpoint.output, checkpoint.copy) if matrix is not None}
    device, links, needed = output.stat().st_dev, _has_links(output), 0
    for shard in checkpoint.shards:
        grown = _grown(shard, matrices, rows)
        if grown is not None:
            needed += sum(entry.size for entry in grown)
        elif not links or shard.path.stat().st_dev != device:
            needed += shard.size
    require_disk(output, needed, "the extended model needs")


def _has_links(folder: Path) -> bool:
    """Whether the disk of a folder knows hard links; one with exFAT does not."""
    file, link = unfinished(folder, "file"), unfinished(folder, "link")
    file.touch()
    try:
        os.link(file, link)
    except OSError:
        return False
    finally:
        file.unlink()
    link.unlink()
    return True


def _write_shard(file: IO[bytes], shard: WeightFile, new: Mapping[str, _New], rows: int) -> None:
    grown = _grown(shard, new, rows) or []
    head, starts = header_of(grown, shard.metadata)
    file.write(head)
    with shard.path.open("rb", buffering=0) as source:
        for entry in shard.entries.values():
            file.seek(starts[entry.name])
            if entry.name in new:
                _write_matrix(file, starts[entry.name], Matrix(shard, entry.name), new[entry.name], rows)
            else:
                source.seek(entry.start)
                _copy_bytes(source, file, entry.size, shard.path)


def _write_matrix(file: IO[bytes], start: int, matrix: Matrix, new: _New, rows: int) -> None:
    """Stock rows first, then the new ones over or after them, then the mean wherever nothing stands."""
    total = torch.zeros(matrix.width, dtype=torch.float64)
    for block in matrix.blocks():
        file.write(_bytes_of(block))
        total += block.sum(0, dtype=torch.float64)
    mean = (total / matrix.rows).to(matrix.dtype)
    if not bool(mean.isfinite().all()):
        raise InputError(f"{matrix.shard.path}: {matrix.name} holds numbers that are not finite; download it again")
    for ids, block in new.blocks(matrix.dtype):
        for first, last in runs(ids):
            file.seek(start + int(ids[first]) * matrix.row_bytes)
            file.write(_bytes_of(block[first:last]))
    free = np.setdiff1d(np.arange(matrix.rows, rows), new.ids, assume_unique=True)
    step = max(1, BLOCK // matrix.row_bytes)
    padding = _bytes_of(mean.repeat(min(step, len(free)), 1))
    for first, last in runs(free):
        file.seek(start + int(free[first]) * matrix.row_bytes)
        for done in range(first, last, step):
            file.write(padding[: min(step, last - done) * matrix.row_bytes])


def _bytes_of(tensor: torch.Tensor) -> memoryview:
    """The bytes of a contiguous tensor, not copied."""
    return tensor.view(torch.uint8).numpy().reshape(-1).data


def _copy_bytes(source: IO[bytes], target: IO[bytes], size: int, path: Path) -> None:
    while size:
        block = source.read(min(BLOCK, size))
        if not block:
            raise InputError(f"{path}: became shorter while it was read; download or copy it again")
        target.write(block)
        size -= len(block)


def _config(checkpoint: Checkpoint, rows: int) -> dict[str, Any]:
    config = {key: value for key, value in checkpoint.config.items() if key != "auto_map"}
    inner = config.get("text_config")
    config["tie_word_embeddings"] = checkpoint.tied
    if isinstance(inner, dict):
        config["text_config"] = {**inner, "vocab_size": rows, "tie_word_embeddings": checkpoint.tied}
    if not isinstance(inner, dict) or "vocab_size" in config:
        config["vocab_size"] = rows
    return config


def _index(checkpoint: Checkpoint, shards: Mapping[str, list[Entry] | None], rows: int) -> dict[str, Any]:
    """The stock's index with the sizes set right."""
    index: dict[str, Any] = json.loads((checkpoint.folder / INDEX).read_text(encoding="utf-8"))
    metadata = dict(index.get("metadata") or {})
    tensors = [shards[shard.path.name] or shard.entries.values() for shard in checkpoint.shards]
    metadata["total_size"] = sum(entry.size for entries in tensors for entry in entries)
    if isinstance(metadata.get("total_parameters"), int):
        matrices = {checkpoint.input.name: checkpoint.input, checkpoint.output.name: checkpoint.output}
        metadata["total_parameters"] += sum((rows - matrix.rows) * matrix.width for matrix in matrices.values())
    return {**index, "metadata": metadata}


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    write_file(path, (json.dumps(content, ensure_ascii=False, indent=2) + "\n").encode())
