"""The model under measurement: a causal language model of transformers, with its coding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from inspect import signature
from pathlib import Path
from typing import Any, Literal

from hypertok.errors import InputError, first_line
from hypertok.measure.coding import Coding, encode_checked, load_coding
from hypertok.measure.device import device_of
from hypertok.model.config import position_rows
from hypertok.model.extra import require_train
from hypertok.tokenizer.kind import EXTEND_MODEL

Dtype = Literal["auto", "float32", "bfloat16", "float16"]


@dataclass(frozen=True)
class Subject:
    """A model with its coding; `folder` is where they came from, None for a live model."""

    model: Any = field(repr=False)
    coding: Coding
    folder: Path | None = None

    @property
    def rows(self) -> int:
        """Rows of the embedding matrix."""
        return int(self.model.get_input_embeddings().weight.shape[0])

    @property
    def positions(self) -> int | None:
        """Tokens that the model can read at all; see `position_rows`."""
        return position_rows(self.model.config)

    @property
    def name(self) -> str:
        """For messages."""
        return str(self.folder or type(self.model).__name__)

    def ids(self, text: str) -> list[int]:
        """Ids of a text, those before every text included.

        Raises:
            InputError: see `encode_checked`.
        """
        return [*self.coding.start, *encode_checked(self.coding.encode, text, self.rows, self.name).tolist()]

    def require_room(self, prompts: Sequence[Sequence[int]], tokens: int, what: str, remedy: str) -> None:
        """See that the model can go on from each of the prompts by so many tokens.

        Raises:
            InputError: it cannot.
        """
        longest = max(map(len, prompts)) + tokens - 1  # the last token is not read again
        require_positions(self.positions, longest, what, remedy)


def load_subject(
    folder: Path | str, *, device: str = "auto", dtype: Dtype = "auto", coding: Coding | None = None
) -> Subject:
    """Load a model folder, extended or any other of transformers, for measuring.

    Args:
        device: "cpu", "cuda", "mps" …; "auto" takes a CUDA GPU where there is one.
        dtype: "auto" computes in the type of the checkpoint.
        coding: read text so, instead of what `load_coding` finds.

    Raises:
        InputError: an extra is not installed, no model there or a damaged one, one without rows for its new units, or
            no such device.
    """
    require_train()
    from hypertok.model.load import load_model
    from hypertok.model.shard import WeightFile, weight_paths

    folder, device = Path(folder), device_of(device)
    for path in weight_paths(folder):
        WeightFile.open(path)  # names a file that is cut off
    coding = coding or load_coding(folder)
    try:
        model = load_model(folder, dtype)
    except ImportError as error:  # of a quantised model, whose package is in no extra
        raise InputError(
            f"{folder}: transformers lacks a package for this model ({first_line(error)}); install it, or take the "
            "model's original checkpoint"
        ) from error
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"{folder}: no model that transformers loads ({first_line(error)}); give a folder with config.json and "
            "model*.safetensors"
        ) from error
    subject = Subject(model.to(device), coding, folder)
    if coding.new_ids and max(coding.new_ids) >= subject.rows:
        raise InputError(
            f"{folder}: the tokenizer's new unit {max(coding.new_ids)} has no row, the model has {subject.rows}; the "
            f"two do not belong together, make the folder again with: {EXTEND_MODEL}"
        )
    if beyond := [one for one in coding.start if not 0 <= one < subject.rows]:
        raise InputError(
            f"{folder}: the id {beyond[0]} before every text has no row, the model has {subject.rows}; correct "
            '"bos_token_id" in config.json, or take the tokenizer that belongs to the model'
        )
    return subject


def without_bars() -> None:
    """Keep transformers from drawing progress bars of its own while it loads."""
    from transformers.utils import logging

    library: Any = logging
    library.disable_progress_bar()


def require_positions(positions: int | None, tokens: int, what: str, remedy: str) -> None:
    """Refuse what is longer than a model's positions before it ends in an IndexError of torch.

    Raises:
        InputError: `what` needs more tokens than there are positions.
    """
    if positions is not None and tokens > positions:
        raise InputError(f"{what} needs {tokens:,} tokens, more than the model's {positions:,} positions; {remedy}")


def last_logits(model: Any) -> dict[str, int]:
    """Arguments for the last position's logits only: those of a whole text would be larger than all else."""
    return {"logits_to_keep": 1} if "logits_to_keep" in signature(model.forward).parameters else {}
