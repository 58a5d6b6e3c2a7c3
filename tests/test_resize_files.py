"""Extending a model as work on files: links, kills, memory, and what is refused before anything is written."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
import torch
from conftest import stock_folder
from extended_models import MODELS, ROWS, STOCK, WIDTH, extend, loaded, saved
from torch import Tensor

from hypertok.errors import InputError
from hypertok.lexicon.lexicon import Lexicon
from hypertok.model.checkpoint import Checkpoint
from hypertok.model.resize import check_disk, link_or_copy, write_extended
from hypertok.model.shard import Entry, header_of
from hypertok.tokenizer.kind import DELTA


@pytest.fixture
def other_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder to which no hard link from `tmp_path` can lead."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("only one file system here")
    folder = Path(tempfile.mkdtemp(dir=memory))
    yield folder
    shutil.rmtree(folder)


def test_shards_are_copied_where_links_cannot_be(tmp_path: Path, other_disk: Path) -> None:
    checkpoint = saved(MODELS["qwen3 tied"](), tmp_path / "stock", shard="20KB")
    extend(checkpoint, other_disk)
    grown = checkpoint.input.shard.path.name
    copied = [shard.path for shard in checkpoint.shards if shard.path.name != grown]
    assert copied
    for file in copied:
        assert (other_disk / file.name).read_bytes() == file.read_bytes()
        assert not (other_disk / file.name).samefile(file)
    loaded(other_disk)


def test_room_is_asked_for_what_cannot_be_linked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on exFAT, which has no hard links."""
    checkpoint = saved(MODELS["qwen3 tied"](), tmp_path / "stock", shard="20KB")
    rewritten = checkpoint.input.shard.size + (ROWS - STOCK + 64) * checkpoint.input.row_bytes
    output = tmp_path / "out"
    output.mkdir()

    def refuses(source: Path, target: Path) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=rewritten))
    check_disk(checkpoint, output, ROWS)
    monkeypatch.setattr(os, "link", refuses)
    with pytest.raises(InputError, match="the extended model needs"):
        check_disk(checkpoint, output, ROWS)
    assert not list(output.iterdir())


def test_a_link_in_a_cache_is_not_linked_itself(tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(b"weights")
    (tmp_path / "name").symlink_to(tmp_path / "blob")
    link_or_copy(tmp_path / "name", tmp_path / "out")
    assert not (tmp_path / "out").is_symlink()
    assert (tmp_path / "out").samefile(tmp_path / "blob")


def nan(shape: tuple[int, int]) -> Tensor:
    rows = torch.zeros(shape)
    rows[1, 3] = float("nan")
    return rows


@pytest.mark.parametrize(
    ("ids", "new", "rows", "message"),
    [
        ([100, 101], torch.zeros(2, WIDTH), 190, "multiple of 64; take 192"),
        ([100, 101], torch.zeros(2, WIDTH), 0, "multiple of 64"),
        ([100, 101], torch.zeros(2, WIDTH + 1), ROWS, r"needed is \(2, 32\)"),
        ([100, 101], torch.zeros(3, WIDTH), ROWS, r"needed is \(2, 32\)"),
        ([100, 101], torch.zeros(2, WIDTH, dtype=torch.int32), ROWS, "floating-point"),
        ([100, 100], torch.zeros(2, WIDTH), ROWS, "id 100 is there twice"),
        ([-1, 101], torch.zeros(2, WIDTH), ROWS, "ask for more rows"),
        ([100, 192], torch.zeros(2, WIDTH), ROWS, "ask for more rows"),
        ([101, 100], nan((2, WIDTH)), ROWS, "row of id 100 .* not finite"),
        ([100, 101], torch.full((2, WIDTH), 1e38, dtype=torch.float64) * 1e3, ROWS, "not finite"),
        ([100, 101], torch.zeros(2, WIDTH), 64 * 10**13, "GiB are free; make room"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, ids: list[int], new: Tensor, rows: int, message: str) -> None:
    checkpoint = saved(MODELS["qwen3 tied"](), tmp_path / "stock")
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match=message):
        write_extended(checkpoint, tmp_path / "out", ids, new, None, rows)
    assert not list((tmp_path / "out").iterdir())


def test_output_rows_go_with_untied_models(tmp_path: Path) -> None:
    new = torch.zeros(1, WIDTH)
    (tmp_path / "out").mkdir()
    tied = saved(MODELS["qwen3 tied"](), tmp_path / "tied")
    with pytest.raises(InputError, match="no output rows"):
        write_extended(tied, tmp_path / "out", [STOCK], new, new, ROWS)
    untied = saved(MODELS["qwen3 untied"](), tmp_path / "untied")
    with pytest.raises(InputError, match="output rows too"):
        write_extended(untied, tmp_path / "out", [STOCK], new, None, ROWS)


def test_weights_are_never_overwritten(tmp_path: Path) -> None:
    checkpoint = saved(MODELS["qwen3 tied"](), tmp_path / "stock")
    before = (tmp_path / "stock" / "model.safetensors").read_bytes()
    with pytest.raises(InputError, match="holds weights already"):
        extend(checkpoint, tmp_path / "stock")
    assert (tmp_path / "stock" / "model.safetensors").read_bytes() == before


def test_damaged_numbers_are_refused(tmp_path: Path) -> None:
    model = MODELS["qwen3 tied"]()
    with torch.no_grad():
        model.get_input_embeddings().weight[50, 2] = float("inf")
    checkpoint = saved(model, tmp_path / "stock")
    with pytest.raises(InputError, match="not finite; download it again"):
        extend(checkpoint, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def sparse_shard(path: Path, shapes: dict[str, tuple[int, ...]], content: np.ndarray | None = None) -> None:
    """A bf16 safetensors file; its data are `content` over and over, or a hole that takes no room."""
    entries = [Entry(name, "BF16", shape, 0, 2 * int(np.prod(shape))) for name, shape in shapes.items()]
    head, _ = header_of(entries, {"format": "pt"})
    size = sum(entry.size for entry in entries)
    with path.open("wb") as file:
        file.write(head)
        while content is not None and file.tell() < len(head) + size:
            file.write(content.tobytes()[: len(head) + size - file.tell()])
        file.truncate(len(head) + size)


def big_checkpoint(
    folder: Path, rows: int, width: int, layers: int, layer: tuple[int, int], *, tied: bool = True
) -> None:
    """A model in shards: one with the embedding, each layer and the output matrix in one of its own."""
    folder.mkdir()
    config = {"model_type": "llama", "vocab_size": rows, "tie_word_embeddings": tied}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    numbers = torch.randn(1 << 20, generator=torch.Generator().manual_seed(3)).to(torch.bfloat16)
    files = {"model-embedding.safetensors": {"model.embed_tokens.weight": (rows, width), "model.norm.weight": (width,)}}
    if not tied:
        files["model-head.safetensors"] = {"lm_head.weight": (rows, width)}
    for number in range(layers):
        files[f"model-{number}.safetensors"] = {f"model.layers.{number}.mlp.up_proj.weight": layer}
    for file, shapes in files.items():
        sparse_shard(folder / file, shapes, numbers.view(torch.int16).numpy() if "layers" not in str(shapes) else None)
    weight_map = {name: file for file, shapes in files.items() for name in shapes}
    index = {"metadata": {"total_size": 0}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")


EXTEND = """
import resource, signal, sys
from pathlib import Path
import torch
from hypertok.artifact import Kind, seal, writing
from hypertok.model.checkpoint import Checkpoint
from hypertok.model.resize import write_extended

stock, output, count, limit = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
if limit:  # the kernel kills this process in the middle of a write that makes a file longer
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
checkpoint = Checkpoint.open(stock)
first = checkpoint.stock_rows
new = torch.ones(count, checkpoint.input.width)
with writing(output, Kind("model", 1, "")) as folder:
    write_extended(checkpoint, folder, range(first, first + count), new, None, -(-(first + count) // 64) * 64)
    seal(folder, Kind("model", 1, ""))
status = Path("/proc/self/status")
print(status.read_text().split("VmHWM:")[1].split()[0] if status.exists() else 0)
"""


def run_child(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", EXTEND, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="needs limits on file sizes")
def test_a_killed_run_leaves_the_target_absent_or_whole(tmp_path: Path) -> None:
    stock, out = tmp_path / "stock", tmp_path / "out"
    big_checkpoint(stock, 4_000, 512, 1, (64, 512))  # an embedding of 4 MB
    killed = run_child(stock, out, 100, 1 << 20)
    assert killed.returncode == -signal.SIGXFSZ, killed.stderr
    assert [*tmp_path.glob(".out.unfinished.*")], "the run was killed before it wrote"
    assert not out.exists()
    done = run_child(stock, out, 100, 0)
    assert done.returncode == 0, done.stderr
    assert Checkpoint.open(out).stock_rows == 4_160
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "stock"]
    whole = {path.name: path.read_bytes() for path in out.iterdir()}
    assert run_child(stock, out, 200, 1 << 20).returncode == -signal.SIGXFSZ
    assert {path.name: path.read_bytes() for path in out.iterdir()} == whole


WHOLE = """
import sys
from pathlib import Path
from hypertok.model.extend import extend_model
from hypertok.tokenizer.extend import ExtendOptions

stock, lexicon, output, init = sys.argv[1:]
extend_model(stock, lexicon, output, ExtendOptions(rows=40, span="word", general=0), init=init)
print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads memory from /proc")
@pytest.mark.parametrize(("init", "tied"), [("weighted", True), ("composition", False)])
def test_eight_gigabytes_in_less_than_two(init: str, tied: bool, small_lexicon: Lexicon, tmp_path: Path) -> None:
    """Peak memory of a fresh process, from the kernel's own figure for its address space.

    ru_maxrss would do if it did not start from the peak of the process that started this one.
    """
    if shutil.disk_usage(tmp_path).free < 6 << 30:
        pytest.skip("needs 6 GiB of free disk")
    stock, out = tmp_path / "stock", tmp_path / "out"
    rows, width = 262_144, 2_048
    big_checkpoint(stock, rows, width, 4, (1 << 20, 900), tied=tied)
    assert sum(path.stat().st_size for path in stock.glob("*.safetensors")) > 8 * 10**9
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(stock_folder("qwen3") / name, stock / name)
    command = [sys.executable, "-c", WHOLE, stock, small_lexicon.folder, out, init]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    peak = int(done.stdout) * 1024
    print(f"peak {peak / 2**30:.2f} GiB")
    assert peak < 2 << 30, f"{peak / 2**30:.2f} GiB"
    before, after = Checkpoint.open(stock), Checkpoint.open(out)
    assert after.tied == tied
    new = pl.read_parquet(out / DELTA)["id"].to_list()
    assert new == list(range(rows, rows + 40))
    for one, other in ((before.input, after.input), (before.output, after.output)):
        assert (other.rows, other.width) == (rows + 64, width)
        same = zip(one.blocks(), other.blocks(), strict=False)
        assert all(torch.equal(a.view(torch.int16), b[: len(a)].view(torch.int16)) for a, b in same)
        assert len(torch.unique(other.read(new), dim=0)) > 30
    for number in range(4):
        assert (out / f"model-{number}.safetensors").samefile(stock / f"model-{number}.safetensors")
