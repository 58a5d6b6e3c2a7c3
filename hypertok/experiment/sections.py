"""What a report says about trained arms: quality with aims beside it, abilities, samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from hypertok.experiment import plots
from hypertok.experiment.compare import Side, control_of, sides, stock_of
from hypertok.experiment.cost_sections import cost_blocks
from hypertok.experiment.definition import Aims
from hypertok.experiment.folders import folder_blocks
from hypertok.experiment.form_tables import form_blocks
from hypertok.experiment.page import Block, Heading, Paragraph, Plot, Table
from hypertok.experiment.results import Results, RunResult
from hypertok.experiment.wording import (
    at_least,
    by_seed,
    difference,
    interval,
    mean,
    percent,
    points_verdict,
    ratio_verdict,
    share,
)
from hypertok.measure.bootstrap import ratio


def run_blocks(results: Results) -> Iterator[Block]:
    """All of it, as far as there are results."""
    every = sides(results)
    stock = stock_of(results.definition, every)
    yield from _quality(results, every, stock)
    if any(side.shown[0].steps for side in every):
        yield from _steps(every)
    if len({side.characters_per_token for side in every}) > 1:
        yield Heading("Compression and quality")
        of_what = "" if stock is None else " of the difference to stock"
        told = f"Characters per token against bits per character, 95 % intervals{of_what}."
        yield Plot("front", told, plots.front(every, stock))
    yield from folder_blocks(results.plan, every, stock)
    yield from _controls(results.definition.aims, every)
    yield from _abilities(results.definition.aims, every, stock)
    yield from _phenomena(every)
    yield from form_blocks(every)
    yield from _drift(every, stock)
    yield from cost_blocks(every, stock)
    yield from _samples(every)
    yield from _skipped(results.runs)


def _quality(results: Results, every: Sequence[Side], stock: Side | None) -> Iterator[Block]:
    yield Heading("Bits per character of held-out text")
    aims, rows, of_seeds = results.definition.aims, list[list[str]](), list[str]()
    for side in every:
        other = stock if side is not stock else None
        against, above = (side.against(other), side.above(other)) if other is not None else (None, None)
        aim = aims.bpc_ratio if side.line == "characters" else aims.compute_bpc_ratio
        strict = side.line == "compute"
        of_seeds.append(_of_seeds(side, other))
        trained = side.shown[0].trained
        rows.append(
            [
                side.label,
                f"{side.shown[0].new_rows:,}",
                _characters(side) if trained else "untrained",
                f"{side.characters_per_token:.3f}",
                interval(side.bpc),
                by_seed(side.runs),
                f"{percent(against)}{of_seeds[-1]}",
                difference(above),
                ratio_verdict(against, aim, strict) if side.role == "ours" else "",
            ]
        )
    head = (
        "arm",
        "new rows",
        "characters read",
        "characters per token",
        "bits per character",
        "by seed",
        "against stock",
        "above stock",
        "aim",
    )
    yield Table(head, rows)
    named = " Differences with seeds behind them are of these, figures of an arm by itself of those that all arms have."
    yield Paragraph(
        "Less is better. Each arm is compared with the stock arm on the same documents and seeds (paired): +2 % is two "
        "percent more bits, and what is above stock is in bits per character. An arm that was not trained has one seed "
        "and is compared with the mean of stock's. At equal compute (tokens × parameters) an arm with fewer tokens "
        "reads more characters and is compared with the stock arm at its own budget. Perplexity per token does not "
        f"compare across tokenizers and is left out.{named if any(of_seeds) else ''}"
    )
    yield Plot("bars", "Bits per character, 95 % intervals; short strokes: single seeds.", plots.bars(every, stock))


def _of_seeds(side: Side, other: Side | None) -> str:
    """The seeds of a difference, where the figures beside it are of others."""
    seeds = side.other_seeds(other) if other is not None else []
    return f" (seeds {', '.join(map(str, seeds))})" if seeds else ""


def _characters(side: Side) -> str:
    """What was read; of several budgets (at equal compute older code counted otherwise) the least and the most."""
    read = sorted({run.trained.characters for run in side.runs if run.trained is not None})
    return f"{read[0]:,}" if len(read) == 1 else f"{read[0]:,} to {read[-1]:,}"


def _steps(every: Sequence[Side]) -> Iterator[Block]:
    yield Heading("On the way")
    with_steps = [side for side in every if side.shown[0].steps]
    steps = sorted({at.step for side in with_steps for at in side.shown[0].steps})
    rows = []
    for side in with_steps:
        cells = [side.label]
        for step in steps:
            found = [at.quality.bits_per_character for run in side.shown for at in run.steps if at.step == step]
            cells.append(mean(found))
        rows.append([*cells, mean(side.by_seed)])
    yield Table(("bits per character", *(f"step {step}" for step in steps), "end"), rows)
    yield Plot("curves", "Bits per character against characters read, first seed.", plots.curves(with_steps))


def _controls(aims: Aims, every: Sequence[Side]) -> Iterator[Block]:
    rows = []
    for side in every:
        control = control_of(side, every)
        against = side.against(control) if control is not None else None
        if control is not None and against is not None:
            aim = ratio_verdict(against, aims.control_bpc_ratio, strict=True)
            denser = side.characters_per_token / control.characters_per_token - 1
            rows.append([side.label, _control_label(side, control), percent(against), f"{denser:+.2%}", aim])
    if rows:
        yield Heading("Against continued BPE with the same rows")
        yield Table(("arm", "control", "bits per character", "characters per token", "aim"), rows)


def _control_label(side: Side, control: Side) -> str:
    """Its label; for an arm of symbol text the reader is told that more than the units is another."""
    same = side.arm.tokenizer.text == control.arm.tokenizer.text
    return control.label if same else f"{control.label} (reads text as written)"


def _abilities(aims: Aims, every: Sequence[Side], stock: Side | None) -> Iterator[Block]:
    rows = []
    for side in every:
        copied = [run.copied.exact_characters for run in side.shown if run.copied is not None]
        emitted = [run.emission for run in side.shown if run.emission is not None]
        points = side.points_against(stock) if stock is not None and side is not stock else None
        wrote = share([one.generated_character_share for one in emitted])
        real = share([one.real_character_share for one in emitted])
        ours = side.role == "ours"
        rows.append(
            [
                side.label,
                _right_pairs(side),
                f"{points.value:+.2f} [{points.low:+.2f}, {points.high:+.2f}]" if points else "",
                points_verdict(points, -aims.pairs_points) if points and ours else "",
                _copied(side),
                at_least(sum(copied) / len(copied), aims.copy_share) if copied and ours else "",
                f"{wrote} / {real}" if emitted else "",
            ]
        )
    if any(any(row[1:]) for row in rows):
        yield Heading("Inflection, copying, use of the new units")
        head = (
            "arm",
            "minimal pairs",
            "points against stock",
            "aim",
            "copied exactly",
            "aim",
            "in new units: written / real",
        )
        yield Table(head, rows)
        yield Paragraph(
            "Minimal pairs: share in which the grammatical sentence is likelier (in either spelling: if what the model "
            "gives to the units in stock tokens is added), interval by pair and seed. Copying: "
            f"share of characters before the first mistake{_passages(every)}. New units: their share of the characters "
            f"that the model writes, beside their share of real text{_sampled(every)}."
        )


def _right_pairs(side: Side) -> str:
    """Share of the pairs, behind it that by the sum of two spellings, which older results lack."""
    found = [run.pairs for run in side.shown if run.pairs is not None]
    either = [one for pairs in found if (one := pairs.either_accuracy) is not None]
    told = share([pairs.accuracy for pairs in found])
    return f"{told} ({share(either)} in either spelling)" if either and len(either) == len(found) else told


def _copied(side: Side) -> str:
    """Share of the characters, with its interval where passages are told."""
    found = [run.copied for run in side.shown if run.copied is not None]
    told = share([one.exact_characters for one in found])
    if not found or not all(len(one.by_passage) > 1 for one in found):
        return told
    right, whole = np.moveaxis(np.array([one.by_passage for one in found]), -1, 0)  # seeds repeat the same passages
    one = ratio(right, whole)
    return f"{told} [{one.low:.1%}, {one.high:.1%}]"


def _passages(every: Sequence[Side]) -> str:
    """How many were to be copied, and what that means for a share without an interval."""
    found = [run.copied for side in every for run in side.shown if run.copied is not None]
    if not found:
        return ""
    few = f", in {found[0].passages} passages"
    if all(one.by_passage for one in found):
        return f"{few}, interval by passage"
    return f"{few}: a difference of ten points can be chance"  # of 31 committed results, at the very least ±5 to ±15


def _sampled(every: Sequence[Side]) -> str:
    """Of how many passages what a model writes is told."""
    found = [run.emission.passages for side in every for run in side.shown if run.emission is not None]
    return f", in {found[0]} passages, sampled once: a difference of four points can be chance" if found else ""


def _phenomena(every: Sequence[Side]) -> Iterator[Block]:
    measured = [(side.label, side.shown[0].pairs) for side in every]
    names = sorted({kind.name for _, pairs in measured if pairs for kind in pairs.phenomena})
    if len(names) < 2:
        return
    yield Heading("Minimal pairs by phenomenon, first seed", 3)
    rows = []
    for name in names:
        found = [{one.name: one for one in pairs.phenomena}.get(name) if pairs else None for _, pairs in measured]
        count = next(one.pairs for one in found if one)
        rows.append([f"{name} ({count:,})", *(f"{one.accuracy:.1%}" if one else "" for one in found)])
    yield Table(("phenomenon", *(label for label, _ in measured)), rows)


def _drift(every: Sequence[Side], stock: Side | None) -> Iterator[Block]:
    names = sorted({name for side in every for run in side.shown for name in run.drift})
    if not names:
        return
    yield Heading("Drift: bits per character of what is not Russian")
    rows = []
    for side in every:
        cells = [side.label]
        for name in names:
            found = [run.drift[name].bits_per_character for run in side.shown if name in run.drift]
            change = side.drift_against(stock, name) if stock is not None and side is not stock else None
            cells.append(mean(found) + (f" ({percent(change)})" if change is not None else ""))
        rows.append(cells)
    yield Table(("arm", *names), rows)
    yield Paragraph(
        "In brackets against stock, paired by document, on all seeds that both have; figures are of the seeds that all "
        "arms have. Texts that experiments/prepare.py made are the help topics (english) and the standard library "
        "(code) of the Python that ran it."
    )


def _samples(every: Sequence[Side]) -> Iterator[Block]:
    prompts = [sample.prompt for sample in every[0].shown[0].samples]
    if not prompts:
        return
    yield Heading("Written by the models, first seed")
    for number, prompt in enumerate(prompts):
        yield Heading(f"«{prompt} …»", 3)
        rows = [
            [side.label, side.shown[0].samples[number].text.strip()]
            for side in every
            if len(side.shown[0].samples) > number
        ]
        yield Table(("arm", "goes on"), rows)


def _skipped(runs: Sequence[RunResult]) -> Iterator[Block]:
    rows = [[run.name, part, reason] for run in runs for part, reason in run.skipped.items()]
    if rows:
        yield Heading("Not measured", 3)
        yield Table(("run", "part", "reason"), rows)
