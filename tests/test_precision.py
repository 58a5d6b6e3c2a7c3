"""The data type "auto": bfloat16 or the checkpoint's own, and float32 where a device would emulate it."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("peft")

import torch
from measured_models import tiny_folder, tiny_model
from trained_models import QUICK, model_folder
from transformers import AutoModelForCausalLM

from hypertok.experiment.definition import Arm, Definition, Inputs, Measure
from hypertok.experiment.settle import settled
from hypertok.measure.model import measure_model
from hypertok.measure.options import MeasureOptions
from hypertok.model.load import computed, is_emulated
from hypertok.training.options import TrainOptions
from hypertok.training.train import train

TEXTS = ["Печень очищает кровь, а лёгкие дают ей кислород.", "Старый мост стоял над рекой."]
CPUINFO = Path("/proc/cpuinfo")


def emulating(monkeypatch: pytest.MonkeyPatch, answer: bool) -> None:
    """A device that emulates every type but float32, or none."""
    for module in ("model.load", "training.precision"):
        monkeypatch.setattr(f"hypertok.{module}.is_emulated", lambda dtype, _: answer and dtype != torch.float32)


def in_bfloat16(folder: Path) -> Path:
    """The same model folder, with weights of that type."""
    AutoModelForCausalLM.from_pretrained(folder).bfloat16().save_pretrained(folder)
    return folder


def test_what_a_cpu_emulates() -> None:
    flags = CPUINFO.read_text(encoding="utf-8") if CPUINFO.is_file() else ""
    assert not is_emulated(torch.float32, "cpu")
    if "avx512_bf16" in flags:
        assert not is_emulated(torch.bfloat16, "cpu")
    elif "avx2" in flags and "avx512" not in flags and "avx_ne_convert" not in flags:
        assert is_emulated(torch.bfloat16, "cpu")
        assert is_emulated(torch.float16, "cpu")


def test_a_build_without_onednn_has_fast_products_of_float32_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hypertok.model.load._ASKED", {torch.bfloat16: "_not_in_this_build"})
    assert is_emulated(torch.bfloat16, "cpu")
    assert not is_emulated(torch.bfloat16, "mps")


@pytest.mark.parametrize(("answer", "dtype"), [(True, torch.float32), (False, torch.float16)])
def test_a_model_computes_in_its_own_type_or_in_float32(
    answer: bool, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulating(monkeypatch, answer)
    assert computed(tiny_model().half()).dtype == dtype


@pytest.mark.parametrize(("answer", "dtype"), [(True, "float32"), (False, "bfloat16")])
def test_training_says_what_it_computed_in(
    answer: bool,
    dtype: str,
    sound_extension: Path,
    small_corpus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    emulating(monkeypatch, answer)
    options = QUICK.model_copy(update={"dtype": "auto", "characters": 200})
    done = train(model_folder(sound_extension, tmp_path / "model"), small_corpus, tmp_path / "trained", options)
    assert done.manifest.recipe["options"]["dtype"] == dtype


@pytest.mark.parametrize(("answer", "dtype"), [(True, "float32"), (False, "bfloat16")])
def test_measuring_keeps_memory_in_the_checkpoints_own_type(
    answer: bool, dtype: str, sound_extension: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulating(monkeypatch, answer)
    folder = in_bfloat16(tiny_folder(tmp_path / "model", sound_extension))
    options = MeasureOptions(parts=("memory", "quality"), device="cpu", prefill_characters=60)
    found = measure_model(folder, TEXTS, options)
    assert found.dtype == dtype
    assert found.prefill is not None
    assert found.predicted is not None
    assert found.prefill.cache == found.predicted.cache_bytes(found.prefill.tokens)
    asked = measure_model(folder, TEXTS, options.model_copy(update={"parts": ("quality",), "dtype": "bfloat16"}))
    assert asked.dtype == "bfloat16", "a type that was asked for is not changed"


@pytest.mark.parametrize(("answer", "dtype"), [(True, "float32"), (False, "bfloat16")])
def test_an_experiment_settles_types_before_anything_is_keyed(
    answer: bool, dtype: str, sound_extension: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulating(monkeypatch, answer)
    model = in_bfloat16(tiny_folder(tmp_path / "model", sound_extension))
    asked = Arm(name="asked", train=TrainOptions(dtype="bfloat16"))
    arms = (Arm(name="stock", stock=True), asked)
    one = settled(Definition(name="one", inputs=Inputs(model=model), arms=arms))
    assert [arm.train.dtype for arm in one.arms] == [dtype, "bfloat16"]
    assert one.measure.dtype == dtype
    assert settled(one) == one
    memory = Definition(name="memory", kind="memory", arms=(asked,), measure=Measure())
    assert settled(memory) == memory
