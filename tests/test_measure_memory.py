"""Predicted memory is that of the real tensors, and measured memory is that of the process that measures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import SENTENCES
from measured_models import tiny_config, tiny_folder, tiny_model

from hypertok.errors import InputError
from hypertok.measure.coding import load_coding
from hypertok.measure.memory import GIB, CacheLayers, cache_layers, measure_prefill, predict_memory
from hypertok.measure.prefill import cache_bytes
from hypertok.model import memory

#: As published, without what the classes fill in.
QWEN3_06B = {
    "model_type": "qwen3", "hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 28,
    "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 151_936,
    "max_position_embeddings": 40_960, "tie_word_embeddings": True, "dtype": "bfloat16",
}  # fmt: skip
QWEN3_235B = {
    "model_type": "qwen3_moe", "hidden_size": 4096, "intermediate_size": 12_288, "moe_intermediate_size": 1536,
    "num_hidden_layers": 94, "num_attention_heads": 64, "num_key_value_heads": 4, "head_dim": 128, "num_experts": 128,
    "num_experts_per_tok": 8, "vocab_size": 151_936, "max_position_embeddings": 40_960, "tie_word_embeddings": False,
    "dtype": "bfloat16",
}  # fmt: skip
GEMMA3_270M = {
    "model_type": "gemma3_text", "hidden_size": 640, "intermediate_size": 2048, "num_hidden_layers": 18,
    "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 256, "vocab_size": 262_144, "sliding_window": 512,
    "max_position_embeddings": 32_768,
}  # fmt: skip


@pytest.mark.parametrize("kind", ["llama", "qwen3", "mistral", "gemma2", "gemma3_text", "qwen3_moe"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_predicted_cache_is_that_of_the_real_tensors(kind: str, dtype: torch.dtype) -> None:
    """For Gemma 3 with a window of 8: six layers keep min(tokens, 7), the seventh all tokens, after every step."""
    model = tiny_model(kind).to(dtype)
    predicted = predict_memory(model.config, characters_per_token=3, bytes_per_element=dtype.itemsize)
    cache: Any = None
    seen = 0
    for step in (5, 2, 1, 1, 30, 1):
        with torch.inference_mode():
            output = model(input_ids=torch.ones((1, step), dtype=torch.long), past_key_values=cache, use_cache=True)
        cache, seen = output.past_key_values, seen + step
        assert cache_bytes(cache) == predicted.cache_bytes(seen) > 0
    sliding = {"gemma2": 1, "gemma3_text": 6, "mistral": 2}.get(kind, 0)
    assert sum(one.layers for one in predicted.cache if one.kept == 7) == sliding
    assert predicted.cache_of_windows == sliding * 7 * 2 * 2 * 8 * dtype.itemsize
    assert predicted.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert predicted.weights == predicted.parameters * dtype.itemsize


def test_published_configurations() -> None:
    small = predict_memory(QWEN3_06B, characters_per_token=2.5)
    layer = 1024 * 16 * 128 * 2 + 1024 * 8 * 128 * 2 + 3 * 1024 * 3072 + 2 * 1024 + 2 * 128
    assert small.parameters == 151_936 * 1024 + 28 * layer + 1024
    assert small.cache_per_token == 28 * 8 * 128 * 2 * 2 == 114_688
    assert small.cache_per_1000_characters == pytest.approx(114_688 * 400)
    assert (small.cache_of_windows, small.positions) == (0, 40_960)

    gemma = predict_memory(GEMMA3_270M, characters_per_token=3.3)
    assert gemma.parameters == pytest.approx(268e6, rel=0.005)
    assert gemma.cache_per_token == 3 * 2 * 256 * 2, "three of eighteen layers see everything"
    assert gemma.cache_of_windows == 15 * 511 * 2 * 256 * 2
    assert gemma.cache_bytes(100) == 18 * 100 * 2 * 256 * 2

    large = predict_memory(QWEN3_235B, characters_per_token=2.5)
    assert large.parameters == pytest.approx(235e9, rel=0.005)
    assert large.cache_per_token == 94 * 4 * 128 * 2 * 2


def test_new_rows_cost_what_arithmetic_says() -> None:
    for tied in (True, False):
        config = {**QWEN3_06B, "tie_word_embeddings": tied}
        given = dict(config)
        stock = predict_memory(config, characters_per_token=2.7)
        ours = predict_memory(config, characters_per_token=5.0, rows=151_936 + 32_768, new_rows=32_768)
        assert ours.weights - stock.weights == ours.new_rows == 32_768 * 1024 * 2 * (1 if tied else 2)
        assert (stock.new_rows, ours.cache_per_token) == (0, stock.cache_per_token)
        assert ours.cache_per_1000_characters < stock.cache_per_1000_characters
        assert config == given, "the caller's configuration is not changed"


@pytest.mark.parametrize("config", [QWEN3_06B, {**GEMMA3_270M, "max_position_embeddings": 10_000_000}])
def test_the_longest_context_fits_and_one_more_token_does_not(config: dict[str, Any]) -> None:
    predicted = predict_memory({**config, "max_position_embeddings": 10_000_000}, characters_per_token=2.5)
    for card in (2.0, 4.0, 8.0):
        found = predicted.longest_context(card, reserve_gib=0.5)
        room = (card - 0.5) * GIB - predicted.weights
        assert predicted.cache_bytes(found.tokens) <= room < predicted.cache_bytes(found.tokens + 1)
        assert (found.limit, found.characters) == ("memory", int(found.tokens * 2.5))


def test_other_limits_of_the_context() -> None:
    predicted = predict_memory(QWEN3_06B, characters_per_token=2.5)
    assert predicted.longest_context(96).limit == "positions"
    assert predicted.longest_context(96).tokens == 40_960
    none = predicted.longest_context(2.0)
    assert (none.limit, none.tokens, none.characters) == ("weights", 0, 0)


def test_what_cannot_be_predicted_is_refused() -> None:
    with pytest.raises(InputError, match="not known to transformers"):
        predict_memory({"model_type": "nothing_like_it"}, characters_per_token=3)
    deepseek = {"model_type": "deepseek_v3", "num_hidden_layers": 2}
    with pytest.raises(InputError, match="kv_lora_rank is not predicted"):
        predict_memory(deepseek, characters_per_token=3)
    with pytest.raises(InputError, match="mamba: the cache of a model without attention is not predicted"):
        predict_memory({"model_type": "mamba", "num_hidden_layers": 2}, characters_per_token=3)
    with pytest.raises(InputError, match=r"t5: no causal language model of transformers \(.+\); give the config"):
        predict_memory({"model_type": "t5"}, characters_per_token=3)
    config = tiny_config("llama")
    config.layer_types = ["linear_attention", "full_attention"]
    with pytest.raises(InputError, match="linear_attention is not predicted"):
        cache_layers(config, 2)
    assert cache_layers(tiny_config("llama"), 2) == (CacheLayers(2, 2 * 2 * 8 * 2),)


@pytest.mark.parametrize(("new", "heads"), [(False, 1), (True, 4)])
def test_heads_of_falcon_are_counted_as_it_names_them(new: bool, heads: int) -> None:
    from transformers import FalconConfig

    config = FalconConfig(hidden_size=32, num_attention_heads=4, num_hidden_layers=2, new_decoder_architecture=new)
    assert cache_layers(config, 2) == (CacheLayers(2, 2 * heads * 8 * 2),)


def test_a_fresh_process_measures_itself_and_not_its_parent(small_stock: Path, tmp_path: Path) -> None:
    folder = tiny_folder(tmp_path / "model", small_stock)
    coding = load_coding(folder)
    ids = [*coding.start, *coding.encode(SENTENCES[:1500])]
    ballast = np.ones(3 << 29, np.uint8)  # 1.5 GiB, to be seen if a child began with its parent's peak
    found = measure_prefill(folder, ids, 1500)
    assert found.method == memory.peak_method(memory.forget_peak())
    assert (found.tokens, found.characters) == (len(ids), 1500)
    assert 100 << 20 < found.before <= found.loaded <= found.peak < ballast.nbytes
    predicted = predict_memory(tiny_config(), characters_per_token=1500 / len(ids), bytes_per_element=4)
    assert found.cache == predicted.cache_bytes(len(ids))


def test_a_process_that_fails_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In letters that arrive whatever a terminal has."""
    monkeypatch.setenv("PYTHONIOENCODING", "cp1251")
    why = r"InputError.*модель: no model that transformers loads.*; read fewer characters, or"
    with pytest.raises(InputError, match=why):
        measure_prefill(tmp_path / "модель", [1, 2], 5)


def test_no_peak_is_told_of_a_device_that_keeps_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"memory on mps is not measured: .*; leave memory out, or measure it on the"):
        measure_prefill(tmp_path, [1, 2], 5, device="mps")
