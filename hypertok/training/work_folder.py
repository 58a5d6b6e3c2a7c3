"""The work folder of a run, `OUTPUT.work`: what the run is made of, so that nothing else is resumed in its place.

A folder that is not known as such is never taken for one: at the end of a run it would be removed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import hypertok
from hypertok.artifact import MANIFEST, Manifest, is_litter, read_manifest, refuse_foreign
from hypertok.errors import ArtifactError
from hypertok.model.config import TRAINED
from hypertok.model.pair import Pair
from hypertok.replacing import make_like
from hypertok.single_file import write_file
from hypertok.training.callbacks import LOG
from hypertok.training.checkpoints import last_checkpoint, step_of
from hypertok.training.data import Blocks
from hypertok.training.options import TrainOptions

_RUN = "run.json"
#: Options that may change between a run and its resumption: they touch no weight.
_FREE = ("save_every", "keep", "log_every", "evaluate_every", "report_to")
#: Options that runs of older code had no choice of.
_BEFORE = {"repeats": 0.0}
#: What to say of inputs that are others than those of the unfinished run.
_OTHER = (
    "are not those it began with (one was added, changed or removed: train on a copy of notes that you go on writing)"
)
_CHANGED = {
    "corpus": f"another corpus: the texts of --data {_OTHER}",
    "held_out": f"another held-out text: the texts of --held-out {_OTHER}",
    "tokens": "tokens cut otherwise: the texts are the same, so files of the tokenizer were changed, or its library",
}


def work_of(output: Path) -> Path:
    """Where the work folder of an output lies: beside it."""
    return output.with_name(f"{output.name}.work")


def _foreign(path: Path) -> bool:
    return not (path.name.startswith(".") or is_litter(path.name))


def refuse_output(output: Path, work: Path, *, resume: bool) -> None:
    """See that nothing else stands where a run is to write.

    Raises:
        ArtifactError: something does, or a run that is not to be resumed, unfinished or done.
    """
    refuse_foreign(output, TRAINED)
    begun = (work / _RUN).is_file()
    if not begun and work.exists() and (not work.is_dir() or any(map(_foreign, work.iterdir()))):
        raise ArtifactError(
            f"{work}: exists and is no unfinished run (it has no {_RUN}); it would be removed in the end, "
            "so name another output or move it away"
        )
    if resume:
        return
    if not begun and output.exists():  # found out now, not after days, and not replaced by accident
        raise ArtifactError(
            f"{output}: is trained already; resume (--resume) leaves it as it is if it is this run; else name another "
            "output, or remove the folder"
        )
    if begun:
        raise ArtifactError(
            f"{work}: an unfinished run; go on with it by resume (--resume), or remove the folder to begin anew"
        )


def identity(pair: Pair, blocks: Blocks, held: Blocks | None, options: TrainOptions, ranks: int) -> dict[str, Any]:
    """What the weights of a run hang on."""
    # Tokens, too: files of a stock tokenizer that are no part of the model's sha256 may have changed, or the library.
    tokens = hashlib.sha256(np.ascontiguousarray(blocks.tokens).data).hexdigest()
    parents = {"model": pair.sha256, "corpus": blocks.sha256, "tokens": tokens}
    if pair.files_sha256 is not None:
        parents["model_files"] = pair.files_sha256
    if held is not None:
        parents["held_out"] = held.sha256
    return {
        "options": options.model_dump(mode="json", exclude=set(_FREE)),
        "parents": parents,
        "processes": ranks,
        "versions": {"hypertok": hypertok.__version__}
        | {name: version(name) for name in ("torch", "transformers", "peft", "accelerate")},
    }


def finished(output: Path, run: Mapping[str, Any]) -> Manifest | None:
    """The manifest of `output` if it is what this run comes to, whatever versions made it: what is done stays."""
    if not (output / MANIFEST).is_file():
        return None
    manifest = read_manifest(output, TRAINED)
    options = {key: value for key, value in manifest.recipe.get("options", {}).items() if key not in _FREE}
    made = _as_now(options, manifest.parents, run) | {"processes": manifest.facts.get("processes")}
    return manifest if made == {name: value for name, value in run.items() if name != "versions"} else None


def refuse_other_run(work: Path, run: Mapping[str, Any]) -> None:
    """See that the work folder, if there is one, is of this run.

    Raises:
        ArtifactError: it is of another run.
    """
    path = work / _RUN
    if not path.is_file():
        return
    other = json.loads(path.read_text(encoding="utf-8"))
    other |= _as_now(other["options"], other["parents"], run)
    for key, value in run.items():
        if other.get(key) == value:
            continue
        now = value if isinstance(value, dict) else {key: value}
        before = (other.get(key) or {}) if isinstance(value, dict) else {key: other.get(key)}
        # What was left out on one of the two sides stands on the other alone: a text held out, say.
        name = next(name for name in {**now, **before} if now.get(name) != before.get(name))
        if key == "parents" and name in _CHANGED and name in now and name in before:
            raise ArtifactError(
                f"{work}: an unfinished run with {_CHANGED[name]}; put them back, or remove the folder to begin anew"
            )
        raise ArtifactError(
            f"{work}: an unfinished run with {name} {before.get(name)!r}, now it is {now.get(name)!r}; resume it as it "
            "was, or remove the folder to begin anew"
        )


def _as_now(options: dict[str, Any], parents: dict[str, str], run: Mapping[str, Any]) -> dict[str, Any]:
    """Options and parents as this code tells them.

    Older code told neither tokens nor the model's files, which are taken to be those of `run`; and a model made again
    with the same files, by another hypertok, is the same one.
    """
    now: dict[str, str] = run["parents"]
    same = "model_files" in now and parents.get("model_files") == now["model_files"]
    told = {role: sha for role, sha in now.items() if role in ("tokens", "model_files")} | parents
    return {"options": _BEFORE | options, "parents": told | ({"model": now["model"]} if same else {})}


def begin(work: Path, output: Path, run: Mapping[str, Any]) -> Path | None:
    """Make the work folder of an output; where it is there already, gives the checkpoint to go on from.

    Called last before the first step: a start that fails while it loads leaves no unfinished run.
    """
    path = work / _RUN
    if path.is_file():
        return last_checkpoint(work, clean=True)
    make_like(output, work)
    write_file(path, (json.dumps(run, ensure_ascii=False, indent=1) + "\n").encode())
    return None


def told_beginning(work: Path, steps: int, characters: int, checkpoint: Path | None, *, resume: bool) -> str:
    """One line for a person before the first step: how much there is to do, from where, and where to look."""
    start = f"{steps:,} steps"
    if checkpoint is not None:
        start = f"going on from step {step_of(checkpoint):,} of {steps:,}"
    elif resume:
        start = f"no checkpoint to go on from, so it begins anew: {start}"
    return f"{start}, {characters:,} characters; checkpoints and {LOG} in {work}"


def half_trained(folder: Path) -> Iterator[tuple[Path, str]]:
    """Work folders in `folder` of runs that another version of hypertok began, and which: they are not gone on with."""
    for path in sorted(folder.glob(f"*/{_RUN}")):
        made_by = json.loads(path.read_text(encoding="utf-8"))["versions"]["hypertok"]
        if made_by != hypertok.__version__:
            yield path.parent, made_by


def written(work: Path) -> int:
    """Bytes that lie in a work folder."""
    return sum(path.stat().st_size for path in work.rglob("*") if path.is_file())


def mean_loss(log: Path, checkpoint: Path | None, steps: int, total: float) -> float:
    """Mean loss of all steps of a run: of this start, and of those before it as far as the log has them.

    Args:
        checkpoint: that this start went on from.
        steps: at the end.
        total: sum over the steps of this start.
    """
    begun = step_of(checkpoint) if checkpoint else 0
    known, before = steps - begun, 0
    for line in map(json.loads, log.read_text(encoding="utf-8").splitlines() if begun else ()):
        if "loss" in line and line["step"] <= begun:
            told = line.get("steps", line["step"] - before)  # lines of older runs do not tell of how many steps
            total, known, before = total + line["loss"] * told, known + told, line["step"]
    return float(total / max(1, known))
