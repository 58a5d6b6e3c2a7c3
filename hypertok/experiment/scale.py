"""One honest line of a report: what stands behind its figures, and what they do not say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from hypertok.experiment.compare import shared_seeds
from hypertok.experiment.results import Results, RunResult


def scale(results: Results) -> str:
    """One honest line: what stands behind the figures, and what they do not say."""
    definition, run = results.definition, results.runs[0]
    trained = [run.trained for run in results.runs if run.trained is not None]
    model = "an untrained model"
    if trained:
        size = min(one.model_parameters for one in trained) / 1e6
        rows = "" if any(run.trained and run.role == "stock" for run in results.runs) else ", new rows included"
        model = f"a model that multiplies every token with {size:,.3g}M parameters{rows}"
    seeds_told = _seeds_told(results.runs)
    devices = ", ".join(sorted({run.provenance.device for run in results.runs}))
    places = {one.device or "cpu" for one in trained}  # results from before it was told are of CPUs
    if places - {"cpu"}:
        devices = f"trained on {', '.join(sorted(places))}, measured on {devices}"
    if any(arm.trained and not arm.train.bos for arm in definition.arms):
        devices += "; blocks of training without BOS, which measured windows have"
    quality = run.quality
    return (
        f"Scale: {model}, {definition.characters:,} characters of training text per arm, {seeds_told}; measured on "
        f"{quality.characters:,} characters of {len(quality.documents):,} held-out documents; {devices}. Intervals "
        "are 95 %, by document and, where an arm has several seeds, by seed: they say how far other texts of the same "
        "kind would move a figure (of one seed: not what another training would), not what a larger model or longer "
        f"training would give.{_too_narrow(results.runs)}"
    )


def _too_narrow(runs: Sequence[RunResult]) -> str:
    """Simulated with figures of documents that differ by 0.35 bits per character, and of seeds by 0.57 points."""
    most = max(Counter((run.arm, run.line) for run in runs).values())
    if most not in (2, 3):
        return ""
    return " Of two or three seeds they are too narrow: of two, about 85 in 100 hold the truth, of three 91."


def _seeds_told(runs: Sequence[RunResult]) -> str:
    trained = {run.seed for run in runs if run.trained is not None} or {run.seed for run in runs}
    if len(trained) == 1:
        return "one seed, so what another one would give is not known"
    shared = shared_seeds(runs)
    if shared == trained:
        return f"{len(trained)} seeds"
    if not shared:
        return (
            f"{len(trained)} seeds, none of them of every arm: figures of an arm by itself, in plots too, do not "
            "compare, those against another arm are of the seeds that both have"
        )
    told = " and ".join(map(str, sorted(shared)))
    return (
        f"{len(trained)} seeds, not all of every arm: figures of an arm by itself are of seed {told}, which all have, "
        "those against another arm of all seeds that both have"
    )
