"""A model that cannot be extended is refused, and the message says what to do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from plain_models import CONFIG, INPUT, NORM, OUTPUT, ROWS, WIDTH, matrix, one_file, untied, write
from safetensors.torch import save_file
from torch import Tensor

from hypertok.artifact import seal
from hypertok.errors import InputError
from hypertok.measure.coding import load_coding
from hypertok.model.checkpoint import Checkpoint
from hypertok.model.config import TRAINED
from hypertok.model.load import load_model
from hypertok.model.shard import WeightFile


def edit_json(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")


def refused(folder: Path, *parts: str) -> None:
    """The folder is refused, with every part (the file, the reason, the remedy) in the message."""
    with pytest.raises(InputError) as caught:
        Checkpoint.open(folder)
    for part in parts:
        assert part in str(caught.value), str(caught.value)


def test_gguf_is_refused(tmp_path: Path) -> None:
    (tmp_path / "._model-q4.gguf").touch()  # as macOS writes it on some disks
    file = tmp_path / "model-q4.gguf"
    file.write_bytes(b"GGUF")
    refused(file, "model-q4.gguf", "gguf_file=")
    refused(tmp_path, f"{file}: ", "gguf_file=")


def test_no_folder_and_empty_folder(tmp_path: Path) -> None:
    refused(tmp_path / "absent", "no such folder")
    refused(tmp_path, "no config.json, so no model")
    refused(write(tmp_path / "m", {}), "no weights here")


@pytest.mark.parametrize("opened", [Checkpoint.open, load_coding])
def test_an_adapter_is_no_model(opened: Callable[[Path], object], tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(InputError, match=r"an adapter by PEFT, no model; merge it .*merge_and_unload"):
        opened(tmp_path)
    seal(tmp_path, TRAINED)
    with pytest.raises(InputError, match=f"what was trained, without its model; .*: hypertok merge {tmp_path} -o OUT"):
        opened(tmp_path)


@pytest.mark.parametrize("opened", [Checkpoint.open, load_coding, lambda folder: load_model(folder, "auto")])
def test_an_adapter_beside_a_model_is_not_put_into_it_unseen(opened: Callable[[Path], object], tmp_path: Path) -> None:
    folder = one_file(tmp_path / "m", {INPUT: matrix(1)})
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(InputError, match=r"m/adapter_config\.json: an adapter by PEFT beside a model; merge it into"):
        opened(folder)


@pytest.mark.parametrize("inner", [False, True])
def test_quantised_by_configuration(tmp_path: Path, inner: bool) -> None:
    said = {"quantization_config": {"quant_method": "gptq", "bits": 4}}
    config = {**CONFIG, "text_config": said} if inner else {**CONFIG, **said}
    refused(one_file(tmp_path / "m", {INPUT: matrix(1)}, config), "config.json", "quantise the result")


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.float8_e4m3fn, torch.float8_e5m2])
@pytest.mark.parametrize("name", [INPUT, "model.layers.0.mlp.up_proj.weight"])
def test_quantised_by_data_type(tmp_path: Path, dtype: torch.dtype, name: str) -> None:
    tensors = {INPUT: matrix(1), name: torch.zeros(ROWS, WIDTH).to(dtype)}
    refused(one_file(tmp_path / "m", tensors), name, "quantised", "quantise the result")


def test_buffers_of_bytes_are_no_quantised_weights(tmp_path: Path) -> None:
    tensors = {INPUT: matrix(1), "h.0.attn.bias": torch.ones(1, 1, 4, 4, dtype=torch.uint8)}
    assert Checkpoint.open(one_file(tmp_path / "m", tensors)).tied


@pytest.mark.parametrize("wrong", [matrix(1).double(), torch.zeros(ROWS), torch.zeros(0, WIDTH)])
def test_other_matrices_are_refused(tmp_path: Path, wrong: Tensor) -> None:
    refused(one_file(tmp_path / "m", {INPUT: wrong}), INPUT, "save_pretrained")


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "m", {})
    (folder / "pytorch_model.bin").write_bytes(b"never read")
    refused(folder, "pytorch_model.bin", "save_pretrained")


def test_missing_shard(tmp_path: Path) -> None:
    folder = untied(tmp_path / "m")
    (folder / "model-00002-of-00002.safetensors").unlink()
    refused(folder, "model-00002-of-00002.safetensors", "download the model completely")


def test_missing_or_broken_index(tmp_path: Path) -> None:
    folder = untied(tmp_path / "m")
    index = folder / "model.safetensors.index.json"
    content = index.read_bytes()
    index.write_bytes(content[:-20])
    refused(folder, index.name, "download it again")
    index.write_text("{}", encoding="utf-8")
    refused(folder, index.name, "weight_map")
    index.unlink()
    refused(folder, "no model.safetensors.index.json", "download the index")


@pytest.mark.parametrize("name", ["../other.safetensors", "/tmp/other.safetensors", "..", "", "sub/x.safetensors"])
def test_an_index_stays_in_its_folder(tmp_path: Path, name: str) -> None:
    folder = untied(tmp_path / "m")
    save_file({OUTPUT: matrix(2)}, tmp_path / "other.safetensors")
    edit_json(folder / "model.safetensors.index.json", lambda index: index["weight_map"].update({OUTPUT: name}))
    refused(folder, repr(name), "no safetensors file of this folder")


def test_index_and_shards_disagree(tmp_path: Path) -> None:
    folder = untied(tmp_path / "m")
    index = folder / "model.safetensors.index.json"
    first = "model-00001-of-00002.safetensors"
    edit_json(index, lambda content: content["weight_map"].update({"model.gone.weight": first}))
    refused(folder, first, "lacks model.gone.weight")
    edit_json(index, lambda content: content["weight_map"].pop("model.gone.weight"))
    save_file({INPUT: matrix(1), NORM: torch.ones(WIDTH), OUTPUT: matrix(3)}, folder / first)
    refused(folder, first, OUTPUT, "save_pretrained")


@pytest.mark.parametrize("cut", [1, 200, 10_000])
def test_truncated_shard(tmp_path: Path, cut: int) -> None:
    folder = one_file(tmp_path / "m", {INPUT: matrix(1)})
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[:-cut] if cut < len(content) else b"")
    refused(folder, "model.safetensors", "download or copy it again")


@pytest.mark.parametrize(
    "header",
    [
        b"[]",
        b"{not json",
        b'{"a": {}}',
        b'{"a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}}',
        b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}',
        b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}, '
        b'"b": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}',
        b'{"a": 7}',
    ],
)
def test_damaged_header(tmp_path: Path, header: bytes) -> None:
    (tmp_path / "x.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    with pytest.raises(InputError, match="not a whole safetensors file"):
        WeightFile.open(tmp_path / "x.safetensors")


def test_a_shard_cut_after_opening(tmp_path: Path) -> None:
    folder = one_file(tmp_path / "m", {INPUT: matrix(1)})
    checkpoint = Checkpoint.open(folder)
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[:-100])
    with pytest.raises(InputError, match="became shorter"):
        checkpoint.input.read(slice(None))


def test_other_tensors_with_a_row_per_token(tmp_path: Path) -> None:
    ahead = {INPUT: matrix(1), "model.layers.3.embed_tokens.weight": matrix(1)}
    refused(one_file(tmp_path / "a", ahead), "model.layers.3.embed_tokens.weight", "remove layers")
    by_layer = {INPUT: matrix(1), "model.embed_tokens_per_layer.weight": matrix(2, rows=ROWS - 8)}
    refused(one_file(tmp_path / "d", by_layer), "model.embed_tokens_per_layer.weight", "embeddings for each layer")
    biased = {INPUT: matrix(1), OUTPUT: matrix(2), "lm_head.bias": torch.zeros(ROWS)}
    refused(one_file(tmp_path / "b", biased), "lm_head.bias", "not supported")
    layer = {INPUT: matrix(1), "model.layers.0.mlp.up_proj.weight": matrix(2), "model.norm.weight": torch.ones(ROWS)}
    assert Checkpoint.open(one_file(tmp_path / "c", layer)).tied


def test_matrices_that_do_not_go_together(tmp_path: Path) -> None:
    refused(one_file(tmp_path / "a", {INPUT: matrix(1), OUTPUT: matrix(2, rows=64)}), "resize_token_embeddings")
    two = {INPUT: matrix(1), "decoder.embed_tokens.weight": matrix(2)}
    refused(one_file(tmp_path / "b", two), "embedding matrix", "models with one", "--init none")
    refused(one_file(tmp_path / "c", {OUTPUT: matrix(1)}), "no embedding matrix", "--init none")


def test_a_tokenizer_of_another_model(tmp_path: Path) -> None:
    checkpoint = Checkpoint.open(one_file(tmp_path / "m", {INPUT: matrix(1)}))
    checkpoint.check_tokens(range(ROWS))
    checkpoint.check_tokens([])
    with pytest.raises(InputError, match="tokenizer that came with the model"):
        checkpoint.check_tokens(range(ROWS + 1))
