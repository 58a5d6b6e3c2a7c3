"""What `measure_model` measures and how."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from hypertok.measure.subject import Dtype

PartName = Literal["memory", "quality", "speed", "emission", "copy", "pairs", "reading"]
#: In the order in which they are measured.
PARTS: tuple[PartName, ...] = get_args(PartName)
#: What is measured where units are only read: the other parts have the model write them.
ONLY_READ: tuple[PartName, ...] = ("memory", "reading")


#: GiB of a card.
Card = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class MeasureOptions(BaseModel):
    """What is measured and how.

    Attributes:
        parts: which measurements; None for all that the model, the texts and `pairs` allow: `reading` for a model whose
            units were trained to be read only, which then stands in the place of all that has it write them.
        context: tokens of a window for quality, reading and minimal pairs, start included.
        overlap: tokens of a window that were scored before; None for a quarter of the context.
        device, dtype: where the model runs and in which type; "auto" is the GPU if any, and the checkpoint's own type,
            or float32 on a device without instructions for it (memory is that of the checkpoint's own type then too).
        prefill_characters: length of the text whose prefill is measured for memory.
        cards: GiB of cards whose longest context is computed.
        samples: passages for emission and for the copy task; four times as many for reading.
        batches: sizes of batch for speed.
        speed_characters: length of the text that is read for speed.
        new_tokens: ids generated per sample for speed and emission.
        pairs: JSON Lines file of minimal pairs.
        seed: for the bootstrap and for sampling.

    Raises:
        pydantic.ValidationError: an unknown name, or a value that does not fit.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    parts: tuple[PartName, ...] | None = None
    context: int = Field(512, ge=2)
    overlap: int | None = Field(None, ge=1)
    device: str = "auto"
    dtype: Dtype = "auto"
    prefill_characters: int = Field(8_000, ge=1)
    cards: tuple[Card, ...] = (24.0,)
    samples: int = Field(32, ge=1)
    batches: tuple[Annotated[int, Field(ge=1)], ...] = Field((1, 8), min_length=1)
    speed_characters: int = Field(2_000, ge=1)
    new_tokens: int = Field(64, ge=1)
    pairs: Path | None = None
    seed: int = Field(0, ge=0, lt=1 << 32)
