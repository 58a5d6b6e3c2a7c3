"""Results of an experiment whose figures are made up, written as runs write them; no model is needed for them."""

from __future__ import annotations

from pathlib import Path

from hypertok.experiment.definition import Arm, Definition
from hypertok.experiment.provenance import Provenance
from hypertok.experiment.results import PLAN, AtStep, Plan, RunResult, Trained, run_path, write_result
from hypertok.measure.bootstrap import ratio
from hypertok.measure.quality import DocumentBits, Quality
from hypertok.tokenizer.extend import ExtendOptions

_ORIGIN = Provenance(made="2026-01-01 00:00", versions={}, device="cpu", commit=None, dirty=None, sha256={})


def report_folder(folder: Path) -> Path:
    """Three arms, each with two seeds."""
    arms = [
        Arm(name="stock", stock=True), Arm(name="control", tokenizer=ExtendOptions(units="bpe")), Arm(name="ours"),
    ]  # fmt: skip
    made = Definition(name="figures", title="Figures for a page", seeds=(0, 1), arms=tuple(arms), steps=(50,))
    names = [f"{arm.name}-characters-s{seed}" for seed in (0, 1) for arm in arms]
    write_result(folder / PLAN, Plan.of(made, iter(names)))
    for number, name in enumerate(names):
        arm, seed = arms[number % 3], number // 3
        bits, dense = {"stock": (1.60, 3.3), "control": (1.66, 4.8), "ours": (1.63, 4.9)}[arm.name]
        quality = _quality(bits + seed / 200, dense)
        result = RunResult(
            name=name, arm=arm.name, role=arm.role, line="characters", seed=seed, key="0" * 64,
            new_rows=0 if arm.stock else 16_384, rows=262_144, quality=quality, interval=ratio(*quality.sums),
            steps=tuple(_at_step(step, dense) for step in (0, 50)),
            trained=Trained(
                characters=3_000_000, tokens=round(3e6 / dense), steps=300, parameters=10_000_000,
                model_parameters=270_000_000, compute=round(2.7e8 * 3e6 / dense), seconds=900, loss=4.0,
            ),
            provenance=_ORIGIN,
        )  # fmt: skip
        write_result(run_path(folder, name), result)
    return folder


def _at_step(step: int, dense: float) -> AtStep:
    return AtStep(step=step, characters=step * 9_000, quality=_quality(3 - step / 60, dense))


def _quality(bits: float, dense: float) -> Quality:
    documents = [
        DocumentBits(bits * size * (1 + size % 7 / 100), size, round(size / dense)) for size in range(4000, 4020)
    ]
    return Quality.of(documents, 512, 128)
