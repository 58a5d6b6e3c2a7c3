"""The runs of one start of an experiment: models, training, figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import hypertok
from hypertok.artifact import MANIFEST, sha256_of
from hypertok.experiment.arms import Tell, arm_folder
from hypertok.experiment.corpus import folders_read
from hypertok.experiment.definition import Arm, Definition, Line
from hypertok.experiment.inputs import Read, needed
from hypertok.experiment.kept import Kept, forget
from hypertok.experiment.measuring import Texts, live_subject, measure_arm, quality_of
from hypertok.experiment.provenance import provenance
from hypertok.experiment.results import AtStep, RunResult, Trained, run_path, write_result
from hypertok.experiment.training import (
    TRAINED_FOLDERS,
    equal_compute,
    passes,
    seen_in_training,
    snapshot,
    spent,
    train_arm,
    trained_folder,
)
from hypertok.measure.device import LIGHTER, device_of
from hypertok.measure.parts import Figures
from hypertok.measure.quality import Quality
from hypertok.model.full_gpu import full_gpu_told
from hypertok.replacing import alone


@dataclass(frozen=True)
class Planned:
    """One run: an arm, a budget, a seed."""

    arm: Arm
    line: Line
    seed: int

    @property
    def name(self) -> str:
        """Of its result."""
        return f"{self.arm.name}-{self.line}-s{self.seed}"


class Runner:
    """What the runs of one start share."""

    def __init__(
        self, definition: Definition, output: Path, work: Path, read: Read, tell: Tell, progress: bool
    ) -> None:
        self.definition, self.output, self.work, self.read = definition, output, work, read
        self.tell, self.progress = tell, progress
        self.model, self.corpus, self.held_out = needed(self.definition, "model", "corpus", "held_out")
        self.folders_read = cache(partial(folders_read, self.corpus))  # the same for all arms of a seed
        self.texts = Texts(read.texts, read.drift, self.definition.inputs.pairs)
        self.budgets: dict[tuple[str, Line], int] = {}

    def run(self, left: Sequence[Planned], keys: Mapping[str, str]) -> None:
        """All models first, so that what cannot be made or afforded is known before hours of training."""
        folders = {}
        for arm in {planned.arm.name: planned.arm for planned in left}.values():
            folders[arm.name] = arm_folder(
                arm, self.model, self.definition.inputs.lexicon, self.work, self.read.sha256, self.tell,
                corpus=self.corpus, characters=self.definition.characters, seed=self.definition.seeds[0],
            )  # fmt: skip
        self._budget({one.arm.name: folders[one.arm.name] for one in left if one.line == "compute"})
        if any(one.arm.trained for one in left):
            self._tell_older()
        for number, planned in enumerate(left, 1):
            self.tell(f"run {number} of {len(left)}: {planned.name}")
            result = self._one(planned, folders[planned.arm.name], keys[planned.name])
            write_result(run_path(self.output, planned.name), result)
            forget(self.work, result.key)

    def _tell_older(self) -> None:
        """What an older hypertok has half trained, which is not gone on with."""
        from hypertok.training.work_folder import half_trained

        for path, made_by in half_trained(self.work / TRAINED_FOLDERS):
            self.tell(
                f"{path}: half trained by hypertok {made_by}; this is {hypertok.__version__}, which trains the run "
                "that it belongs to anew. Go on with that version, or remove the folder"
            )

    def _budget(self, folders: Mapping[str, Path]) -> None:
        """Characters of these arms at equal compute, counted on what the first seed reads; the same for all seeds."""
        if self.definition.stock is None or not folders:
            return
        seed, characters = self.definition.seeds[0], self.definition.characters
        self.tell("counting compute")
        theirs = spent(self.model, self.corpus, characters, seed, passes(self.definition.stock.train))
        for name, folder in folders.items():
            times, found = passes(self.definition.arm(name).train), characters
            for _ in range(2):  # what comes later in the corpus may have shorter tokens: 1.6 % were met
                ours = spent(folder, self.corpus, found, seed, times)
                found = equal_compute(name, ours, theirs, self.read.corpus_characters)
            self.budgets[name, "compute"] = found

    def _one(self, planned: Planned, folder: Path, key: str) -> RunResult:
        definition, arm, measure = self.definition, planned.arm, self.definition.measure
        trained, output = None, None
        if arm.trained:
            characters = self.budgets.get((arm.name, planned.line), definition.characters)
            output = trained_folder(self.work, arm, folder, self.read, characters=characters, seed=planned.seed)
            with alone(output, self.tell):
                trained = train_arm(
                    arm, folder, self.corpus, self.held_out, output, characters=characters, seed=planned.seed,
                    steps=definition.steps, tell=self.tell, progress=self.progress,
                )  # fmt: skip
        once = trained.characters // arm.train.epochs if trained else 0
        seen = partial(seen_in_training, folder, self.corpus, once, planned.seed) if trained else None
        hashes = dict(self.read.sha256)
        if not arm.stock:
            hashes["extended"] = sha256_of(folder / MANIFEST)
        made = provenance(device_of(measure.device), hashes)
        kept = Kept.of(self.work, key, trained, made, self.tell)
        if trained and measure.by_folder:
            trained = trained.model_copy(update={"folders": self.folders_read(once, planned.seed)})
        on_the_way: Figures = {}
        if trained and output and definition.steps:
            on_the_way = kept.part("steps on the way", partial(self._on_the_way, folder, output, trained))
        subject = live_subject(folder, output, measure)
        figures = measure_arm(subject, self.texts, measure, seed=planned.seed, kept=kept, seen=seen)
        if trained:
            figures["skipped"] |= {
                f"step {step}": f"its training ends after {trained.steps:,} steps"
                for step in definition.steps
                if step > trained.steps
            }
        return RunResult(
            name=planned.name,
            arm=arm.name,
            role=arm.role,
            line=planned.line,
            seed=planned.seed,
            key=key,
            trained=trained,
            provenance=made,
            **on_the_way,
            **figures,
        )

    def _on_the_way(self, folder: Path, output: Path, trained: Trained) -> Figures:
        """Quality before training and after steps of it."""
        found = []
        for step in (0, *(one for one in self.definition.steps if one <= trained.steps)):
            quality = self._quality_at(folder, snapshot(output, step) if step else None, step)
            characters = round(trained.characters * step / trained.steps)
            found.append(AtStep(step=step, characters=characters, quality=quality))
        return {"steps": tuple(found)}

    def _quality_at(self, folder: Path, trained: Path | None, step: int) -> Quality:
        self.tell(f"measuring after {step} steps")
        measure = self.definition.measure
        with full_gpu_told(LIGHTER):
            return quality_of(live_subject(folder, trained, measure), self.read.texts, measure)
