"""A trained model as a GGUF file: llama.cpp says what transformers says of the merged checkpoint."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import gguf
import numpy as np
import pytest

pytest.importorskip("peft")

import torch
from llama import Llama
from safetensors.torch import load_file, save_file
from small_gguf import add_shape, close
from tiny_models import put_model, tiny_config, tiny_model
from trained_models import QUICK
from transformers import AutoModelForCausalLM
from typer.testing import CliRunner

from hypertok.cli.main import app
from hypertok.errors import InputError
from hypertok.model.gguf_weights import ModelWeights
from hypertok.model.merge import merge
from hypertok.tokenizer.export_gguf import CONTROL, NORMAL, export_gguf
from hypertok.tokenizer.gguf_file import read_gguf
from hypertok.tokenizer.gguf_rows import values_of
from hypertok.tokenizer.hyper import HyperTokenizer
from hypertok.tokenizer.stock import Stock
from hypertok.training.train import train

TEXT = "Печень очищает кровь, а лёгкие дают ей кислород."


def in_turn(matrix: torch.Tensor, heads: int) -> torch.Tensor:
    """Rows as llama.cpp wants them for "llama", whose positions turn neighbours, where transformers turns halves."""
    order = [
        head + part for head in range(0, len(matrix), len(matrix) // heads) for part in _halves(len(matrix) // heads)
    ]
    return matrix[order]


def _halves(size: int) -> list[int]:
    return [one for pair in zip(range(size // 2), range(size // 2, size), strict=True) for one in pair]


def write_stock(path: Path, kind: str, folder: Path, stock: Stock) -> Path:
    """The stock model of an extended folder as a GGUF file: its tensors without the rows of units."""
    config, rows = tiny_config(kind, tied=True), stock.first_free_id
    writer = gguf.GGUFWriter(path, kind)
    add_shape(
        writer, rows=rows, width=config.hidden_size, inner=config.intermediate_size,
        positions=config.max_position_embeddings, layers=config.num_hidden_layers, heads=config.num_attention_heads,
        key_value_heads=config.num_key_value_heads,
    )  # fmt: skip
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    names = {number: token for token, number in stock.vocabulary.items()}
    special = {token["id"] for token in stock.added}
    writer.add_token_list([names[number] for number in range(rows)])
    writer.add_token_types([CONTROL if number in special else NORMAL for number in range(rows)])
    writer.add_token_merges([f"{left} {right}" for left, right in stock.merges])
    writer.add_eos_token_id(stock.vocabulary["<|end|>"])
    architecture = {name: kind for kind, name in gguf.MODEL_ARCH_NAMES.items()}[kind]
    name_of = gguf.get_tensor_name_map(architecture, config.num_hidden_layers)
    for name, tensor in load_file(folder / "model.safetensors").items():
        if "embed_tokens" in name or "lm_head" in name:
            tensor = tensor[:rows]
        if kind == "llama" and "q_proj" in name:
            tensor = in_turn(tensor, config.num_attention_heads)
        if kind == "llama" and "k_proj" in name:
            tensor = in_turn(tensor, config.num_key_value_heads)
        writer.add_tensor(name_of.get_name(name, try_suffixes=(".weight",)), tensor.float().numpy())
    close(writer)
    return path


@pytest.mark.parametrize(("kind", "tied"), [("llama", False), ("llama", True), ("qwen3", True)])
def test_llama_cpp_says_what_transformers_says(
    kind: str, tied: bool, small_stock: Path, sound_extension: Path, small_corpus: Path, tmp_path: Path
) -> None:
    rows = HyperTokenizer.from_pretrained(sound_extension).rows
    folder = put_model(sound_extension, tmp_path / "model", tiny_model(kind, tied=tied, rows=rows))
    stock = write_stock(tmp_path / "stock.gguf", kind, folder, Stock.load(small_stock))
    train(folder, small_corpus, tmp_path / "trained", QUICK)
    merge(tmp_path / "trained", tmp_path / "merged")
    tokenizer = HyperTokenizer.from_pretrained(tmp_path / "merged")
    ids = tokenizer.encode(TEXT)
    assert set(ids) & set(tokenizer.new_ids)

    found = {}
    for name in ("model", "merged"):
        weights = partial(ModelWeights.open, tmp_path / name)
        done = export_gguf(tmp_path / name, tmp_path / f"{name}.gguf", stock_model=stock, weights=weights)
        assert len(done.replaced) == (14 if name == "merged" else 0)
        assert set(done.grown) == {"token_embd.weight"} | (set() if tied else {"output.weight"})
        with Llama(tmp_path / f"{name}.gguf") as model:
            found[name] = model.next_likelihoods(ids, tokenizer.vocab_size)
        logits = AutoModelForCausalLM.from_pretrained(tmp_path / name)(torch.tensor([ids])).logits[0, -1]
        expected = logits[: tokenizer.vocab_size].log_softmax(0).tolist()
        assert [found[name][one] for one in range(tokenizer.vocab_size)] == pytest.approx(expected, abs=1e-2), (
            "its cache is float16"
        )
    assert max(abs(found["model"][one] - found["merged"][one]) for one in found["model"]) > 0.1, "training was written"


def test_where_no_adapter_was_trained_all_but_rows_is_the_stock_models(
    model: Path, small_stock: Path, small_corpus: Path, tmp_path: Path
) -> None:
    stock = write_stock(tmp_path / "stock.gguf", "llama", model, Stock.load(small_stock))
    read = QUICK.model_copy(update={"rows_only": True, "reading": True, "characters": 300})
    train(model, small_corpus, tmp_path / "read", read)
    merge(tmp_path / "read", tmp_path / "merged")
    train(tmp_path / "merged", small_corpus, tmp_path / "written", QUICK.model_copy(update={"characters": 300}))
    merge(tmp_path / "written", tmp_path / "writes")
    train(tmp_path / "writes", small_corpus, tmp_path / "again", read)
    merge(tmp_path / "again", tmp_path / "reads")
    told = {}
    for name in ("merged", "writes", "reads"):
        command = ["export", tmp_path / name, "--to", "gguf", "--model", stock, "-o", tmp_path / f"{name}.gguf"]
        made = CliRunner().invoke(app, [*map(str, command), "--json"])
        assert made.exit_code == 0, made.output
        told[name] = json.loads(made.stdout)
    assert [len(one["replaced"]) for one in told.values()] == [0, 14, 14], (
        "an adapter merged before stays in the layers"
    )
    before, after = ({one.name: one for one in read_gguf(path).tensors} for path in (stock, tmp_path / "merged.gguf"))
    layers = [name for name, one in before.items() if name.startswith("blk.") and len(one.shape) == 2]
    assert len(layers) == 14
    for name in layers:
        assert np.array_equal(values_of(after[name], slice(None)), values_of(before[name], slice(None)))
    suppress = [any("logit_bias" in line for line in one["parity"]) for one in told.values()]
    assert suppress == [True, False, True]


def test_other_models_are_refused(small_stock: Path, sound_extension: Path, small_corpus: Path, tmp_path: Path) -> None:
    rows = HyperTokenizer.from_pretrained(sound_extension).rows
    folder = put_model(sound_extension, tmp_path / "model", tiny_model("qwen3", tied=True, rows=rows))
    other = put_model(sound_extension, tmp_path / "other", tiny_model("qwen3", tied=True, rows=rows, seed=1))
    train(folder, small_corpus, tmp_path / "trained", QUICK)
    merge(tmp_path / "trained", tmp_path / "merged")
    weights, output = partial(ModelWeights.open, tmp_path / "merged"), tmp_path / "out.gguf"
    stock = write_stock(tmp_path / "other.gguf", "qwen3", other, Stock.load(small_stock))
    with pytest.raises(
        InputError,
        match=r"is no trained form of .* or convert the trained model .* --to sentencepiece -o tokenizer\.model",
    ):
        export_gguf(tmp_path / "merged", output, stock_model=stock, weights=weights)
    assert not output.exists()
    good = write_stock(tmp_path / "stock.gguf", "qwen3", folder, Stock.load(small_stock))
    tensors = load_file(tmp_path / "merged" / "model.safetensors")
    matrices = ModelWeights.open(tmp_path / "merged", read_gguf(good)).matrices
    for prefix in ("language_model.model.", "model.language_model."):
        seen = {name.replace("model.", prefix, 1): tensor for name, tensor in tensors.items()}
        seen[f"{prefix.partition('.')[0]}.vision_tower.layers.0.q_proj.weight"] = torch.ones(16, 16)
        save_file(seen, tmp_path / "merged" / "model.safetensors", metadata={"format": "pt"})
        assert ModelWeights.open(tmp_path / "merged", read_gguf(good)).matrices.keys() == matrices.keys()
    tensors["model.layers.1.mlp.up_proj.weight"].fill_(float("nan"))
    save_file(tensors, tmp_path / "merged" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"layers\.1\.mlp\.up_proj\.weight is no trained form of .* \(cosine nan\)"):
        export_gguf(tmp_path / "merged", output, stock_model=good, weights=weights)
    (matrix,) = (tensor for tensor in read_gguf(stock).tensors if tensor.name == "token_embd.weight")
    with pytest.raises(InputError, match=r"rows have 32 numbers, those of token_embd\.weight in the GGUF file 64"):
        weights(read_gguf(stock)).rows(replace(matrix, shape=(64, matrix.shape[1])))
