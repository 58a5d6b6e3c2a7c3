"""Results as they lie on disk: one JSON file per run, written whole at once, and one that says what was planned."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from hypertok.errors import ArtifactError
from hypertok.experiment.definition import Definition, Inputs, Line, Published, Role
from hypertok.experiment.memory_results import MemoryResult
from hypertok.experiment.provenance import Provenance
from hypertok.measure.bootstrap import Interval
from hypertok.measure.copy_task import Copied
from hypertok.measure.emission import Emission
from hypertok.measure.form_groups import Forms
from hypertok.measure.memory import LongestContext, PredictedMemory
from hypertok.measure.minimal_pairs import PairAccuracy
from hypertok.measure.quality import Quality
from hypertok.measure.speed import Speed
from hypertok.single_file import write_file

PLAN = "experiment.json"
MEMORY = "memory.json"
RUNS = "runs"
_STRICT = ConfigDict(frozen=True, extra="forbid")
Model = TypeVar("Model", bound=BaseModel)


class Trained(BaseModel):
    """What training read and took.

    Attributes:
        characters, tokens: of raw text and as the arm reads it.
        steps: of the optimizer.
        parameters: trained ones.
        model_parameters: those that take part in a product for each token.
        compute: tokens x model_parameters.
        seconds: as the log tells it, of all starts where a run was resumed.
        loss: mean per token, in nats; does not compare across tokenizers.
        device: the GPU's name, or "cpu"; it may be another than that of the figures. Older results do not tell.
        versions: of hypertok and the libraries that trained; they may be others, too. Older results do not tell.
        peak_memory: bytes, of its last start: on a GPU of the allocator, on a CPU of the whole process, where the
            system tells. Older results do not tell.
        commit, dirty: of the code that trained, at its last start; None outside of git. Older results do not tell.
        folders: characters of one pass by top folder; of an experiment that tells (`by_folder`), not of older results.
    """

    model_config = _STRICT

    characters: int
    tokens: int
    steps: int
    parameters: int
    model_parameters: int
    compute: int
    seconds: float
    loss: float
    device: str | None = None
    versions: dict[str, str] | None = None
    peak_memory: int | None = None
    commit: str | None = None
    dirty: bool | None = None
    folders: dict[str, int] | None = None


class AtStep(BaseModel):
    """Quality on the held-out texts after a number of steps; 0 is before training."""

    model_config = _STRICT

    step: int
    characters: int
    quality: Quality


class Sample(BaseModel):
    """A prompt and what the model goes on with, sampled."""

    model_config = _STRICT

    prompt: str
    text: str


class RunResult(BaseModel):
    """One arm, one budget, one seed.

    Attributes:
        key: sha256 of everything that decides the figures.
        new_rows, rows: of the vocabulary.
        trained: None for an arm that is measured as it is.
        steps: quality on the way.
        quality, interval: bits per character of the held-out texts.
        drift: quality on texts that are not Russian.
        forms: bits of new units by how often they were in training; older results have none.
        speed: in characters, by size of batch; older results have none.
        skipped: parts and steps that were not measured, and why.
    """

    model_config = _STRICT

    schema_version: int = 1
    name: str
    arm: str
    role: Role
    line: Line
    seed: int
    key: str
    new_rows: int
    rows: int
    trained: Trained | None
    steps: tuple[AtStep, ...] = ()
    quality: Quality
    interval: Interval
    drift: dict[str, Quality] = {}
    pairs: PairAccuracy | None = None
    copied: Copied | None = None
    emission: Emission | None = None
    forms: Forms | None = None
    predicted: PredictedMemory | None = None
    longest: tuple[LongestContext, ...] = ()
    speed: tuple[Speed, ...] = ()
    samples: tuple[Sample, ...] = ()
    skipped: dict[str, str] = {}
    provenance: Provenance


class Plan(BaseModel):
    """What was to be run: the definition without places, and the names of the runs.

    Attributes:
        folders: the top folder of each held-out piece, in their order; of an experiment that tells (`by_folder`).
        corpus_folders: characters of training text by top folder.
    """

    model_config = _STRICT

    schema_version: int = 1
    definition: Definition
    runs: tuple[str, ...]
    folders: tuple[str, ...] = ()
    corpus_folders: dict[str, int] = {}

    @classmethod
    def of(
        cls,
        definition: Definition,
        runs: Iterator[str],
        folders: tuple[str, ...] = (),
        corpus_folders: Mapping[str, int] | None = None,
    ) -> Self:
        """A plan that names no place of this machine but these folders, if it is to tell of them."""
        models = tuple(
            Published(name=one.name, tokenizer=Path(one.tokenizer.name), config=one.config)
            for one in definition.memory.models
        )
        memory = definition.memory.model_copy(update={"models": models})
        told: dict[str, Any] = {}
        if definition.measure.by_folder:
            told = {"folders": folders, "corpus_folders": dict(corpus_folders or {})}
        definition = definition.model_copy(update={"inputs": Inputs(), "memory": memory})
        return cls(definition=definition, runs=tuple(runs), **told)


@dataclass(frozen=True)
class Results:
    """All results of a folder.

    Attributes:
        folder: where they lie.
        runs: those that are done, in the order of the plan.
        missing: names of those that are not.
        memory: of the kind `memory`.
        plan: what was to be run.
    """

    folder: Path
    plan: Plan
    runs: tuple[RunResult, ...]
    missing: tuple[str, ...]
    memory: MemoryResult | None

    @property
    def definition(self) -> Definition:
        """Without its inputs."""
        return self.plan.definition

    @classmethod
    def load(cls, folder: Path | str) -> Results:
        """Read what `hypertok experiment run` wrote.

        Raises:
            ArtifactError: nothing there, or damaged.
        """
        folder = Path(folder)
        plan = read_plan(folder)
        if plan is None:
            raise ArtifactError(
                f"{folder}: no results here ({PLAN} is missing); make some with: hypertok experiment run DEFINITION"
            )
        found = {name: _read(run_path(folder, name), RunResult) for name in plan.runs}
        done = tuple(run for run in found.values() if run is not None)
        missing = tuple(name for name, run in found.items() if run is None)
        return cls(folder, plan, done, missing, _read(folder / MEMORY, MemoryResult))


def read_plan(folder: Path) -> Plan | None:
    """What was to be run there; None where nothing was.

    Raises:
        ArtifactError: damaged.
    """
    return _read(folder / PLAN, Plan)


def run_path(folder: Path, name: str) -> Path:
    """Where the result of a run lies."""
    return folder / RUNS / f"{name}.json"


def read_run(folder: Path, name: str) -> RunResult | None:
    """The result of a run that is done; None for one that is not.

    Raises:
        ArtifactError: damaged.
    """
    return _read(run_path(folder, name), RunResult)


def read_memory(folder: Path) -> MemoryResult | None:
    """The same for the kind `memory`."""
    return _read(folder / MEMORY, MemoryResult)


def write_result(path: Path, result: BaseModel) -> None:
    """Write a result beside its place and rename it; one line per field, so that git shows what changed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fields = result.model_dump(mode="json", by_alias=True)
    lines = (f"{json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}" for name, value in fields.items())
    write_file(path, ("{\n" + ",\n".join(lines) + "\n}\n").encode("utf-8", "backslashreplace"))


def _read(path: Path, kind: type[Model]) -> Model | None:
    if not path.is_file():
        return None
    try:
        return kind.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ArtifactError(
            f"{path}: no result of this version of hypertok ({where}: {first['msg']}); remove it and run again"
        ) from None
