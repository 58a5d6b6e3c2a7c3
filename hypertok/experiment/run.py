"""`Experiment.run`: every arm, budget and seed, each result written at once, what is there already left as it is."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypertok.artifact import sha256_of
from hypertok.corpus.sources import refuse_inside
from hypertok.errors import ArtifactError, InputError
from hypertok.experiment.arms import Tell, key_of
from hypertok.experiment.definition import Definition
from hypertok.experiment.inputs import Read, read_inputs
from hypertok.experiment.reading import read_definition
from hypertok.experiment.results import PLAN, Plan, Results, read_plan, read_run, run_path, write_result
from hypertok.experiment.runner import Planned, Runner
from hypertok.experiment.settle import settled
from hypertok.experiment.training import deciding, passes
from hypertok.model.extra import require_train
from hypertok.training.options import READERS

if TYPE_CHECKING:
    from hypertok.corpus.sources import Skipped


@dataclass(frozen=True)
class Experiment:
    """An experiment that can be run.

    Attributes:
        definition: what is done.
        output: folder of its results; beside it, in `.work`, lies what can be made again.
    """

    definition: Definition
    output: Path

    @classmethod
    def from_toml(
        cls,
        path: Path | str,
        *,
        inputs: Mapping[str, Path | str | None] | None = None,
        output: Path | str | None = None,
    ) -> Experiment:
        """Read a definition.

        Args:
            inputs: paths of `[inputs]` that take the place of those in the file.
            output: folder of the results; `results/NAME` beside the definition if None.

        Raises:
            InputError: see `read_definition`.
        """
        definition, path = read_definition(path, inputs), Path(path).absolute()
        return cls(definition, Path(output).absolute() if output else path.parent / "results" / definition.name)

    @property
    def work(self) -> Path:
        """Folder of extended models and trained weights, which experiments side by side share."""
        return self.output.with_name(".work")

    def planned(self) -> Iterator[Planned]:
        """The runs: for each seed all arms at equal characters, then at equal compute; an untrained arm comes once."""
        if self.definition.kind == "memory":
            return
        for seed in self.definition.seeds:
            for line, arm in itertools.product(self.definition.lines, self.definition.arms):
                once = line == "characters" and seed == self.definition.seeds[0]
                if once or (arm.trained and (line == "characters" or not arm.stock)):
                    yield Planned(arm, line, seed)  # at equal compute the stock arm reads the same

    def run(
        self,
        *,
        only: Sequence[str] = (),
        tell: Tell | None = None,
        progress: bool = False,
        skipped: Skipped | None = None,
    ) -> Results:
        """Do what is not done yet.

        Args:
            only: names of the runs to do, `*` standing for any letters; empty for all of them. Processes or machines
                that take different ones work side by side.
            tell: told what is being done, in words.
            progress: let training show a bar.
            skipped: told path and reason of each file of texts that is left out, of some more than once.

        Raises:
            InputError: inputs are missing or cannot be used, held-out text is in the training text, results would lie
                in the texts, or a name in `only` is that of no run.
            ArtifactError: the folder holds results of another definition or of other inputs.
        """
        require_train()
        settled_one = replace(self, definition=settled(self.definition))
        return settled_one._run(only, tell or (lambda text: None), progress, skipped)

    def _run(self, only: Sequence[str], tell: Tell, progress: bool, skipped: Skipped | None) -> Results:
        chosen = self._chosen(only)
        self._refuse_others()
        for texts in (self.definition.inputs.corpus, self.definition.inputs.held_out):
            if texts is not None:
                refuse_inside(self.output, texts)
        if self.definition.kind == "memory":
            from hypertok.experiment.memory import run_memory

            run_memory(self.definition, self.output, self.work, tell, skipped)
            self._write_plan()
            return Results.load(self.output)
        tell("reading texts")
        read = read_inputs(self.definition, self.work, skipped)
        keys = {planned.name: self._key(planned, read) for planned in self.planned()}
        done = {name for name, key in keys.items() if self._is_done(name, key)}
        self._write_plan(read)
        left = [planned for planned in chosen if planned.name not in done]
        if left:
            Runner(self.definition, self.output, self.work, read, tell, progress).run(left, keys)
        return Results.load(self.output)

    def _chosen(self, only: Sequence[str]) -> list[Planned]:
        planned = list(self.planned())
        for pattern in only:
            if not any(fnmatchcase(one.name, pattern) for one in planned):
                names = ", ".join(one.name for one in planned) or "none, for it computes memory"
                raise InputError(f"--only {pattern}: no run is named so; those of {self.definition.name} are {names}")
        return [one for one in planned if not only or any(fnmatchcase(one.name, pattern) for pattern in only)]

    def _refuse_others(self) -> None:
        """Results of two definitions do not lie in one folder: the plan of the one would hide those of the other."""
        plan = read_plan(self.output)
        own = self.definition
        if plan is not None and (plan.definition.name, plan.definition.kind) != (own.name, own.kind):
            raise ArtifactError(
                f"{self.output}: holds results of the experiment {plan.definition.name} (kind {plan.definition.kind}); "
                "name another folder with --output, or remove this one"
            )

    def _write_plan(self, read: Read | None = None) -> None:
        folders = (read.folders, read.corpus_folders) if read is not None else ()
        names = iter([one.name for one in self.planned()])
        write_result(self.output / PLAN, Plan.of(self.definition, names, *folders))

    def _key(self, planned: Planned, read: Read) -> str:
        """Of everything that decides the figures of a run."""
        definition, arm, stock = self.definition, planned.arm, self.definition.stock
        measure = definition.measure.model_dump(mode="json", exclude={"device", "by_folder"})
        pairs = definition.inputs.pairs
        texts = {"pairs": sha256_of(pairs)} if pairs is not None and pairs.is_file() else {}
        reads = not arm.stock and arm.init in READERS  # rows of the first seed, for all seeds
        own: dict[str, Any] = {
            "init": None if arm.stock else arm.init,
            "tokenizer": None if arm.stock else arm.tokenizer.model_dump(mode="json"),
            "seed": planned.seed,
        }
        if arm.trained:
            times = passes(stock.train) if planned.line == "compute" and stock else 1
            own |= {
                "train": deciding(arm.train),
                "steps": definition.steps,
                "budget": [
                    definition.characters,
                    planned.line,
                    definition.seeds[0] if planned.line == "compute" or reads else 0,
                    *([times] if times != 1 else []),
                ],
            }
        elif reads:
            own["budget"] = [definition.characters, definition.seeds[0], arm.train.bos, arm.train.dtype]
        return key_of(own, measure, {**read.sha256, **texts})

    def _is_done(self, name: str, key: str) -> bool:
        found = read_run(self.output, name)
        if found is not None and found.key != key:
            raise ArtifactError(
                f"{run_path(self.output, name)}: made with other parameters, inputs or texts than these; name another "
                "folder with --output, or remove this one to measure anew"
            )
        return found is not None
