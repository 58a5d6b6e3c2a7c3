"""What decides a training run besides the model and the texts: every parameter, documented, unknown ones refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from hypertok.errors import InputError, said_of

Dtype = Literal["auto", "float32", "bfloat16"]
#: Name of the composer among the ways to begin new rows, and all of them that read texts (`training/probe.py`).
COMPOSER = "composer"
READERS = ("auto", COMPOSER)


def is_named(layer: str, target: str) -> bool:
    """Whether a layer has the name of a LoRA target, which may be its last part; as PEFT compares them."""
    return layer == target or layer.endswith(f".{target}")


class LoraOptions(BaseModel):
    """The adapter (LoRA: Hu et al., 2021).

    Attributes:
        r: its rank.
        alpha: its scale is alpha / r; None for 2 r.
        dora: train magnitude and direction apart (DoRA: Liu et al., 2024): slower, in fp32.
        dropout: on the adapter's input.
        targets: names of the layers that get one; empty for all linear layers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    r: int = Field(32, ge=1)
    alpha: float | None = Field(None, gt=0)
    dora: bool = False
    dropout: float = Field(0.0, ge=0, lt=1)
    targets: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read "r=32,alpha=64,dora,targets=q_proj+v_proj".

        Raises:
            InputError: not of this form.
        """
        fields: dict[str, object] = {}
        for part in filter(None, (piece.strip() for piece in text.split(","))):
            name, equals, value = part.partition("=")
            if not equals and name in set(cls.model_fields) - {"dora"}:  # True would pass for the number 1
                raise InputError(f"lora {text}: {name} has no value; write it like r=32,alpha=64 or r=16,dora")
            fields[name] = (value.split("+") if name == "targets" else value) if equals else True
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            raise InputError(f"lora {text}: {_told(error, cls)}; write it like r=32,alpha=64 or r=16,dora") from None


class TrainOptions(BaseModel):
    """A training run.

    Attributes:
        rows: how new rows are trained: "flat", each for itself; "factored", as concept + inflection + residual;
            "composed", by common maps of what they are made of as well (`model/shared_rows.py`). Written flat.
        rows_only: train the new rows and no adapter.
        reading: train the new rows to be read only: that what follows a text in units is predicted as after the same
            text in stock tokens. The model is frozen (it needs `rows_only`), and what it writes has no units in it.
        lora: the adapter; not used with `rows_only`.
        rows_lr: highest learning rate of the new rows.
        lora_lr: highest learning rate of the adapter.
        weight_decay: of the adapter; the rows have none, it would pull them towards zero whether they are used or not.
        clip: largest norm of the gradient, all parameters together (gradient clipping); 0 for no limit.
        warmup: share of the steps in which learning rates rise; they fall by `schedule` afterwards.
        schedule: how learning rates fall.
        context: tokens of a block; a position of one predicts the next token.
        bos: begin every block with what the tokenizer puts before a text (BOS mostly). Without it Gemma-3-270M needs
            16 % more bits per character, and rows learn to make up for that. With a tokenizer that puts nothing there
            (Qwen, DeepSeek: transformers 5 leaves `add_bos_token` out beside a tokenizer.json) blocks begin with
            nothing, while texts are measured behind the model's bos or eos id.
        batch: blocks that one device takes at once.
        accumulate: such batches before the weights change (gradient accumulation).
        epochs: how often the text is read.
        repeats: share of the blocks that come once more, in a block that holds the beginning of one twice, so that the
            model does not unlearn to copy (`training/repeating.py`): so much more time.
        characters: how many characters of raw text are read, from files in an order that hangs on `seed` alone, so
            that every arm of a comparison reads the same ones; None for all.
        seed: of the order of files (large ones in parts; the documents in each come as they stand there) and of blocks,
            of the adapter's first values and dropout.
        dtype: data type of the frozen model and of products; "auto" is bfloat16, or float32 on a device that has no
            instructions for it. New rows, adapter and optimizer are fp32 always.
        device: "auto" takes a CUDA GPU where there is one.
        recompute: do not keep activations for the backward pass but make them again (gradient checkpointing): less
            memory, a third more time.
        compile: let torch.compile make one program of a layer: fewer and larger kernels, for GPUs, where a small model
            spends its time on starting them, and for CPUs with matrix units (AMX), where a step takes two thirds of the
            time. Takes up to a minute at the start, and roundings differ.
        loss_chunk: rows (ids) whose logits are held at once; 0 for as many as suit the device.
        cut_head: make the logits of a step over those ids that stand in the run's texts, trained on or held out, the
            new ids, and a fresh sample that stands for all others (`training/loss.py`). For CPUs, where a head of 262k
            rows costs more than the rest of a small model. Held-out text is judged with the whole head in any case.
        save_every: optimizer steps between checkpoints; one process writes one at least every 15 minutes, too.
        keep: checkpoints that are kept.
        log_every: optimizer steps between lines of log.jsonl.
        evaluate_every: optimizer steps between evaluations on the held-out text; 0 for the end alone.
        report_to: "tensorboard" writes its files beside the output, too; "none" for log.jsonl alone.

    Raises:
        pydantic.ValidationError: an unknown name, or a value that does not fit (`read_options` tells it as InputError).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: Literal["flat", "factored", "composed"] = "composed"
    rows_only: bool = False
    reading: bool = False
    lora: LoraOptions = LoraOptions()
    rows_lr: float = Field(1e-3, gt=0)
    lora_lr: float = Field(5e-4, gt=0)
    weight_decay: float = Field(0.0, ge=0)
    clip: float = Field(1.0, ge=0)
    warmup: float = Field(0.03, ge=0, lt=1)
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    context: int = Field(512, ge=2)
    bos: bool = True
    batch: int = Field(8, ge=1)
    accumulate: int = Field(1, ge=1)
    epochs: int = Field(1, ge=1)
    repeats: float = Field(0.0, ge=0, le=1)
    characters: int | None = Field(None, ge=1)
    seed: int = Field(0, ge=0, lt=1 << 32)
    dtype: Dtype = "auto"
    device: Literal["auto", "cpu"] = "auto"
    recompute: bool = False
    compile: bool = False
    loss_chunk: int = Field(0, ge=0)
    cut_head: bool = False
    save_every: int = Field(200, ge=1)
    keep: int = Field(2, ge=2)
    log_every: int = Field(10, ge=1)
    evaluate_every: int = Field(0, ge=0)
    report_to: Literal["none", "tensorboard"] = "none"

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.rows_only and self.lora != LoraOptions():
            given = "reading (--reading)" if self.reading else "rows_only (--rows-only)"
            raise ValueError(f"{given} trains no adapter; leave lora (--lora) out")
        if self.reading and not self.rows_only:
            raise ValueError("reading leaves the model as it is; set rows_only, too (--reading sets both)")
        if self.reading and self.repeats:
            raise ValueError("reading has blocks that repeat by itself; leave repeats out")
        return self


def read_options(given: Mapping[str, object]) -> TrainOptions:
    """Options from names and values, which may be strings.

    Raises:
        InputError: an unknown name or a value that does not fit.
    """
    try:
        return TrainOptions.model_validate(dict(given))
    except ValidationError as error:
        raise InputError(f"options: {_told(error, TrainOptions)}") from None


def _told(error: ValidationError, kind: type[BaseModel]) -> str:
    """What pydantic found, with names and values; all names that `kind` has where one is unknown."""
    told = []
    for one in error.errors():
        name, said = ".".join(map(str, one["loc"])), said_of(one)
        if one["type"] == "extra_forbidden":
            told.append(f"{name}: no such name; known are {', '.join(kind.model_fields)}")
        else:
            told.append(f"{name}={one['input']}: {said}" if name else said)
    return "; ".join(told)
