"""`hypertok measure`: one model on held-out text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import ValidationError
from rich.table import Table

from hypertok.cli.console import by_comma, err, left_out, out, print_json, steps
from hypertok.cli.escaping import escape
from hypertok.errors import InputError

if TYPE_CHECKING:
    from hypertok.measure.measured import Measured

_STEPS = {
    "memory": "memory, in a process of its own",
    "quality": "bits per character",
    "speed": "speed",
    "emission": "what it emits",
    "copy": "copy task",
    "pairs": "minimal pairs",
    "reading": "what follows a text that was read in units",
}
_MIB = 1 << 20


def measure(
    folder: Annotated[
        Path, typer.Argument(metavar="MODEL_DIR", help="Model folder: extended by hypertok, or any of transformers.")
    ],
    text: Annotated[Path, typer.Option(help="Held-out texts: a folder or a file.", show_default=False)],
    only: Annotated[
        str | None, typer.Option(help=f"Measure these only, by comma: {', '.join(_STEPS)}.", show_default=False)
    ] = None,
    context: Annotated[
        int, typer.Option(help="Tokens of the windows that text is scored in, for bits per character.")
    ] = 512,
    characters: Annotated[
        int | None,
        typer.Option(min=1, help="Use the texts' first so many characters (default: all).", show_default=False),
    ] = None,
    pairs: Annotated[
        Path | None, typer.Option(help="Minimal pairs (JSON Lines: chosen, rejected, phenomenon).", show_default=False)
    ] = None,
    card: Annotated[
        float,
        typer.Option(
            help="GiB of a GPU: computed is the longest text that fits it beside the model, with 1 GiB left for "
            "everything in passing."
        ),
    ] = 24.0,
    samples: Annotated[
        int, typer.Option(help="Passages for emission and for the copy task; four times as many for reading.")
    ] = 32,
    device: Annotated[
        str,
        typer.Option(
            help="cpu, cuda …; auto takes a CUDA GPU if there is one; an Apple GPU is used only by --device mps."
        ),
    ] = "auto",
    dtype: Annotated[
        str,
        typer.Option(
            help="Data type of the model and of computing: float32, bfloat16, float16; auto: the checkpoint's own, or "
            "float32 on a CPU without instructions for it."
        ),
    ] = "auto",
    seed: Annotated[int, typer.Option(help="Seed of sampling and of the bootstrap.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Measure one model on text it has not seen: bits per character, memory, speed, what it emits and repeats.

    Bits per character compare across tokenizers; measure every arm on the same text. Files that cannot be read are
    listed, and the exit code is 3.

      hypertok measure model-notes --text held-out/
      hypertok measure model-notes --text held-out/ --only quality,memory --json
    """
    from hypertok.corpus.documents import read_documents
    from hypertok.measure.model import measure_model
    from hypertok.measure.options import MeasureOptions
    from hypertok.measure.subject import without_bars
    from hypertok.model.extra import require_train

    require_train()
    without_bars()
    given: dict[str, Any] = {
        "context": context, "pairs": pairs, "cards": (card,), "samples": samples, "device": device, "dtype": dtype,
        "seed": seed, "parts": by_comma(only or "") or None,
    }  # fmt: skip
    try:
        options = MeasureOptions(**given)
    except ValidationError as error:
        first = error.errors()[0]
        name = {"parts": "only", "cards": "card"}.get(str(first["loc"][0]), str(first["loc"][0]))
        raise InputError(f"--{name}: {first['input']!r} cannot be used: {first['msg']}") from None
    with left_out() as skipped:
        whole = list(_first((one.text for one in read_documents(text, skipped=skipped)), characters))
        texts = [one[:size] for one, size in whole]
        with steps(_STEPS) as tell:
            found = measure_model(folder, texts, options, documents=[one for one, _ in whole], progress=tell)
        if as_json:
            print_json(found.to_json())
        else:
            _print(found)
        if found.seen:
            err.print(
                f"[yellow]trained on:[/] {found.seen:,} of {found.documents:,} documents, so figures say little of "
                "unseen text; take them out of --text",
                soft_wrap=True,
            )


def _print(found: Measured) -> None:
    """For a person."""
    table = Table(box=None, show_header=False)
    for name, value in _lines(found):
        table.add_row(escape(name), escape(value))
    out.print(table)
    for part, reason in found.skipped.items():
        err.print(f"[yellow]{escape(part)} not measured:[/] {escape(reason)}", soft_wrap=True)


def _first(texts: Iterable[str], characters: int | None) -> Iterator[tuple[str, int | None]]:
    """Texts up to so many characters in all, and how much of each is measured; None is all."""
    left = characters
    for text in texts:
        if left is None:
            yield text, None
            continue
        if left <= 0:
            return
        yield text, left
        left -= len(text)


def _lines(found: Measured) -> Iterator[tuple[str, str]]:
    """What a person reads: name and figure."""
    from hypertok.experiment.wording import percent
    from hypertok.measure.memory import RESERVE_GIB

    yield "model", f"{found.model} ({found.architecture or 'not loaded'}, {found.new_units:,} new units)"
    seen = "" if found.seen is None else f", {found.seen:,} of them trained on"
    yield "texts", f"{found.characters:,} characters in {found.documents:,} documents{seen}"
    if quality := found.quality:
        spread = f" (95 % by document: {one.low:.4f} to {one.high:.4f})" if (one := found.bits_per_character) else ""
        yield "bits per character", f"{quality.bits_per_character:.4f}{spread}"
        yield "tokens", f"{quality.tokens:,}, {quality.characters_per_token:.3f} characters per token"
        yield "perplexity per token", f"{quality.perplexity_per_token:,.2f} (does not compare across tokenizers)"
    if memory := found.predicted:
        yield "weights", f"{memory.weights / _MIB:,.0f} MiB, of which new rows {memory.new_rows / _MIB:,.1f} MiB"
        windows = f", and {memory.cache_of_windows / _MIB:,.1f} MiB for windows" if memory.cache_of_windows else ""
        yield "KV cache", f"{memory.cache_per_1000_characters / _MIB:,.3f} MiB per 1,000 characters{windows}"
        for fits in found.longest:
            of = f"longest text, {fits.card_gib:g} GiB, {RESERVE_GIB:g} free"
            yield of, f"{fits.characters:,} characters (limit: {fits.limit})"
    if prefill := found.prefill:
        took = f"{(prefill.peak - prefill.before) / _MIB:,.0f} MiB over {prefill.before / _MIB:,.0f} MiB without model"
        yield f"prefill of {prefill.characters:,} characters", f"{took} ({prefill.method})"
        beside = f" (predicted: {memory.cache_bytes(prefill.tokens) / _MIB:,.2f} MiB)" if memory else ""
        yield "KV cache after it", f"{prefill.cache / _MIB:,.2f} MiB{beside}"
    for speed in found.speed:
        figures = (
            f"reads {speed.prefill_characters_per_second:,.0f}, writes {speed.generated_characters_per_second:,.0f}"
        )
        yield f"speed, batch {speed.batch}", f"{figures} characters/s ({speed.device})"
    if emission := found.emission:
        shares = f"{emission.generated_character_share:.1%} of the characters it writes"
        yield "in new units", f"{shares}, {emission.real_character_share:.1%} of those of real text"
    if copied := found.copied:
        spread = f" (95 % by passage: {one.low:.1%} to {one.high:.1%})" if (one := copied.interval) else ""
        yield (
            "copy task",
            f"{copied.exact_characters:.2%} of characters{spread}, {copied.exact_passages:.1%} of passages exact",
        )
    if reading := found.reading:
        for what, ways in (("what follows a passage", reading.follows), ("some of it again", reading.again)):
            yield what, f"in stock tokens, after {reading.passages} passages; bits per character"
            for name, tokens, value, over in (
                ("read in stock tokens", reading.stock_tokens, ways.stock, None),
                ("in units", reading.unit_tokens, ways.units, ways.units_over_stock),
                ("in units but for its end", reading.recent_tokens, ways.recent, ways.recent_over_stock),
                ("as many stock tokens", reading.recent_tokens, ways.as_many, ways.as_many_over_stock),
            ):
                spread = f" ({percent(over)})" if over else ""
                yield f"  {name}", f"{value:.4f}{spread}, {tokens:,} tokens"
    if pairs := found.pairs:
        yield "minimal pairs", f"{pairs.accuracy:.2%} of {pairs.pairs:,}"
        if pairs.either_accuracy is not None:
            yield "  in either spelling", f"{pairs.either_accuracy:.2%}"
        for kind in pairs.phenomena:
            yield f"  {kind.name}", f"{kind.accuracy:.2%} of {kind.pairs:,}"
