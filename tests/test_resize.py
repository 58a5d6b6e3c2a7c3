"""An extended model holds the stock's rows bit for bit and the new ones at their ids; transformers loads it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from extended_models import MODELS, NEW, ROWS, STOCK, WIDTH, all_tensors, bits, extend, loaded, saved
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from hypertok.model.checkpoint import Checkpoint
from hypertok.model.seen import SEEN


@pytest.fixture(autouse=True)
def _same_numbers() -> None:
    torch.manual_seed(7)


@pytest.mark.parametrize("shard", ["5GB", "20KB"])
@pytest.mark.parametrize("name", MODELS)
def test_transformers_loads_it(tmp_path: Path, name: str, shard: str) -> None:
    checkpoint = saved(MODELS[name](), tmp_path / "stock", shard=shard)
    assert (len(checkpoint.shards) > 1) == (shard == "20KB")
    rows_written, new_input, new_output = extend(checkpoint, tmp_path / "out")
    stock, model = loaded(tmp_path / "stock"), loaded(tmp_path / "out")
    assert type(model) is type(stock)
    assert model.config.get_text_config().vocab_size == rows_written == ROWS
    rows, head = model.get_input_embeddings().weight, model.get_output_embeddings().weight
    assert (head.data_ptr() == rows.data_ptr()) == checkpoint.tied
    for grown, old, new in (
        (rows, stock.get_input_embeddings().weight, new_input),
        (head, stock.get_output_embeddings().weight, new_output),
    ):
        assert grown.shape == (ROWS, WIDTH)
        assert bits(grown[:STOCK]) == bits(old)
        assert bits(grown[STOCK : STOCK + NEW]) == bits(new.to(torch.bfloat16))
        padding = old.detach().double().mean(0).to(torch.bfloat16)
        assert bits(grown[STOCK + NEW :]) == bits(padding.repeat(ROWS - STOCK - NEW, 1))
    ids = torch.randint(0, STOCK - 1, (2, 12))
    with torch.no_grad():
        before, after = stock.float()(input_ids=ids).logits, model.float()(input_ids=ids).logits
    assert after.shape[-1] == ROWS
    torch.testing.assert_close(after[..., :STOCK], before, rtol=0, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("name", ["qwen3 untied", "gemma3 text"])
def test_bit_for_bit(tmp_path: Path, name: str, dtype: torch.dtype) -> None:
    checkpoint = saved(MODELS[name](), tmp_path / "stock", dtype, "20KB")
    _, new_input, _ = extend(checkpoint, tmp_path / "out")
    matrices = {checkpoint.input.name, checkpoint.output.name}
    before, after = all_tensors(tmp_path / "stock"), all_tensors(tmp_path / "out")
    assert before.keys() == after.keys()
    for tensor in before:
        assert after[tensor].dtype == before[tensor].dtype == dtype
        kept = after[tensor][:STOCK] if tensor in matrices else after[tensor]
        assert bits(kept) == bits(before[tensor]), tensor
    assert bits(after[checkpoint.input.name][STOCK : STOCK + NEW]) == bits(new_input.to(dtype))
    files = {file.name: file for file in (tmp_path / "out").glob("*.safetensors")}
    linked = {name for name, file in files.items() if file.samefile(tmp_path / "stock" / name)}
    assert len(files) - len(linked) == len(matrices)
    for name in files.keys() - linked:
        with safe_open(files[name], "pt") as opened:
            assert opened.metadata() == {"format": "pt"}
    assert Checkpoint.open(tmp_path / "out").stock_rows == ROWS


def test_the_index(tmp_path: Path) -> None:
    checkpoint = saved(MODELS["qwen3 untied"](), tmp_path / "stock", shard="20KB")
    extend(checkpoint, tmp_path / "out")
    before, after = (
        json.loads((tmp_path / name / "model.safetensors.index.json").read_text()) for name in ("stock", "out")
    )
    assert after["weight_map"] == before["weight_map"]
    tensors = all_tensors(tmp_path / "out").values()
    assert after["metadata"]["total_size"] == sum(tensor.nbytes for tensor in tensors)
    assert after["metadata"]["total_parameters"] == loaded(tmp_path / "out").num_parameters()


def test_the_file_is_as_long_as_arithmetic_says(tmp_path: Path) -> None:
    checkpoint = saved(MODELS["gemma3 text"](), tmp_path / "stock")
    extend(checkpoint, tmp_path / "out")
    file = tmp_path / "out" / "model.safetensors"
    header = int.from_bytes(file.read_bytes()[:8], "little")
    assert header % 8 == 0
    assert file.stat().st_size == 8 + header + checkpoint.shards[0].size + (ROWS - STOCK) * WIDTH * 2


def test_ids_among_the_stock_and_in_any_order(tmp_path: Path) -> None:
    checkpoint = saved(MODELS["qwen3 untied"](), tmp_path / "stock")
    ids = [150, 3, 4, 99, 130, 101, 7]
    _, new_input, new_output = extend(checkpoint, tmp_path / "out", ids)
    before, after = all_tensors(tmp_path / "stock"), all_tensors(tmp_path / "out")
    untouched = [row for row in range(STOCK) if row not in ids]
    padding = [row for row in range(STOCK, ROWS) if row not in ids]
    for matrix, new in ((checkpoint.input.name, new_input), (checkpoint.output.name, new_output)):
        assert bits(after[matrix][ids]) == bits(new.to(torch.bfloat16))
        assert bits(after[matrix][untouched]) == bits(before[matrix][untouched])
        mean = before[matrix].double().mean(0).to(torch.bfloat16)
        assert bits(after[matrix][padding]) == bits(mean.repeat(len(padding), 1))


def test_it_never_shrinks(tmp_path: Path) -> None:
    checkpoint = saved(MODELS["qwen3 tied"](), tmp_path / "stock")
    rows, _, _ = extend(checkpoint, tmp_path / "out", [5, 60], rows=64)
    assert rows == 128
    assert loaded(tmp_path / "out").get_input_embeddings().weight.shape == (128, WIDTH)


def test_no_new_rows_is_padding_only(tmp_path: Path) -> None:
    checkpoint = saved(MODELS["qwen3 tied"](), tmp_path / "stock")
    extend(checkpoint, tmp_path / "out", [])
    mean = checkpoint.input.read(slice(None)).double().mean(0).to(torch.bfloat16)
    assert bits(Checkpoint.open(tmp_path / "out").input.read([STOCK, ROWS - 1])) == bits(mean.repeat(2, 1))


def test_a_tied_model_with_a_second_copy(tmp_path: Path) -> None:
    model = MODELS["qwen3 tied"]().to(torch.bfloat16)
    model.save_pretrained(tmp_path / "stock")
    tensors = load_file(tmp_path / "stock" / "model.safetensors")
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone()
    save_file(tensors, tmp_path / "stock" / "model.safetensors", metadata={"format": "pt"})
    extend(Checkpoint.open(tmp_path / "stock"), tmp_path / "out")
    after = all_tensors(tmp_path / "out")
    assert bits(after["lm_head.weight"]) == bits(after["model.embed_tokens.weight"])
    grown = loaded(tmp_path / "out")
    assert grown.get_input_embeddings().weight.data_ptr() == grown.get_output_embeddings().weight.data_ptr()


@pytest.mark.parametrize("prefix", ["language_model.model.", "model.language_model."])
def test_both_ways_to_name_the_weights_of_gemma_with_images(tmp_path: Path, prefix: str) -> None:
    """transformers 4 and what is published call them language_model.model.…, transformers 5 model.language_model.…"""
    saved(MODELS["gemma3 images"](), tmp_path / "stock")
    tensors = {}
    for name, tensor in load_file(tmp_path / "stock" / "model.safetensors").items():
        bare = name.removeprefix("model.language_model.").removeprefix("language_model.model.")
        other = "" if prefix.startswith("language") else "model."
        tensors[prefix + bare if bare != name else other + name.removeprefix("model.")] = tensor
    save_file(tensors, tmp_path / "stock" / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((tmp_path / "stock" / "config.json").read_text())
    del config["text_config"]["vocab_size"]  # so it is published: the class knows the number
    config["text_config"].pop("tie_word_embeddings", None)
    config.pop("tie_word_embeddings", None)
    (tmp_path / "stock" / "config.json").write_text(json.dumps(config))
    checkpoint = Checkpoint.open(tmp_path / "stock")
    assert checkpoint.input.name == f"{prefix}embed_tokens.weight"
    assert checkpoint.tied
    _, new_input, _ = extend(checkpoint, tmp_path / "out")
    rows = loaded(tmp_path / "out").get_output_embeddings().weight
    assert rows.shape == (ROWS, WIDTH)
    assert bits(rows[STOCK : STOCK + NEW]) == bits(new_input.to(torch.bfloat16))


def test_configuration_and_other_files(tmp_path: Path) -> None:
    checkpoint = saved(MODELS["gemma3 text"](), tmp_path / "stock")
    stock, out = tmp_path / "stock", tmp_path / "out"
    kept = {"LICENSE": "свободно", "README.md": "о модели", "NOTICE.txt": "…", "processor_config.json": "{}", SEEN: "…"}
    for name, text in {**kept, "modeling_own.py": "1/0", "tokenizer.json": "{}", "optimizer.pt": ""}.items():
        (stock / name).write_text(text, encoding="utf-8")
    out.mkdir()
    (out / "tokenizer.json").write_text('{"extended": true}', encoding="utf-8")
    checkpoint.config["auto_map"] = {"AutoModelForCausalLM": "modeling_own.Own"}
    checkpoint.config.pop("tie_word_embeddings", None)
    extend(checkpoint, out)
    config = json.loads((out / "config.json").read_text(encoding="utf-8"))
    assert config["vocab_size"] == ROWS
    assert config["tie_word_embeddings"] is True
    rest = {"vocab_size", "tie_word_embeddings", "auto_map"}
    assert {k: v for k, v in config.items() if k not in rest} == {
        k: v for k, v in checkpoint.config.items() if k not in rest
    }
    assert "auto_map" not in config
    assert (out / "tokenizer.json").read_text(encoding="utf-8") == '{"extended": true}'
    names = {*kept, "config.json", "generation_config.json", "model.safetensors", "tokenizer.json"}
    assert {path.name for path in out.iterdir()} == names
    for name, text in kept.items():
        assert (out / name).read_text(encoding="utf-8") == text


def test_an_extended_model_can_be_extended(tmp_path: Path) -> None:
    checkpoint = saved(MODELS["llama untied"](), tmp_path / "stock")
    _, first, _ = extend(checkpoint, tmp_path / "one")
    again = Checkpoint.open(tmp_path / "one")
    _, second, _ = extend(again, tmp_path / "two", range(ROWS, ROWS + 10), rows=256)
    rows = Checkpoint.open(tmp_path / "two").input.read(slice(None))
    assert bits(rows[:STOCK]) == bits(checkpoint.input.read(slice(None)))
    assert bits(rows[STOCK : STOCK + NEW]) == bits(first.to(torch.bfloat16))
    assert bits(rows[ROWS : ROWS + 10]) == bits(second.to(torch.bfloat16))


def test_same_input_same_bytes(tmp_path: Path) -> None:
    checkpoint = saved(MODELS["mistral"](), tmp_path / "stock", shard="20KB")
    for name in ("one", "two"):
        torch.manual_seed(1)
        extend(checkpoint, tmp_path / name)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name
