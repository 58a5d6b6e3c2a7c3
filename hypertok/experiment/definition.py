"""What an experiment is: kind, arms, budgets, how it is trained and measured; every key known, others refused.

The values here are those of `experiments/defaults.toml`, which says what each of them means to a person; a test keeps
the two alike.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from hypertok.measure.options import Card
from hypertok.measure.subject import Dtype
from hypertok.tokenizer.extend import ExtendOptions
from hypertok.training.options import TrainOptions

Kind = Literal["ab", "init", "rows", "memory"]
#: At equal characters of raw text, or at equal compute: tokens x parameters.
Line = Literal["characters", "compute"]
Role = Literal["stock", "control", "ours"]
Part = Literal["drift", "pairs", "copy", "emission", "forms", "memory", "speed", "samples"]
_NAME = re.compile(r"[\w][\w.-]*")
_STRICT = ConfigDict(frozen=True, extra="forbid")


class Inputs(BaseModel):
    """Where things lie; no machine's paths in a definition: they come from the command line or the environment.

    Attributes:
        model: the stock model's folder.
        lexicon: from `hypertok build-lexicon`, over training text alone.
        corpus: training texts.
        held_out: texts that are measured on; none may be in the corpus.
        english, code: texts that tell how far training drifts from what is not Russian.
        pairs: minimal pairs (JSON Lines).
    """

    model_config = _STRICT

    model: Path | None = None
    lexicon: Path | None = None
    corpus: Path | None = None
    held_out: Path | None = None
    english: Path | None = None
    code: Path | None = None
    pairs: Path | None = None


class Arm(BaseModel):
    """One side of the comparison.

    Attributes:
        name: of the arm.
        stock: the stock model, with no new rows.
        untrained: measured as it is, no training.
        init: how its new rows begin; "auto" probes all strategies.
        tokenizer: how units are made; not used for the stock model.
        train: how it is trained.
    """

    model_config = _STRICT

    name: str
    stock: bool = False
    untrained: bool = False
    init: str = "weighted"
    tokenizer: ExtendOptions = ExtendOptions()
    train: TrainOptions = TrainOptions()

    @property
    def role(self) -> Role:
        """What the arm is compared as."""
        return "stock" if self.stock else "control" if self.tokenizer.units == "bpe" else "ours"

    @property
    def trained(self) -> bool:
        """Whether anything of it is trained: a stock model has no rows of its own to train alone."""
        return not self.untrained and not (self.stock and self.train.rows_only)


class Measure(BaseModel):
    """How arms are measured; see `experiments/defaults.toml`."""

    model_config = _STRICT

    parts: tuple[Part, ...] = ("drift", "pairs", "copy", "emission", "forms", "memory", "speed", "samples")
    characters: int = Field(300_000, ge=1)
    document_characters: int = Field(8_000, ge=1)
    context: int = Field(512, ge=2)
    overlap: int = Field(128, ge=1)
    by_folder: bool = False
    dtype: Dtype = "auto"
    device: str = "auto"
    samples: int = Field(32, ge=1)
    new_tokens: int = Field(64, ge=1)
    pairs: int = Field(0, ge=0)
    cards: tuple[Card, ...] = (24.0, 96.0)
    prompts: tuple[str, ...] = (
        "Весной вода в реке поднялась, и",
        "Врач посмотрел на снимок и сказал, что",
        "Чтобы программа работала быстрее, нужно",
    )


class Aims(BaseModel):
    """What is hoped for; it stands beside the figures of the report."""

    model_config = _STRICT

    bpc_ratio: float = 1.02
    compute_bpc_ratio: float = 1.0
    control_bpc_ratio: float = 1.0
    pairs_points: float = 1.0
    copy_share: Annotated[float, Field(alias="copy")] = 0.98


class Published(BaseModel):
    """A model whose memory is computed from its published configuration.

    Attributes:
        name: of the model.
        tokenizer: its stock tokenizer's folder.
        config: content of its config.json.
    """

    model_config = _STRICT

    name: str
    tokenizer: Path
    config: dict[str, Any]

    @model_validator(mode="after")
    def _usable(self) -> Self:
        # A model for images too has it in its text_config, or leaves it to its class (Gemma 3).
        asked = ("model_type",) if "text_config" in self.config else ("model_type", "vocab_size")
        if missing := [key for key in asked if key not in self.config]:
            raise ValueError(f"config of {self.name} lacks {', '.join(missing)}; copy them from its config.json")
        return self


class Memory(BaseModel):
    """The kind `memory`; see `experiments/defaults.toml`."""

    model_config = _STRICT

    tokens: int = Field(60_000, ge=100)
    prefill_tokens: int | tuple[int, ...] = 8_192
    models: tuple[Published, ...] = ()

    @field_validator("prefill_tokens")
    @classmethod
    def _tokens(cls, given: int | tuple[int, ...]) -> int | tuple[int, ...]:
        if min(given if isinstance(given, tuple) else (given,), default=0) < 0:
            raise ValueError("a number of tokens below 0; write one number or a list of them, 0 for no prefill")
        return given

    @property
    def prefills(self) -> tuple[int, ...]:
        """The sizes of `prefill_tokens`, each once, the smallest first; none for 0."""
        given = self.prefill_tokens
        return tuple(sorted({*(given if isinstance(given, tuple) else (given,))} - {0}))


class Definition(BaseModel):
    """An experiment, all overrides applied; see `experiments/defaults.toml`."""

    model_config = _STRICT

    name: str
    title: str = ""
    kind: Kind = "ab"
    seeds: tuple[Annotated[int, Field(ge=0, lt=1 << 32)], ...] = Field((0, 1, 2), min_length=1)
    characters: int = Field(3_000_000, ge=1)
    lines: tuple[Line, ...] = ("characters",)
    steps: tuple[int, ...] = ()
    rows: tuple[int, ...] = ()
    inits: tuple[str, ...] = ()
    inputs: Inputs = Inputs()
    arms: tuple[Arm, ...] = ()
    measure: Measure = Measure()
    aims: Aims = Aims()
    memory: Memory = Memory()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name in (self.name, *(arm.name for arm in self.arms)):
            if not _NAME.fullmatch(name):
                raise ValueError(f"name {name!r} becomes a file; use letters, digits, dots, dashes")
        if not self.arms:
            raise ValueError("no arms; write at least one [arms.NAME]")
        for key, kind in (("rows", "rows"), ("inits", "init")):
            if getattr(self, key) and self.kind != kind:
                raise ValueError(f"{key} says nothing in an experiment of kind {self.kind}; leave it out or set kind")
        for key, kind in (("rows", "rows"), ("inits", "init")):
            given = getattr(self, key)
            if self.kind == kind and not given:
                raise ValueError(f"{key} is empty; an experiment of kind {kind} makes its arms with each of them")
            if len(set(given)) != len(given):
                raise ValueError(f"{key} names one of them twice")
        if any(step < 1 for step in self.steps) or sorted(set(self.steps)) != [*self.steps]:
            raise ValueError("steps begin at 1, and each is greater than the one before it")
        for key in ("seeds", "lines"):
            if len(set(getattr(self, key))) != len(getattr(self, key)):
                raise ValueError(f"{key} names one of them twice")
        if any(arm.train.reading for arm in self.arms):
            raise ValueError("train.reading: arms are measured by what they write; train and measure it by itself")
        if any(arm.name == "stock" and not arm.stock for arm in self.arms):
            raise ValueError("an arm with new rows is called stock; write stock = true, or give it another name")
        stocks = [arm for arm in self.arms if arm.stock]
        if self.kind == "ab" and all(arm.untrained for arm in stocks):
            raise ValueError(
                "an experiment of kind ab compares with a trained stock arm; write [arms.stock] with stock = true"
            )
        if self.kind in ("init", "rows", "memory") and len(stocks) > 1:
            names = ", ".join(arm.name for arm in stocks)
            raise ValueError(f"more than one stock arm in an experiment of kind {self.kind}: {names}; keep one")
        if "compute" in self.lines and not any(arm.trained for arm in stocks):
            raise ValueError('the line "compute" needs a trained stock arm, whose compute the others get')
        if self.lines[:1] != ("characters",):
            raise ValueError('lines begin with "characters"')
        return self

    @property
    def stock(self) -> Arm | None:
        """The arm that all are compared with: the first stock arm that is trained."""
        stocks = [arm for arm in self.arms if arm.stock]
        return next((arm for arm in stocks if not arm.untrained), stocks[0] if stocks else None)

    def arm(self, name: str) -> Arm:
        """The arm of this name."""
        return next(arm for arm in self.arms if arm.name == name)


def expanded(data: Mapping[str, Any]) -> dict[str, Any]:
    """What stands for several arms written out: each arm of `rows` and `inits` once per number of rows or strategy.

    Args:
        data: of a definition whose arms are a list of tables with `name`, `tokenizer` and `init`.
    """
    kind, arms = data.get("kind", "ab"), list(data.get("arms", ()))
    stocks = [arm for arm in arms if arm.get("stock")]
    others = [arm for arm in arms if not arm.get("stock")]
    rows, inits = data.get("rows"), data.get("inits")
    if kind == "rows" and isinstance(rows, list) and rows:
        # Arms of one number of rows side by side: a run broken off compares them.
        arms = [*stocks, *(_with_rows(arm, number) for number in rows for arm in others)]
    if kind == "init" and isinstance(inits, list) and inits:
        arms = [*stocks, *(_with_init(arm, init) for arm in others for init in inits)]
    return {**data, "arms": arms}


def _with_rows(arm: Mapping[str, Any], number: int) -> dict[str, Any]:
    return {**arm, "name": f"{arm['name']}-{number}", "tokenizer": {**arm.get("tokenizer", {}), "rows": number}}


def _with_init(arm: Mapping[str, Any], init: str) -> dict[str, Any]:
    return {**arm, "name": f"{arm['name']}-{init}", "init": init}
