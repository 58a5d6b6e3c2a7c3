"""`report_to = "tensorboard"`."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from hypertok.errors import InputError
from hypertok.training.options import TrainOptions


def require_tensorboard(options: TrainOptions) -> None:
    """Refuse `report_to = "tensorboard"` where it is not installed.

    Raises:
        InputError: it is not.
    """
    if options.report_to == "tensorboard" and find_spec("tensorboard") is None:
        raise InputError(
            "report_to tensorboard: not installed; pip install tensorboard (of the extra train), or leave it out"
        )


def tensorboard(args: Any, output: Path, first: bool) -> list[TrainerCallback]:
    """The callback that writes TensorBoard's files beside the output (`OUTPUT.tensorboard`), where they stay.

    transformers would put them into the work folder, which is removed in the end: `args.report_to` loses the name.

    Args:
        first: whether this is the process that writes; none for the others.
    """
    if "tensorboard" not in args.report_to:
        return []
    args.report_to = [name for name in args.report_to if name != "tensorboard"]
    if not first:
        return []
    from torch.utils.tensorboard import SummaryWriter
    from transformers.integrations.integration_utils import TensorBoardCallback

    folder = output.with_name(f"{output.name}.tensorboard")
    return [TensorBoardCallback(SummaryWriter(log_dir=str(folder)))]  # type: ignore[no-untyped-call]
