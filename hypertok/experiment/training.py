"""One arm trained: the same characters or the same compute, snapshots on the way, going on where it was stopped.

What is trained lies under the sha256 of what it is made from, so that experiments with an arm in common train it once.
"""

from __future__ import annotations

import gc
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import hypertok
from hypertok.artifact import MANIFEST, Manifest, open_checked, read_manifest
from hypertok.errors import InputError
from hypertok.experiment.arms import Tell, key_of
from hypertok.experiment.definition import Arm
from hypertok.experiment.inputs import WATCHED, Read
from hypertok.experiment.results import Trained
from hypertok.replacing import discard, replacing

if TYPE_CHECKING:
    from hypertok.measure.scoring import Ids
    from hypertok.model.checkpoint import Checkpoint
    from hypertok.model.pair import Pair
    from hypertok.training.options import TrainOptions

#: Folder in `.work` of what is trained.
TRAINED_FOLDERS = "trained"
#: Options of training that decide no figure; `reading` is refused there.
_FREE = {"device", "compile", "log_every", "save_every", "keep", "report_to", "reading"}
#: What configurations call the number of experts of a layer, and how many of them a token is sent to.
_EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")
_MET = ("num_experts_per_tok", "top_k_experts", "moe_topk", "moe_k")
#: Names of their weights; experts that every token meets are called shared ones.
_OF_EXPERTS = re.compile(r"(?:^|\.)experts\.")


def deciding(options: TrainOptions) -> dict[str, Any]:
    """The options of training that decide figures, for keys."""
    watched = options.model_copy(update={"evaluate_every": 0})  # decides nothing either, and stands in all older keys
    # Results are older than these choices; what was trained without them has the key that it had.
    older = {name for name in ("bos", "repeats") if not getattr(options, name)}
    found: dict[str, Any] = watched.model_dump(mode="json", exclude=_FREE | older)
    return found


@dataclass(frozen=True)
class Spent:
    """What reading so many characters costs an arm.

    Attributes:
        characters: of the text.
        tokens: of all passes over it.
        parameters: that every token is multiplied with; see `product_parameters`.
        before: tokens that were read to make the rows.
    """

    characters: int
    tokens: int
    parameters: int
    before: int = 0

    @property
    def compute(self) -> int:
        """Tokens x parameters, all that is read included."""
        return (self.tokens + self.before) * self.parameters


def passes(options: TrainOptions) -> float:
    """How often a token of the text is gone through: in every epoch, and in blocks that repeat."""
    return options.epochs * (1 + options.repeats) if options.repeats else options.epochs


def spent(folder: Path, corpus: Path, characters: int, seed: int, times: float = 1) -> Spent:
    """What a model folder spends on so many passes over the characters that an arm with this seed reads first.

    Raises:
        InputError: see `product_parameters`.
    """
    pair, tokens = _read(folder, corpus, characters, seed)
    return Spent(
        characters, round(len(tokens) * times), product_parameters(pair.checkpoint, strict=True), _read_before(pair)
    )


def seen_in_training(folder: Path, corpus: Path, characters: int, seed: int) -> Ids:
    """How often each id, shape (rows,), is in the text that an arm with this seed is trained on, read once."""
    pair, tokens = _read(folder, corpus, characters, seed)
    return np.bincount(tokens, minlength=pair.checkpoint.stock_rows).astype(np.int64)


def _read(folder: Path, corpus: Path, characters: int, seed: int) -> tuple[Pair, Any]:
    """A model folder opened, and the ids of what an arm with this seed reads first."""
    from hypertok.model.pair import Pair
    from hypertok.training.data import make_blocks, read_texts

    pair = Pair.open(folder)
    return pair, make_blocks(read_texts(corpus, characters=characters, seed=seed), pair, 512).tokens


def _read_before(pair: Pair) -> int:
    """Tokens that were read to make the new rows (init auto and composer)."""
    facts = pair.manifest.facts if pair.manifest else {}
    return int(facts.get("init", {}).get("tokens", 0))


def product_parameters(checkpoint: Checkpoint, *, strict: bool = False) -> int:
    """Parameters that every token is multiplied with.

    Without the input matrix of an untied model (a look-up) and what reads no text, and of experts as many as a token
    meets; all of them where the configuration does not tell.

    Args:
        strict: refuse such a model.

    Raises:
        InputError: strict, and the configuration does not tell how many experts a token meets.
    """
    from hypertok.model.checkpoint import CONFIG, NOT_TEXT

    shapes = {name: entry.shape for name, entry in checkpoint.loaded.items()}
    if not checkpoint.tied:
        del shapes[checkpoint.input.name]
    number, met = (_first(checkpoint.text_config, names) for names in (_EXPERTS, _MET))
    dense = experts = 0
    for name, shape in shapes.items():
        if NOT_TEXT.search(name):
            continue
        if _OF_EXPERTS.search(name) or (number and len(shape) == 3 and shape[0] == number):  # one tensor of all of them
            experts += prod(shape)
        else:
            dense += prod(shape)
    if number and met and met <= number:
        return dense + experts * met // number
    if experts and strict:
        raise InputError(
            f"{checkpoint.folder / CONFIG}: does not tell how many of its experts a token meets ({_EXPERTS[0]}, "
            f"{_MET[0]}), so compute cannot be counted; leave the line compute out"
        )
    return dense + experts


def _first(config: Mapping[str, Any], names: Sequence[str]) -> int | None:
    """The first whole number among these keys."""
    return next((config[name] for name in names if type(config.get(name)) is int), None)


def equal_compute(arm: str, ours: Spent, stock: Spent, available: int) -> int:
    """Characters that an arm may read for what the stock arm spends.

    Raises:
        InputError: there are not so many.
    """
    left = stock.compute - ours.before * ours.parameters
    characters = ours.characters * left // (ours.tokens * ours.parameters)
    if characters < 1:
        raise InputError(f"arms.{arm}: making its rows took more compute than training stock; raise characters")
    if characters > available:
        raise InputError(
            f"arms.{arm}: at equal compute it reads {characters:,} characters and the corpus has {available:,}; lower "
            "characters, give more text, or leave the line compute out"
        )
    return characters


def train_arm(
    arm: Arm,
    model: Path,
    corpus: Path,
    held_out: Path,
    output: Path,
    *,
    characters: int,
    seed: int,
    steps: Sequence[int],
    tell: Tell,
    progress: bool,
) -> Trained:
    """Train an arm into `output`, or go on with it; where it is trained already, only snapshots that lack are made.

    Args:
        steps: after which a snapshot is kept, in the folder `snapshot(output, step)`.
    """
    from hypertok.model.config import TRAINED
    from hypertok.model.pair import Pair
    from hypertok.training.callbacks import LOG
    from hypertok.training.checkpoints import last_checkpoint, step_of
    from hypertok.training.train import train
    from hypertok.training.work_folder import work_of

    options = arm.train.model_copy(update={"characters": characters, "seed": seed})

    def run(target: Path, callbacks: Sequence[Any]) -> Manifest:
        target.parent.mkdir(parents=True, exist_ok=True)
        manifest = train(
            model, corpus, target, options, held_out=held_out, held_out_characters=WATCHED, resume=True,
            progress=progress, callbacks=callbacks,
        ).manifest  # fmt: skip
        gc.collect()  # the loop's parts hold each other, and the model with them
        return manifest

    if (output / MANIFEST).is_file():  # maybe copied from another machine: every file of it is to be there
        manifest = open_checked(output, TRAINED)
    else:
        tell(f"{arm.name}: training on {characters:,} characters")
        manifest = run(output, [_snapshots(output, steps)] if steps else ())
    facts, pair = manifest.facts, Pair.open(model)
    weights = {name for name in manifest.files if name.endswith(".safetensors")}
    missing = [step for step in steps if step <= facts["steps"] and not _has(snapshot(output, step), weights)]
    again = output.with_name(f"{output.name}-again")
    work = work_of(again)
    discard(again)  # what an earlier start left, killed before it came to the end of this
    if missing:  # trained for an experiment without them: its first steps again: on a CPU the same bits
        if (last := last_checkpoint(work)) and step_of(last) >= min(missing):
            discard(work)
        tell(f"{arm.name}: its first {max(missing):,} steps again, for snapshots")
        run(again, [_snapshots(output, missing, stop=True)])
        discard(again)
    discard(work)
    tokens = round(facts["tokens"] * passes(arm.train))
    cost = Spent(facts["characters"], tokens, product_parameters(pair.checkpoint), _read_before(pair))
    return Trained(
        characters=facts["characters"] * arm.train.epochs,
        tokens=tokens,
        steps=facts["steps"],
        parameters=facts["trained"],
        model_parameters=cost.parameters,
        compute=cost.compute,
        seconds=_seconds(output / LOG),
        loss=facts["loss"],
        device=facts["device"],
        versions=manifest.versions,
        peak_memory=facts.get("peak_memory"),
        commit=facts.get("commit"),
        dirty=facts.get("dirty"),
    )


def trained_folder(work: Path, arm: Arm, model: Path, read: Read, *, characters: int, seed: int) -> Path:
    """Where a trained arm lies: the same for all experiments that train this model in this way on this text.

    Args:
        model: its folder before training, as `arm_folder` gives it.
    """
    from hypertok.model.pair import EXTENDED

    made_from = {name: read.sha256[name] for name in ("model", "tokenizer", "corpus")} | {"held_out": read.watched}
    options, extended = deciding(arm.train), None
    if not arm.stock:  # the tokenizer, too: another machine, or older code, may have made another one under this name
        extended = [model.name, read_manifest(model, EXTENDED).files["tokenizer.json"]]
    return work / TRAINED_FOLDERS / key_of(hypertok.__version__, made_from, extended, options, characters, seed)[:16]


def _has(folder: Path, names: Iterable[str]) -> bool:
    return all((folder / name).is_file() for name in names)


def snapshot(output: Path, step: int) -> Path:
    """Where adapter and new rows after a step lie."""
    return output.with_name(f"{output.name}-at-{step}")


def _snapshots(output: Path, steps: Sequence[int], *, stop: bool = False) -> Any:
    """A callback of the loop that keeps what is trained after some steps; they are kept whole or not at all.

    Args:
        stop: end training after the last of them.
    """
    from transformers import TrainerCallback

    from hypertok.model.trained import save_trained

    class Snapshots(TrainerCallback):  # type: ignore[misc, unused-ignore]
        def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
            if state.global_step not in steps:
                return
            with replacing(snapshot(output, state.global_step)) as beside:
                save_trained(model.model, beside)
            if stop and state.global_step == max(steps):
                control.should_training_stop = True

    return Snapshots()


def _seconds(log: Path) -> float:
    """What was read again after a checkpoint is not in the log twice. In older logs each start counts from nothing."""
    told = [float(json.loads(line)["seconds"]) for line in log.read_text(encoding="utf-8").splitlines()]
    return sum(one for one, following in zip(told, [*told[1:], 0.0], strict=False) if following < one)
