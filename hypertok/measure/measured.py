"""What was measured on one model, as one typed result."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

import hypertok
from hypertok.measure.bootstrap import Interval
from hypertok.measure.coding import Coding
from hypertok.measure.copy_task import Copied
from hypertok.measure.emission import Emission
from hypertok.measure.memory import LongestContext, MeasuredMemory, PredictedMemory
from hypertok.measure.minimal_pairs import PairAccuracy
from hypertok.measure.options import MeasureOptions
from hypertok.measure.passages import sha256_of_texts
from hypertok.measure.quality import Quality
from hypertok.measure.reading import Reading
from hypertok.measure.speed import Speed


class Measured(BaseModel):
    """What was measured on one model; a part that was not measured is None, and `skipped` says why.

    Attributes:
        model: its folder.
        architecture, dtype, device: of the model as it ran; empty when it was never loaded.
        rows, new_units: of its vocabulary.
        options: how it was measured.
        versions: of hypertok, torch and transformers.
        documents, characters, texts_sha256: the texts; the hash covers them and their borders.
        seen: how many of the documents the model was trained on, as far as its folder tells; None where it does not.
        quality: with the bits of every document, which paired intervals need.
        bits_per_character: its interval by document; None for a single document.
        predicted, longest: memory by the configuration.
        prefill: memory of a fresh process that reads a text.
        skipped: reasons by part; "predicted memory" where memory is measured alone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    architecture: str = ""
    dtype: str = ""
    device: str = ""
    rows: int | None = None
    new_units: int = 0
    options: MeasureOptions
    versions: dict[str, str]
    documents: int
    characters: int
    texts_sha256: str
    seen: int | None = None
    quality: Quality | None = None
    bits_per_character: Interval | None = None
    predicted: PredictedMemory | None = None
    longest: tuple[LongestContext, ...] = ()
    prefill: MeasuredMemory | None = None
    speed: tuple[Speed, ...] = ()
    emission: Emission | None = None
    copied: Copied | None = None
    pairs: PairAccuracy | None = None
    reading: Reading | None = None
    skipped: dict[str, str] = {}

    def to_json(self) -> str:
        """For a file: sorted keys, so that the same figures are the same bytes."""
        return json.dumps(self.model_dump(mode="json"), ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def result_of(
    name: str, coding: Coding, texts: Sequence[str], options: MeasureOptions, found: dict[str, Any]
) -> Measured:
    """The result under a name (the model's folder), of the fields that were found, by name, and what all have."""
    import torch
    import transformers

    return Measured(
        model=name,
        new_units=len(coding.new_ids),
        options=options,
        versions={
            "hypertok": hypertok.__version__,
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        },
        documents=len(texts),
        characters=sum(map(len, texts)),
        texts_sha256=sha256_of_texts(texts),
        **found,
    )
