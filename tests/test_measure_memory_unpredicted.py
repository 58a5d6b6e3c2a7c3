"""Memory of models whose cache no rule here predicts: measured all the same, and said; what is no model is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import SENTENCES
from measured_models import SMALL, tiny_folder
from tiny_models import put_model
from transformers import AutoConfig, AutoModelForCausalLM, MambaConfig, Mistral3Config, Qwen3_5TextConfig

from hypertok.errors import InputError
from hypertok.experiment.definition import Definition, Published
from hypertok.experiment.memory import AT_HAND, _Maker, _Reading
from hypertok.measure.memory import cache_layers, measure_prefill, predict_memory
from hypertok.measure.model import measure_model
from hypertok.measure.options import MeasureOptions
from hypertok.measure.subject import load_subject

#: As Gemma 3 publishes it: the number of rows is that of its class.
GEMMA3 = {
    "model_type": "gemma3", "dtype": "bfloat16",
    "text_config": {
        "model_type": "gemma3_text", "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8,
    },
    "vision_config": {
        "model_type": "siglip_vision_model", "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
        "num_attention_heads": 2, "image_size": 896, "patch_size": 14,
    },
}  # fmt: skip


def hybrid() -> Any:
    """A layer that keeps states and one that keeps keys and values."""
    torch.manual_seed(0)
    config = Qwen3_5TextConfig(
        **{**SMALL, "bos_token_id": 1}, vocab_size=640, layer_types=["linear_attention", "full_attention"],
        linear_num_key_heads=2, linear_num_value_heads=2, linear_key_head_dim=8, linear_value_head_dim=8,
        linear_conv_kernel_dim=4,
    )  # fmt: skip
    return AutoModelForCausalLM.from_config(config).float()


@pytest.fixture(scope="module")
def folder(small_stock: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return put_model(small_stock, tmp_path_factory.mktemp("hybrid") / "model", hybrid())


@pytest.mark.parametrize("parts", [None, ("memory",)])
def test_what_is_not_predicted_is_measured(parts: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if parts is None:  # the other parts are measured elsewhere
        monkeypatch.setattr("hypertok.measure.model._measure", lambda *arguments: {})
    options = MeasureOptions(parts=parts, device="cpu", prefill_characters=200, context=64)
    found = measure_model(folder, [SENTENCES], options)
    assert found.predicted is None
    why = "qwen3_5_text: the cache of a layer of linear_attention is not predicted; measure it instead"
    assert found.skipped == {"predicted memory": why}
    assert found.prefill is not None
    keys = 2 * 2 * 8 * 4 * found.prefill.tokens
    states = 2 * 8 * 8 + (3 * 2 * 8) * 4  # a matrix for each head, and what the convolution looks back on
    assert found.prefill.cache == keys + 4 * states


def test_a_model_without_attention_is_measured(tmp_path: Path) -> None:
    config = MambaConfig(hidden_size=16, num_hidden_layers=2, vocab_size=64, state_size=4)
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / "mamba")
    found = measure_prefill(tmp_path / "mamba", [1, 2, 3], 3)
    assert found.cache == 2 * 32 * (4 + 4) * 4, "the same after any number of tokens"


def test_layers_that_read_no_text_and_values_of_another_width_are_not_predicted() -> None:
    images = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0, "num_hidden_layers": 3}
    config = AutoConfig.for_model("mllama_text_model", **{**SMALL, **images}, vocab_size=64, cross_attention_layers=[1])
    with pytest.raises(InputError, match="with cross_attention_layers is not predicted; measure it"):
        cache_layers(config, 4)
    config.cross_attention_layers = []
    assert cache_layers(config, 4)
    config.v_head_dim = 8
    assert cache_layers(config, 4)
    config.v_head_dim = 4
    with pytest.raises(InputError, match="whose v_head_dim differs from its head_dim is not predicted; measure it"):
        cache_layers(config, 4)


@pytest.mark.parametrize(
    ("changes", "why"),
    [({"vocab_size": "640"}, "'vocab_size' expected int, got str"), ({"num_attention_heads": 5}, "not a multiple of")],
)
def test_fields_that_transformers_refuses_are_named(changes: dict[str, Any], why: str) -> None:
    config = {"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "vocab_size": 640}
    with pytest.raises(InputError, match=rf"configuration of llama: .*{why}.*; correct it"):
        predict_memory(config | changes, characters_per_token=3)


def _cut(model: Path) -> None:
    path = model / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])


def _stating(**changes: Any) -> Callable[[Path], None]:
    def change(model: Path) -> None:
        path = model / "config.json"
        path.write_text(json.dumps(json.loads(path.read_bytes()) | changes), encoding="utf-8")

    return change


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (_cut, r"model\.safetensors: not a whole safetensors file .*; download or copy it again"),
        (_stating(vocab_size=600), r"config\.json: says other sizes than the weights beside it have"),
        (_stating(hidden_size=32), r"config\.json: says other sizes than the weights beside it have"),
        (_stating(num_hidden_layers="2"), r"config\.json: Field 'num_hidden_layers' expected int, .*; correct it"),
    ],
)
def test_a_damaged_model_is_named_before_it_is_measured(
    damage: Callable[[Path], None], why: str, small_stock: Path, tmp_path: Path
) -> None:
    folder = tiny_folder(tmp_path / "model", small_stock)
    damage(folder)
    for parts in ("quality",), ("speed",):
        with pytest.raises(InputError, match=why):
            measure_model(folder, [SENTENCES], MeasureOptions(parts=parts, device="cpu", context=64))


def test_files_that_are_not_the_models_are_not_looked_at(small_stock: Path, tmp_path: Path) -> None:
    folder = tiny_folder(tmp_path / "model", small_stock)
    (folder / "consolidated.safetensors").write_bytes(b"cut off")
    assert load_subject(folder, device="cpu").rows == 640


def maker(models: tuple[Published, ...] = (), tell: Callable[[str], None] = lambda text: None) -> _Maker:
    given = {"name": "x", "kind": "memory", "arms": [{"name": "stock", "stock": True}]}
    definition = Definition.model_validate({**given, "memory": {"models": models, "tokens": 100, "prefill_tokens": 0}})
    return _Maker(definition, SENTENCES, [], Path(), {}, tell)


def test_an_experiment_goes_on_without_the_model_that_is_not_predicted(folder: Path) -> None:
    with pytest.raises(InputError, match="linear_attention is not predicted"):
        maker().at_hand(folder)
    told: list[str] = []
    one = maker((Published(name="Gemma", tokenizer=folder, config=GEMMA3),), told.append)
    assert one.at_hand(folder) == []
    assert list(one.skipped) == ["memory of stock"]
    assert "linear_attention is not predicted" in one.skipped["memory of stock"]
    assert "hypertok measure MODEL_DIR --text TEXTS --only memory" in one.skipped["memory of stock"]
    assert str(folder) not in one.skipped["memory of stock"]  # results name no folder of a machine
    assert told == [f"stock: to measure its memory, hypertok measure {folder} --text TEXTS --only memory"]


def test_an_experiment_does_not_go_on_with_a_kind_that_has_no_language_model(tmp_path: Path) -> None:
    Mistral3Config().save_pretrained(tmp_path)
    with pytest.raises(InputError, match="mistral3: transformers loads no causal language model of this kind"):
        maker((Published(name="Gemma", tokenizer=tmp_path, config=GEMMA3),)).at_hand(tmp_path)


@pytest.mark.parametrize(("stated", "rows"), [({}, 262_208), ({"vocab_size": 640}, 640)])
def test_a_published_model_for_images_has_its_rows_inside(stated: dict[str, int], rows: int, folder: Path) -> None:
    config = {**GEMMA3, "text_config": {**GEMMA3["text_config"], **stated}}  # type: ignore[dict-item]
    assert Published(name="Gemma", tokenizer=folder, config=config).config == config
    stock, ours = (maker()._row(AT_HAND, config, 300, _Reading("arm", 100, new, new)) for new in (0, 32))
    assert ours.parameters - stock.parameters == (-(-(rows + 32) // 64) * 64 - rows) * 32


def test_a_published_model_for_text_names_its_rows() -> None:
    with pytest.raises(ValueError, match=r"config of Qwen lacks vocab_size; copy them from its config\.json"):
        Published(name="Qwen", tokenizer=Path(), config={"model_type": "qwen3"})
