"""What a report says about the cost of arms: memory, speed, training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hypertok.experiment.compare import Side
from hypertok.experiment.page import Block, Heading, Paragraph, Table
from hypertok.experiment.wording import ON_A_CARD

_MIB, _GIB = 1 << 20, 1 << 30


def cost_blocks(every: Sequence[Side], stock: Side | None) -> Iterator[Block]:
    """All of it, as far as it was measured."""
    yield from _memory(every)
    yield from _speed(every, stock)
    yield from _trained(every)


def _memory(every: Sequence[Side]) -> Iterator[Block]:
    measured = [(side, side.shown[0].predicted, side.shown[0].longest) for side in every]
    found = [(side, one, longest) for side, one, longest in measured if one is not None]
    if not found:
        return
    yield Heading("Memory, predicted from the configuration")
    cards = [one.card_gib for one in found[0][2]]
    head = (
        "arm",
        "weights, MiB",
        "new rows, MiB",
        "KV cache: each 1,000 characters, MiB",
        "its sliding windows, full, MiB",
        *(f"characters in {card:g} GiB" for card in cards),
    )
    rows = [
        [
            side.label,
            f"{one.weights / _MIB:,.0f}",
            f"{one.new_rows / _MIB:,.1f}",
            f"{one.cache_per_1000_characters / _MIB:,.3f}",
            f"{one.cache_of_windows / _MIB:,.1f}",
            *(f"{fits.characters:,} ({fits.limit})" for fits in longest),
        ]
        for side, one, longest in found
    ]
    yield Table(head, rows)
    yield Paragraph(
        "Each 1,000 characters: what the cache grows by once layers with a sliding window hold all that they keep; "
        f"until then it grows faster, by what these hold in the end. {ON_A_CARD}"
    )


def _speed(every: Sequence[Side], stock: Side | None) -> Iterator[Block]:
    measured = [(side, {one.batch: one for one in side.shown[0].speed}) for side in every]
    batches = sorted({batch for _, found in measured for batch in found})
    if not batches:
        return
    yield Heading("Speed, characters per second, first seed")
    reference = {} if stock is None else {one.batch: one for one in stock.shown[0].speed}
    rows = []
    for side, found in measured:
        cells = [side.label]
        beside = stock is not None and side.device == stock.device
        for batch in batches:
            one, other = found.get(batch), reference.get(batch) if beside else None
            for name in ("prefill_characters_per_second", "generated_characters_per_second"):
                value = getattr(one, name) if one else None
                times = f" ({value / getattr(other, name):.2f})" if value and other and other is not one else ""
                cells.append(f"{value:,.0f}{times}" if value else "")
        rows.append(cells)
    head = (f"{what}, batch {batch}" for batch in batches for what in ("reads", "writes"))
    yield Table(("arm", *head), rows)
    read = next(one.prefill_characters for _, found in measured for one in found.values())
    older = any(one.counted_tokens is None for _, found in measured for one in found.values())
    counted = "one sampled text, which by chance has a third more or less" if older else "all that was written"
    yield Paragraph(
        f"Reading {read:,} characters at once, and writing after short prompts; medians of three, in brackets as "
        "multiples of the stock arm's, where that was measured on such a device, too. Characters written are those of "
        f"{counted}. Each arm was measured in one pass, at another time than the others, and what else the machine did "
        "then shows in its figures: trust no ratio here, but those of models that took turns (benchmarks/speed.md; "
        "benchmarks/speed.py measures your own so)."
    )


def _trained(every: Sequence[Side]) -> Iterator[Block]:
    trained = [(side.label, one) for side in every if (one := side.shown[0].trained) is not None]
    if not trained:
        return
    yield Heading("What training read and took, first seed")
    head = ["arm", "characters", "tokens", "steps", "trained parameters", "compute, 10¹² token-parameters", "minutes"]
    rows = [
        [
            label, f"{one.characters:,}", f"{one.tokens:,}", f"{one.steps:,}", f"{one.parameters:,}",
            f"{one.compute / 1e12:,.2f}", f"{one.seconds / 60:,.1f}",
        ]
        for label, one in trained
    ]  # fmt: skip
    peaks = [one.peak_memory for _, one in trained]
    if told := any(peaks):
        head.append("peak memory, GiB")
        rows = [[*row, f"{peak / _GIB:,.2f}" if peak else ""] for row, peak in zip(rows, peaks, strict=True)]
    yield Table(head, rows)
    yield Paragraph(
        "Minutes are of the machine that trained an arm, with as many threads as it was given and pauses of the "
        "process counted in: they compare where that was the same."
    )
    if told:
        yield Paragraph(
            "Peak memory is what was given out on the GPU at the most; on a CPU that of the whole process, libraries "
            "included, which compares with that of other CPUs alone."
        )
