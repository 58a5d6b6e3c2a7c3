"""The report of a results folder: `report.md` with its plots as SVG files, and `report.html`, one page by itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hypertok.errors import ArtifactError
from hypertok.experiment import plots
from hypertok.experiment.memory_results import STOCK, MemoryResult
from hypertok.experiment.page import Block, Heading, Paragraph, Plot, Table, markdown, page
from hypertok.experiment.provenance import Provenance
from hypertok.experiment.results import Results, Trained
from hypertok.experiment.scale import scale
from hypertok.experiment.sections import run_blocks
from hypertok.experiment.wording import ON_A_CARD
from hypertok.single_file import write_file

_GIB, _MIB = 1 << 30, 1 << 20


@dataclass(frozen=True)
class Report:
    """Where the report lies."""

    markdown: Path
    page: Path


def write_report(results: Results | Path | str) -> Report:
    """Write the report of what is done so far into the results folder.

    Raises:
        ArtifactError: no results there yet.
        InputError: matplotlib is not installed.
    """
    if not isinstance(results, Results):
        results = Results.load(results)
    if not results.runs and results.memory is None:
        raise ArtifactError(
            f"{results.folder}: none of its {len(results.missing)} runs is done; go on with: hypertok experiment run "
            "DEFINITION"
        )
    blocks = list(_blocks(results))
    for block in blocks:
        if isinstance(block, Plot):
            write_file(results.folder / f"{block.name}.svg", (block.svg + "\n").encode())
    report = Report(results.folder / "report.md", results.folder / "report.html")
    write_file(report.markdown, markdown(blocks).encode())
    write_file(report.page, page(_title(results), blocks).encode())
    return report


def _title(results: Results) -> str:
    return results.definition.title or f"Experiment {results.definition.name}"


def _blocks(results: Results) -> Iterator[Block]:
    yield Heading(_title(results), 1)
    if results.missing:
        total = len(results.missing) + len(results.runs)
        names = ", ".join(results.missing[:6]) + (" …" if len(results.missing) > 6 else "")
        yield Paragraph(
            f"Not finished: {len(results.missing)} of {total} runs are still to be done ({names}).", strong=True
        )
    if results.runs:
        yield Paragraph(scale(results), strong=True)
        yield from run_blocks(results)
    if results.memory is not None:
        yield from _memory(results.memory)
    origins = [run.provenance for run in results.runs]
    yield from _origin(
        [*origins, results.memory.provenance] if results.memory is not None else origins,
        [(run.trained, run.provenance) for run in results.runs if run.trained is not None],
    )


def _memory(memory: MemoryResult) -> Iterator[Block]:
    models = list(dict.fromkeys(row.model for row in memory.rows))
    stock = {row.model: row for row in memory.rows if row.arm == STOCK}
    first = memory.rows[0]
    computed = "Published models are computed from their configurations, in the data type these name"
    if len(models) == 1:
        computed = "What is not measured is computed from the configuration, in the data type it names"
    yield Paragraph(
        f"Scale: a text of about {stock[first.model].tokens:,} stock tokens; numbers of tokens come from the "
        f"beginnings of held-out documents, {memory.read:,} characters. {computed}, for one sequence; the rows of new "
        "units are counted in the weights.",
        strong=True,
    )
    yield Heading("Key-value cache of the same text")
    cards = [fits.card_gib for fits in first.longest]
    head = (
        "model", "tokenizer", "characters", "tokens", "KV cache, GiB", "of stock", "weights, GiB", "new rows, MiB",
        *(f"characters in {card:g} GiB" for card in cards),
    )  # fmt: skip
    rows = []
    for row in memory.rows:
        share = row.cache / stock[row.model].cache
        rows.append(
            [
                row.model, row.arm, f"{row.characters:,}", f"{row.tokens:,}", f"{row.cache / _GIB:,.3f}",
                f"{share:.1%}", f"{row.weights / _GIB:,.2f}", f"{row.new_rows / _MIB:,.0f}" if row.new_rows else "",
                *(f"{fits.characters:,} ({fits.limit})" for fits in row.longest),
            ]
        )  # fmt: skip
    yield Table(head, rows)
    yield Paragraph(ON_A_CARD)
    arms = list(dict.fromkeys(row.arm for row in memory.rows))
    cache = {(row.arm, row.model): row.cache / _GIB for row in memory.rows}
    gib = [[cache.get((arm, model), 0.0) for model in models] for arm in arms]
    yield Plot("caches", "Key-value cache of the same text after reading it.", plots.caches(models, arms, gib))
    yield from _prefills(memory)
    if memory.skipped:
        yield Table(("not measured", "reason"), [[part, reason] for part, reason in memory.skipped.items()])


def _prefills(memory: MemoryResult) -> Iterator[Block]:
    """What was measured, the shortest text first, beside what is predicted of it; older results predict nothing."""
    found = [(row.arm, one) for row in memory.rows for one in row.measured]
    if not found:
        return
    found.sort(key=lambda pair: pair[1].characters)
    every = [one for _, one in found]
    columns = {
        "tokenizer": [arm for arm, _ in found],
        "characters": [f"{one.characters:,}" for one in every],
        "tokens": [f"{one.tokens:,}" for one in every],
        "KV cache, MiB": [_mib(one.cache, 2) for one in every],
        "predicted, MiB": [_mib(one.predicted_cache, 2) for one in every],
        "peak, MiB": [_mib(one.peak) for one in every],
        "of it beyond the libraries, MiB": [_mib(one.peak - one.before) for one in every],
        "predicted: weights and cache, MiB": [_mib(one.predicted_peak) for one in every],
    }
    shown = {name: cells for name, cells in columns.items() if any(cells)}
    yield Heading("Measured: one prefill in a fresh process")
    yield Table(tuple(shown), list(zip(*shown.values(), strict=True)))
    told = (
        f"Peak: {every[0].method}. Beyond the libraries are the weights, new rows among them, the cache, and what the "
        "prefill takes in passing."
    )
    if len(shown) == len(columns):
        told += " Predicted is from the configuration, which tells nothing of what is taken in passing."
    yield Paragraph(told)


def _mib(size: int | None, digits: int = 0) -> str:
    return "" if size is None else f"{size / _MIB:,.{digits}f}"


def _origin(every: list[Provenance], trained: list[tuple[Trained, Provenance]]) -> Iterator[Block]:
    """What figures were made with; where results differ, each of it with the number of results.

    Args:
        trained: what trained, which may have been earlier or elsewhere, and what measured it.
    """
    yield Heading("Origin")
    made = sorted(one.made for one in every)
    rows = [["made", " to ".join(f"{one} UTC" for one in dict.fromkeys((made[0], made[-1])))]]
    rows += [["device", _counted(one.device for one in every)]]
    if code := [_code(one) for one in every if one.commit]:
        rows += [["code", _counted(code)]]
    if any(one.commit and _code(one) != _code(measured) for one, measured in trained):
        rows += [["code that trained", _counted(_code(one) for one, _ in trained if one.commit)]]
    rows += [["versions", _counted(_listed(one.versions) for one in every)]]
    if versions := [one.versions for one, _ in trained if one.versions]:
        rows += [["versions that trained", _counted(map(_listed, versions))]]
    names = sorted({name for one in every for name in one.sha256 if name != "extended"})  # that differs by arm
    for name in names:
        hashes = _counted(one.sha256[name] for one in every if name in one.sha256)
        rows += [[f"sha256 of {name.replace('_', '-')}", hashes]]
    yield Table(("what", "which"), rows)


def _code(one: Provenance | Trained) -> str:
    return f"{one.commit}{' with changes that are not committed' if one.dirty else ''}"


def _listed(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in versions.items())


def _counted(values: Iterable[str]) -> str:
    """Different values, the most frequent first, with their numbers where there are several."""
    found = Counter(values).most_common()
    return found[0][0] if len(found) == 1 else "; ".join(f"{value} ({number} results)" for value, number in found)
