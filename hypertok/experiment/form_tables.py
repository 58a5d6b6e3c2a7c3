"""What a report says about new units by how often they were trained on: bits of them, and of what follows them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from hypertok.experiment.compare import Side, common
from hypertok.experiment.page import Block, Heading, Paragraph, Table
from hypertok.experiment.results import RunResult
from hypertok.experiment.wording import FEW, interval, percent
from hypertok.measure.bootstrap import paired_ratio, ratio
from hypertok.measure.form_groups import NAMES, FormGroup, FormName
from hypertok.measure.scoring import Bits
from hypertok.tokenizer.extend import ExtendOptions

_HEAD = (
    "units", "arm", "different", "share of text", "bits per character", "against first", "bits per character after",
    "against first",
)  # fmt: skip


def form_blocks(every: Sequence[Side]) -> Iterator[Block]:
    """A table of groups and arms, as far as they were measured."""
    measured = [side for side in every if _groups(side.shown, "stock")]
    if not measured:
        return
    rare = max(run.forms.rare for side in measured for run in side.runs if run.forms is not None)
    yield Heading("New units by how often they were trained on")
    yield Table(_HEAD, [_row(name, side, _twin(side, measured)) for name in NAMES for side in measured])
    yield Paragraph(
        f"Unseen units are not in the arm's training text, rare ones up to {rare} times, frequent ones more often; "
        "stock: all other tokens. Bits per character of the units themselves tell how well they are predicted; those "
        "of the token after one, how well it is understood. Arms with the same tokenizer have the same tokens in a "
        "group and compare directly: the columns «against first» set each beside the first of them, paired by document "
        "and seed. Arms with other tokenizers do not compare here, as their groups hold other text. Figures of fewer "
        f"than {FEW} documents stand without intervals."
    )


def _row(name: FormName, side: Side, twin: Side | None) -> list[str]:
    groups = _groups(side.shown, name)
    every = sum(one.total.characters for other in NAMES for one in _groups(side.shown, other))
    share = sum(one.total.characters for one in groups) / every if every else 0.0
    different = sum(one.units for one in groups) / len(groups)
    cells = [name, side.label, f"{different:,.0f}", f"{share:.2%}"]
    both = (
        []
        if twin is None
        else [pair for pair in zip(*common(side, twin), strict=True) if all(run.forms for run in pair)]
    )
    pairs = [_groups([pair[number] for pair in both], name) for number in (0, 1)]
    for after in (False, True):
        own = _pooled(groups, after)
        ours, theirs = (_pooled(found, after) for found in pairs)
        cells.append(interval(ratio(*own), _documents(own)) if own is not None else "")
        if ours is not None and theirs is not None:
            cells.append(percent(paired_ratio(ours, theirs), _documents(ours)))
        else:
            cells.append("")
    return cells


def _twin(side: Side, every: Sequence[Side]) -> Side | None:
    """The first arm with the same tokens in its groups: the same tokenizer, trained on the same text."""
    first = next(one for one in every if _grouped_by(one) == _grouped_by(side))
    return None if first is side else first


def _grouped_by(side: Side) -> tuple[ExtendOptions, int]:
    """At equal compute the text of arms with one tokenizer can differ, too: making rows may have read some."""
    trained = side.shown[0].trained
    return side.arm.tokenizer, trained.characters // side.arm.train.epochs if trained else 0


def _groups(runs: Sequence[RunResult], name: FormName) -> list[FormGroup]:
    return [run.forms.group(name) for run in runs if run.forms is not None]


def _pooled(groups: Sequence[FormGroup], after: bool) -> tuple[Bits, Bits] | None:
    """(bits, characters), shapes (seeds, documents), of seeds, whose groups differ; None without characters."""
    if not groups:
        return None
    bits, characters = zip(*(one.next_sums if after else one.sums for one in groups), strict=True)
    found = np.stack(bits), np.stack(characters)
    return found if found[1].shape[1] > 1 and found[1].sum() > 0 else None


def _documents(pooled: tuple[Bits, Bits]) -> int:
    """How many documents have characters in a group, in any seed."""
    return int(pooled[1].any(axis=0).sum())
