"""What goes on beside the training loop: when it saves and looks at held-out text, the bar, the log."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from transformers import TrainerCallback
from transformers.trainer_callback import ProgressCallback

from hypertok.single_file import write_file
from hypertok.training.data import Blocks

LOG = "log.jsonl"
#: Seconds between checkpoints at most, whatever `save_every` says: on a CPU its steps may be hours.
SAVE_SECONDS = 900.0


class Schedule(TrainerCallback):  # type: ignore[misc, unused-ignore]
    """When the loop logs, saves and evaluates: as it is told now; it logs and evaluates at the end in any case.

    One process saves by the clock, too. Clocks of several would not agree on the step, and they save together.
    """

    def __init__(self, *, evaluates: bool) -> None:
        self._evaluates = evaluates
        self._saved = time.monotonic()

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """A checkpoint brings the steps of the start that it is of."""
        state.compute_steps(args, state.max_steps)
        self._saved = time.monotonic()

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """The clock begins anew."""
        self._saved = time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """While reports are still open: TensorBoard's is closed when the loop ends."""
        if state.global_step >= state.max_steps:
            control.should_log = True
            control.should_evaluate |= self._evaluates
        if args.world_size == 1 and time.monotonic() - self._saved > SAVE_SECONDS:
            control.should_save = True


class Bar(ProgressCallback):  # type: ignore[misc, unused-ignore]
    """A bar with the time left, on standard error, and no more: the library's writes logs where `--json` is printed."""

    def on_log(self, *args: Any, **kwargs: Any) -> None:
        """Lines are in log.jsonl."""


class LogFile(TrainerCallback):  # type: ignore[misc, unused-ignore]
    """Writes one JSON line for each report; lines of steps that are done again are dropped on resuming."""

    def __init__(self, path: Path, blocks: Blocks) -> None:
        self.path = path
        self._blocks = blocks
        self._begun = time.monotonic()
        self._told = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Keep the lines up to the step that the run begins from."""
        self._told = state.global_step
        if not state.is_world_process_zero:
            return
        kept = []
        if state.global_step and self.path.is_file():
            lines = self.path.read_text(encoding="utf-8").splitlines(keepends=True)
            kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= state.global_step]
        if kept:
            self._begun -= json.loads(kept[-1])["seconds"]
        write_file(self.path, "".join(kept).encode())  # whole or not at all: earlier steps stand nowhere else

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        """Add a line: step and of how many, characters read so far (all epochs), seconds of all starts, and what the
        loop tells.

        A line with a loss says of how many steps that is the mean: after a resumption not of all since the line before.
        """
        if not state.is_world_process_zero or not logs:
            return
        read = round(self._blocks.characters * self._blocks.epochs * state.global_step / max(state.max_steps, 1))
        line = {
            "step": state.global_step,
            "of": state.max_steps,
            "characters": read,
            "seconds": round(time.monotonic() - self._begun, 3),
            **logs,
        }
        if "loss" in logs:
            line["steps"], self._told = state.global_step - self._told, state.global_step
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
