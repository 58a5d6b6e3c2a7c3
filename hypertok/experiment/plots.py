"""Plots as SVG text: drawn with matplotlib (the extra `plot`), the same bytes for the same figures."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from itertools import cycle
from typing import Any

from hypertok.errors import InputError, install
from hypertok.experiment.compare import Side, pareto
from hypertok.experiment.labels import Box, moved_apart

#: Told apart without colour sight (Okabe and Ito).
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")


def bars(every: Sequence[Side], stock: Side | None) -> str:
    """Bits per character of each side with its interval, and the stock arm as a line."""

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        for place, (side, colour) in enumerate(zip(every, _colours(every), strict=True)):
            found = side.bpc
            error = [[found.value - found.low], [found.high - found.value]]
            axes.errorbar(found.value, place, xerr=error, fmt=_marker(side), color=colour, capsize=4)
            axes.plot(side.by_seed, [place + 0.22] * len(side.by_seed), "|", color=colour, alpha=0.7)
        if stock is not None:
            axes.axvline(stock.bpc.value, linestyle="--", color="grey", linewidth=1)
        axes.set_yticks(range(len(every)), [side.label for side in every])
        axes.set_ylim(len(every) - 0.5, -0.5)
        axes.set_xlabel("bits per character of held-out text (less is better)")
        axes.grid(axis="x", alpha=0.3)

    return _svg("bars", draw, height=1.2 + 0.42 * len(every))


def curves(every: Sequence[Side]) -> str:
    """Bits per character after some steps and at the end, against characters read."""

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        for side, colour in zip(every, _colours(every), strict=True):
            run = side.shown[0]
            points = [(at.characters, at.quality.bits_per_character) for at in run.steps]
            if run.trained is not None:
                points.append((run.trained.characters, run.quality.bits_per_character))
            axes.plot(*zip(*points, strict=True), color=colour, marker=_marker(side), label=side.label)
        axes.set_xlabel("characters read")
        axes.xaxis.set_major_formatter(lambda value, place: f"{value:,.0f}")
        axes.set_ylabel("bits per character")
        axes.grid(alpha=0.3)
        axes.legend()

    return _svg("curves", draw)


def front(every: Sequence[Side], stock: Side | None) -> str:
    """Compression against quality, the Pareto front drawn through; intervals of the difference to stock, if any."""

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        points = [(side.characters_per_token, side.bpc.value) for side in every]
        best = [points[number] for number in pareto(points)]
        axes.plot(*zip(*best, strict=True), color="grey", linestyle="--", linewidth=1, zorder=1, label="Pareto front")
        for side, colour, (compression, bpc) in zip(every, _colours(every), points, strict=True):
            # Of the ratio: how hard the texts are moves all arms together, far more than they lie apart.
            found = side.bpc if stock is None else side.as_shown.against(stock.as_shown)
            if found is not None:
                scale = bpc / found.value
                error = [[scale * (found.value - found.low)], [scale * (found.high - found.value)]]
                axes.errorbar(compression, bpc, yerr=error, color=colour, capsize=3, zorder=2)
            axes.plot(compression, bpc, _marker(side), color=colour, zorder=3)
        axes.margins(x=0.25, y=0.1)
        axes.set_xlabel("characters per token (more is better)")
        axes.set_ylabel("bits per character (less is better)")
        axes.grid(alpha=0.3)
        axes.legend(loc="lower right")  # the front rises to the right
        _name_points(axes, points, every)

    return _svg("front", draw)


def caches(models: Sequence[str], arms: Sequence[str], gib: Sequence[Sequence[float]]) -> str:
    """Key-value cache in GiB by model, one bar for each arm; shape of `gib`: (arms, models)."""

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        height = 0.8 / len(arms)
        for number, (arm, values) in enumerate(zip(arms, gib, strict=True)):
            places = [place - 0.4 + height * (number + 0.5) for place in range(len(models))]
            axes.barh(places, values, height=height * 0.92, color=_COLOURS[number % len(_COLOURS)], label=arm)
        axes.set_yticks(range(len(models)), models)
        axes.invert_yaxis()
        axes.set_xlabel("key-value cache of the same text, GiB")
        axes.grid(axis="x", alpha=0.3)
        axes.legend()

    return _svg("caches", draw, height=1.4 + 0.25 * len(models) * max(2, len(arms)))


def _name_points(axes: Any, points: Sequence[tuple[float, float]], every: Sequence[Side]) -> None:
    """A label beside each point; one that had to move to be readable has a line to its point."""
    axes.figure.draw_without_rendering()  # settles where points are
    size, pixels = 8.0, axes.figure.dpi / 72
    found = [(x / pixels, y / pixels) for x, y in axes.transData.transform(points)]
    lefts = [side.role == "control" for side in every]  # an arm and its control lie close together
    wanted = []
    for side, left, (x, y) in zip(every, lefts, found, strict=True):
        width = 0.62 * size * len(side.label)  # a little more than sans-serif letters take
        wanted.append(Box(x - 7 - width if left else x + 7, y + (5 if left else -10), width, 1.2 * size))
    for side, left, colour, point, (_, y), was, box in zip(
        every, lefts, _colours(every), points, found, wanted, moved_apart(wanted), strict=True
    ):
        line = {"arrowstyle": "-", "color": colour, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 2, "relpos": (left, 0.5)}
        axes.annotate(
            side.label, point, textcoords="offset points", fontsize=size, color=colour,
            xytext=(-7 if left else 7, box.bottom - y), ha="right" if left else "left",
            arrowprops=line if was.bottom - box.bottom > size / 2 else None,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5}, zorder=4,
        )  # fmt: skip


def _colours(every: Sequence[Side]) -> list[str]:
    """A colour for each side, the same one in every plot of them: grey for the stock arm, the others in turn."""
    others = cycle(_COLOURS)
    return ["#555555" if side.role == "stock" else next(others) for side in every]


def _marker(side: Side) -> str:
    return {"stock": "s", "control": "D", "ours": "o"}[side.role]


def _svg(name: str, draw: Callable[[Any], None], height: float = 4.5) -> str:
    """What is drawn, as an element to put into a page.

    Raises:
        InputError: matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError:
        raise InputError(
            f"the report needs matplotlib; install it with: {install('plot')}, then: "
            "hypertok experiment report RESULTS_FOLDER"
        ) from None
    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": name, "font.family": "sans-serif", "font.size": 10}
    with mpl.rc_context(settings):
        figure = Figure(figsize=(8.5, height), layout="constrained")
        draw(figure)
        buffer = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(buffer, format="svg", metadata=nothing)
    text = buffer.getvalue()
    return text[text.index("<svg") :].strip()
