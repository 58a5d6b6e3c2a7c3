"""The work folder of a run, `OUTPUT.work`: what the run is made of, so that nothing else is resumed in its place.

A folder that is not known as such is never taken for one: at the end of a run it would be removed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
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
from hypertok.training.checkpoints import last_checkpoint, step_of
from hypertok.training.data import Blocks
from hypertok.training.options import TrainOptions

_RUN = "run.json"
#: Options that may change between a run and its resumption: they touch no weight.
_FREE = ("save_every", "keep", "log_every", "evaluate_every", "report_to")


def work_of(output: Path) -> Path:
    """Where the work folder of an output lies: beside it."""
    return output.with_name(f"{output.name}.work")


def refuse_output(output: Path, work: Path, *, resume: bool) -> None:
    """See that nothing else stands where a run is to write.

    Raises:
        ArtifactError: something does, or an unfinished run and it is not to be resumed.
    """
    refuse_foreign(output, TRAINED)
    if not work.exists():
        return
    if not (work / _RUN).is_file():
        if not work.is_dir() or any(not (p.name.startswith(".") or is_litter(p.name)) for p in work.iterdir()):
            raise ArtifactError(
                f"{work}: exists and is no unfinished run (it has no {_RUN}); it would be removed in the end, "
                "so name another output or move it away"
            )
        return  # empty: a start that failed before its first step
    if not resume:
        raise ArtifactError(
            f"{work}: an unfinished run; go on with it by resume (--resume), or remove the folder to begin anew"
        )


def identity(pair: Pair, blocks: Blocks, held: Blocks | None, options: TrainOptions, ranks: int) -> dict[str, Any]:
    """What the weights of a run hang on."""
    # Tokens, too: files of a stock tokenizer that are no part of the model's sha256 may have changed, or the library.
    tokens = hashlib.sha256(np.ascontiguousarray(blocks.tokens).data).hexdigest()
    parents = {"model": pair.sha256, "corpus": blocks.sha256, "tokens": tokens}
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
    made = {
        "options": options,
        "parents": _with_tokens(manifest.parents, run),
        "processes": manifest.facts.get("processes"),
    }
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
    other["parents"] = _with_tokens(other["parents"], run)
    for key, value in run.items():
        if other.get(key) == value:
            continue
        now = value if isinstance(value, dict) else {key: value}
        before = (other.get(key) or {}) if isinstance(value, dict) else {key: other.get(key)}
        # What was left out on one of the two sides stands on the other alone: a text held out, say.
        name = next(name for name in {**now, **before} if now.get(name) != before.get(name))
        raise ArtifactError(
            f"{work}: an unfinished run with {name} {before.get(name)!r}, now it is {now.get(name)!r}; resume it as it "
            "was, or remove the folder to begin anew"
        )


def _with_tokens(parents: dict[str, str], run: Mapping[str, Any]) -> dict[str, str]:
    """Parents that older code told: it did not tell tokens, which are taken to be those of `run`."""
    return {**{role: sha for role, sha in run["parents"].items() if role == "tokens"}, **parents}


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
