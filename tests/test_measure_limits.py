"""Where measuring ends: devices that are not there, damaged tokenizers, models with few positions, other systems."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from conftest import SENTENCES
from measured_models import tiny_config, tiny_folder, tiny_subject
from safetensors.torch import load_file
from trained_models import FULL
from transformers import AutoModelForCausalLM, Mistral3Config

from hypertok.errors import ArtifactError, InputError
from hypertok.experiment.definition import Measure
from hypertok.experiment.kept import Kept
from hypertok.experiment.measuring import Texts, _samples, measure_arm
from hypertok.measure.coding import Coding, load_coding
from hypertok.measure.copy_task import measure_copy
from hypertok.measure.device import device_of, wait_for
from hypertok.measure.emission import measure_emission
from hypertok.measure.memory import measure_prefill
from hypertok.measure.model import measure_model
from hypertok.measure.options import MeasureOptions, PartName
from hypertok.measure.speed import _seconds, measure_speed
from hypertok.measure.subject import Subject, load_subject
from hypertok.model.config import positions_of
from hypertok.model.shard import weight_paths

#: Parts by name, each as a call that needs few tokens.
PARTS: dict[str, Callable[[Subject], Any]] = {
    "speed": lambda one: measure_speed(one, [SENTENCES], batches=(2,), characters=150, new_tokens=4, repeats=1),
    "writing": lambda one: measure_speed(one, [SENTENCES], batches=(2,), characters=5, new_tokens=40, repeats=1),
    "copy": lambda one: measure_copy(one, [SENTENCES], samples=2, characters=150, marker=" и "),
    "emission": lambda one: measure_emission(
        one, [SENTENCES], samples=3, prompt_characters=90, real_characters=40, new_tokens=4
    ),
}


@pytest.mark.parametrize("part", PARTS)
def test_a_part_needs_exactly_the_positions_that_it_names(part: str, sound_extension: Path, tmp_path: Path) -> None:
    """GPT-2 has a table of positions: one token more than it has rows is an IndexError."""

    def subject(positions: int) -> Subject:
        return tiny_subject(
            tmp_path / str(positions), sound_extension, "gpt2", n_positions=positions, bos_token_id=None
        )

    with pytest.raises(InputError, match=r"needs \d+ tokens, more than the model's 8 positions; ") as refused:
        PARTS[part](subject(8))
    needed = int(str(refused.value).split("needs ")[1].split()[0])
    with pytest.raises(InputError, match=f"more than the model's {needed - 1} positions"):
        PARTS[part](subject(needed - 1))
    assert PARTS[part](subject(needed))


def test_few_positions_lose_nothing_of_what_is_measured(sound_extension: Path, tmp_path: Path) -> None:
    folder = tiny_folder(tmp_path / "model", sound_extension, "gpt2", n_positions=64, bos_token_id=None)
    options = MeasureOptions(device="cpu", context=64, samples=2, batches=(1,))
    found = measure_model(folder, [SENTENCES, SENTENCES[300:]], options)
    assert set(found.skipped) == {"memory", "speed", "emission", "copy"}
    assert all("more than the model's 64 positions; " in reason for reason in found.skipped.values())
    assert found.quality is not None
    assert found.predicted is not None
    assert found.predicted.positions == 64
    with pytest.raises(InputError, match="64 positions; give fewer characters"):
        measure_model(folder, [SENTENCES], options.model_copy(update={"parts": ("speed",)}))
    with pytest.raises(InputError, match="64 positions; give fewer characters"):
        measure_model(folder, [SENTENCES], options.model_copy(update={"parts": ("memory",)}))


def test_a_model_whose_positions_are_rotations_is_measured_beyond_those_it_was_trained_on(
    sound_extension: Path, tmp_path: Path
) -> None:
    folder = tiny_folder(tmp_path / "model", sound_extension, "llama", max_position_embeddings=64)
    found = measure_model(folder, [SENTENCES], MeasureOptions(device="cpu", parts=("memory",)))
    assert not found.skipped
    assert found.prefill is not None
    assert found.prefill.tokens > 64


def test_without_prompts_there_are_no_samples(sound_extension: Path, tmp_path: Path) -> None:
    assert _samples(tiny_subject(tmp_path / "model", sound_extension), Measure(prompts=()), 0) == ()


def test_a_context_beyond_the_positions_is_refused_before_anything_is_measured(
    sound_extension: Path, tmp_path: Path
) -> None:
    folder = tiny_folder(tmp_path / "model", sound_extension, "gpt2", n_positions=64, bos_token_id=None)
    options = MeasureOptions(device="cpu", context=65, parts=("memory", "quality"), prefill_characters=20)
    told: list[str] = []
    with pytest.raises(InputError, match="context 65 is more than the model's 64 positions"):
        measure_model(folder, [SENTENCES], options, progress=lambda part, done, total: told.append(part))
    assert not told


def test_a_quantised_model_whose_package_is_missing_is_told(
    small_stock: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*given: Any, **named: Any) -> Any:
        raise ImportError("Using `bitsandbytes` 4-bit quantization requires bitsandbytes")

    folder = tiny_folder(tmp_path / "model", small_stock)
    monkeypatch.setattr("hypertok.model.load.load_model", missing)
    with pytest.raises(InputError, match=r"lacks a package for this model \(Using `bitsandbytes` .*\); install it, or"):
        load_subject(folder, device="cpu")


def test_a_start_without_a_row_is_named(small_stock: Path, tmp_path: Path) -> None:
    folder = tiny_folder(tmp_path / "model", small_stock, bos_token_id=640)
    with pytest.raises(InputError, match=r"the id 640 before every text has no row, the model has 640; correct"):
        load_subject(folder, device="cpu")


def test_a_kind_without_a_language_model_is_refused_first(small_stock: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(small_stock, tmp_path / "model")
    Mistral3Config().save_pretrained(folder)
    for parts in (None, ("memory",), ("quality",)):
        with pytest.raises(InputError, match="model: mistral3: transformers loads no causal language model of this"):
            measure_model(folder, [SENTENCES], MeasureOptions(device="cpu", parts=parts))


def test_a_full_gpu_costs_the_part_that_filled_it_alone(
    sound_extension: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = tiny_subject(tmp_path / "model", sound_extension)
    why = r"the GPU is full \(CUDA out of memory\. .* 8 MiB free\); free it of other programs, or measure in bfloat16"

    def full(*given: Any, **named: Any) -> None:
        raise torch.OutOfMemoryError(FULL)

    for name in ("measure_copy", "measure_speed"):
        monkeypatch.setattr(f"hypertok.measure.parts.{name}", full)
    monkeypatch.setattr("hypertok.measure.model.load_subject", lambda *given, **named: subject)
    monkeypatch.setattr("hypertok.measure.model._memory", lambda *given: {})
    found = measure_model(tmp_path / "model", [SENTENCES], MeasureOptions(samples=2))
    assert found.quality is not None
    assert set(found.skipped) == {"speed", "copy"}
    assert re.match(why, found.skipped["speed"])
    kept = Kept(tmp_path / "kept", lambda text: None)
    measure, texts = Measure(parts=("copy", "memory")), Texts((SENTENCES, SENTENCES), {})
    figures = measure_arm(subject, texts, measure, seed=0, kept=kept)
    assert "predicted" in figures
    assert re.match(why, figures["skipped"]["copy"])
    monkeypatch.setattr("hypertok.measure.model.measure_quality", full)
    monkeypatch.setattr("hypertok.experiment.measuring.score_texts", full)
    with pytest.raises(InputError, match=why):
        measure_model(tmp_path / "model", [SENTENCES], MeasureOptions(parts=("quality",)))
    with pytest.raises(InputError, match=why):
        measure_arm(subject, texts, measure, seed=0, kept=Kept(tmp_path / "anew", lambda text: None))
    drift = Texts((SENTENCES, SENTENCES), {"english": (SENTENCES,)})
    figures = measure_arm(subject, drift, Measure(parts=("drift",)), seed=0, kept=kept)
    assert figures["skipped"]["drift"].endswith("; then remove the file of this run and start again")


def test_weights_larger_than_all_memory_are_refused_before_anything_is_loaded(
    sound_extension: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny_folder(tmp_path / "model", sound_extension)
    size = sum(tensor.nbytes for tensor in load_file(folder / "model.safetensors").values())
    monkeypatch.setattr("hypertok.measure.model.load_subject", None)
    monkeypatch.setattr("hypertok.measure.model._memory", lambda *given: {})

    def asked(memory: int, part: PartName, dtype: str = "auto") -> None:
        monkeypatch.setattr("hypertok.model.memory.memory_of_machine", lambda: memory)
        measure_model(folder, [SENTENCES], MeasureOptions(device="cpu", dtype=dtype, parts=(part,)))

    asked(1, "memory")  # of the file's own type they are mapped from it
    with pytest.raises(TypeError):
        asked(size // 2, "quality", "bfloat16")
    with pytest.raises(InputError, match="weights in bfloat16"):
        asked(size // 2 - 1, "quality", "bfloat16")
    AutoModelForCausalLM.from_pretrained(folder).bfloat16().save_pretrained(folder)
    monkeypatch.setattr("hypertok.model.load.is_emulated", lambda dtype, device: dtype != torch.float32)
    asked(size // 2, "memory")
    with pytest.raises(InputError, match=r"model: measuring it needs .* \(weights in float32 .* .--dtype bfloat16"):
        asked(size - 1, "quality")


def test_the_files_of_weights_are_those_that_the_index_names(sound_extension: Path, tmp_path: Path) -> None:
    """Whatever they are called; what else lies in the folder is none of the model's."""
    folder = tiny_folder(tmp_path / "model", sound_extension)
    (folder / "model-copy.safetensors").write_bytes(b"of something else")
    assert load_subject(folder, device="cpu").rows
    tensors = load_file(folder / "model.safetensors")
    shard = (folder / "model.safetensors").rename(folder / "part one.safetensors")
    index = {"metadata": {}, "weight_map": dict.fromkeys(tensors, shard.name)}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    assert weight_paths(folder) == [shard]
    shard.write_bytes(shard.read_bytes()[:-9])
    with pytest.raises(InputError, match=r"part one\.safetensors"):
        load_subject(folder, device="cpu")
    for damaged in ("{", "[]", '{"weight_map": [1]}', '{"weight_map": {"a": 1}}'):
        (folder / "model.safetensors.index.json").write_text(damaged, encoding="utf-8")
        assert weight_paths(folder) == []


def test_a_damaged_delta_is_named(sound_extension: Path, tmp_path: Path) -> None:
    folder = tiny_folder(tmp_path / "model", sound_extension)
    data = (folder / "delta.parquet").read_bytes()
    for damaged in (b"", data[:50], data[:-100], b"PAR1 not a table at all PAR1"):
        (folder / "delta.parquet").write_bytes(damaged)
        with pytest.raises(ArtifactError, match=r"delta\.parquet: cannot be read \(.+\); make it again with: hypertok"):
            load_coding(folder)


@pytest.mark.parametrize("content", ["{", '{"kind": "tokenizer", "schema_version": 1, "files": {}, "colour": "red"}'])
def test_a_manifest_that_cannot_be_read_is_named(content: str, sound_extension: Path, tmp_path: Path) -> None:
    """Without it nobody knows by which coding the model reads."""
    folder = shutil.copytree(sound_extension, tmp_path / "model")
    (folder / "config.json").write_text("{}", encoding="utf-8")
    (folder / "manifest.json").write_text(content, encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"manifest\.json: unreadable manifest"):
        load_coding(folder)


def test_a_configuration_without_a_limit_has_none() -> None:
    assert positions_of(tiny_config()) == 2048
    for value in (None, -1):
        config = SimpleNamespace(
            get_text_config=lambda decoder, value=value: SimpleNamespace(max_position_embeddings=value)
        )
        assert positions_of(config) is None
    assert Subject(SimpleNamespace(config=tiny_config()), Coding(list, str)).positions is None, (
        "positions are rotations"
    )
    assert Subject(SimpleNamespace(config=tiny_config("gpt2")), Coding(list, str)).positions == 512


@pytest.mark.parametrize("name", ["gpu", "", "cuda:99", "meta", "cpu:x"])
def test_a_device_that_is_not_there_is_named(name: str, small_stock: Path, tmp_path: Path) -> None:
    folder = tiny_folder(tmp_path / "model", small_stock)
    with pytest.raises(InputError, match=rf"device '{name}' cannot be used here \(.+\); give cpu, cuda"):
        load_subject(folder, device=name)
    with pytest.raises(InputError, match=f"device '{name}'"):
        measure_model(folder, [SENTENCES], MeasureOptions(device=name))


def test_devices_of_cuda_go_by_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [device_of(name) for name in ("auto", "cuda", "cuda:1", "cpu")] == ["cuda", "cuda", "cuda:1", "cpu"]
    with pytest.raises(InputError, match="finds 2 CUDA GPUs"):
        device_of("cuda:2")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device_of("auto") == "cpu"
    with pytest.raises(InputError, match="finds 0 CUDA GPUs"):
        device_of("cuda")


@pytest.mark.parametrize("content", ["{", "", '{"model": {"type": "BPE"}}'])
def test_a_damaged_tokenizer_is_named(content: str, small_stock: Path, tmp_path: Path) -> None:
    folder = tiny_folder(tmp_path / "model", small_stock)
    (folder / "tokenizer.json").write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=r"tokenizer\.json: no tokenizer that can be loaded \(.+\); copy it again"):
        load_coding(folder)


@pytest.mark.parametrize(("device", "waits"), [("mps", ["mps"]), ("cuda:1", ["cuda:1"]), ("cpu", [])])
def test_a_clock_waits_for_the_device(device: str, waits: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr(torch.mps, "synchronize", lambda: seen.append("mps"))
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: seen.append(str(device)))
    wait_for(torch.device(device))
    assert seen == waits
    seen.clear()
    _seconds(lambda number: seen.append(f"work {number}"), 2, torch.device(device))
    expected = ["work 0", *waits, "work 0", *waits, *waits, "work 1", *waits]
    assert seen == expected, "before the clock starts and before it stops"


def test_what_lies_where_somebody_works_is_not_run(
    small_stock: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny_folder(tmp_path / "model", small_stock)
    here = tmp_path / "here"
    here.mkdir()
    (here / "tokenizers.py").write_text(f"open({str(tmp_path / 'marker')!r}, 'w')\n", encoding="utf-8")
    monkeypatch.chdir(here)
    assert measure_prefill(folder, [1, 2, 3], 3).tokens == 3
    assert not (tmp_path / "marker").exists()
