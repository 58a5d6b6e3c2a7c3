"""`hypertok extend` and `hypertok curve`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.table import Table

from hypertok.cli.console import by_comma, err, left_out, out, print_json, steps, write_bytes
from hypertok.cli.escaping import escape
from hypertok.errors import InputError, quoted
from hypertok.model.extra import require_train
from hypertok.progress import Steps
from hypertok.vocabulary.units import Method, Span, TooFewRows, TooFewUnits

if TYPE_CHECKING:
    from hypertok.artifact import Manifest
    from hypertok.corpus.sources import Skipped
    from hypertok.measure.curve import Point
    from hypertok.tokenizer.extend import ExtendOptions

_STEPS = {
    "segment": "cutting texts by the stock tokenizer",
    "merge": "learning merges",
    "count": "counting what is emitted",
    "symbols": "choosing symbols",
    "rows": "making new rows",
    "probe": "probing strategies",
    "composer": "training the composer",
    "weights": "writing weights",
}
#: Numbers of rows that a curve has by default.
_CURVE = "1k,2k,4k,8k,16k,32k,64k,128k,250k"
#: Files that make a folder a model's; which of them can be extended, the library says.
_WEIGHTS = (".safetensors", ".gguf", ".bin")
_STOCK = typer.Argument(
    help="Stock tokenizer: a folder or file with tokenizer.json, a sentencepiece .model, a tiktoken file.",
    show_default=False,
)
_LEXICON = typer.Argument(help="Lexicon folder (from `hypertok build-lexicon`).", show_default=False)


_SPAN = typer.Option(
    help="How far a unit may reach: word, inside a word; phrase, over several, with their spaces and commas («, что»)."
)
_UNITS = typer.Option(
    help="How units are chosen: concept, by the lexicon's weights; bpe, by continued BPE, merges that go on from the "
    "stock ones by plain counts (what experiments compare with)."
)
_GENERAL = typer.Option(
    min=0,
    max=10,
    help="How much general Russian (words by frequency) counts beside your texts, as a share of their words; more "
    "helps on texts unlike yours. Symbol text and --units bpe take none.",
)


def extend(
    stock: Annotated[Path, _STOCK],
    lexicon: Annotated[Path, _LEXICON],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write the extended tokenizer to.")],
    rows: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="New tokens, each a row of the model's matrices (default: 32,768, or as many as your texts have units "
            "for, with --replace-unused as many as there are tokens to replace).",
        ),
    ] = None,
    span: Annotated[Span, _SPAN] = "phrase",
    text: Annotated[
        Literal["surface", "symbols"],
        typer.Option(help="Text as it is written, or the codec's symbol text (read by HyperTokenizer)."),
    ] = "surface",
    units: Annotated[Method, _UNITS] = "concept",
    general: Annotated[float, _GENERAL] = 0.05,
    replace_unused: Annotated[
        str | None,
        typer.Option(
            metavar="LANGS",
            help="Do not grow: give the rows of tokens that neither Russian nor these languages use to the new units, "
            "e.g. ru,en.",
        ),
    ] = None,
    init: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="With a model in STOCK: how its new rows begin. mean, weighted (default), asymmetric (untied models "
            "only), mix, composition: made of stock rows at once. composer: trained on --data for 250 steps; auto: all "
            "of these tried for 50 steps each, the best is taken. These two compute on the CPU. none: the tokenizer "
            "alone.",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Texts for --init auto and composer; without them what the lexicon remembers of its corpus."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest as JSON.")] = False,
) -> None:
    """Extend a stock tokenizer, and the model beside it, by units learned from your lexicon.

    Every stock token keeps its id, and text without Russian its tokens (symbol text: without
    characters from U+2190 on, too); `hypertok verify` proves it.

      hypertok extend qwen3/ notes.lexicon -o qwen3-notes --rows 32768
      hypertok verify qwen3-notes --against qwen3/

    A folder with weights is extended as a model, which loads in transformers:

      hypertok extend Qwen3-0.6B/ notes.lexicon -o model-notes --rows 32768 --init auto

    Files of --data that cannot be read are listed, and the exit code is 3.
    """
    from hypertok.tokenizer.extend import ExtendOptions

    if replace_unused is not None and not by_comma(replace_unused):
        raise InputError("--replace-unused: names no language to keep; give codes such as ru,en, or leave it out")
    options = ExtendOptions(
        **({"rows": rows} if rows else {}),
        span=span,
        text=text,
        units=units,
        general=general,
        replace_unused=by_comma(replace_unused or ""),
    )
    with left_out() as skipped:

        def extended(options: ExtendOptions) -> Manifest:
            with steps(_STEPS) as tell:
                return _extended(stock, lexicon, output, options, init, data, tell, skipped)

        manifest = None
        while manifest is None:
            try:
                manifest = extended(options)
            except TooFewRows as error:
                if rows or not error.found:
                    raise
                err.print(f"{error.what} {error.found:,} rows, not {options.rows:,}; all of them are taken")
                options = options.model_copy(update={"rows": error.found})
        if as_json:
            print_json(manifest.to_json())
        else:
            _print_extended(stock, output, manifest)


def _print_extended(stock: Path, output: Path, manifest: Manifest) -> None:
    """For a person."""
    facts = manifest.facts
    grown = f"from id {facts['first_id']:,} on" if "first_id" in facts else "in the rows of tokens given up"
    out.print(
        f"[bold]{escape(str(output))}[/] written: {facts['units']:,} new tokens {grown}; "
        f"the model needs {facts['rows']:,} rows",
        soft_wrap=True,
    )
    for script, number in facts.get("given_up", {}).items():
        out.print(f"  given up: {number:,} tokens of {script}")
    _print_model(facts, manifest.recipe)
    proof = f"hypertok verify {quoted(output)} --against {quoted(stock)}"
    out.print(f"prove it: {escape(proof)}", soft_wrap=True)


def _extended(
    stock: Path,
    lexicon: Path,
    output: Path,
    options: ExtendOptions,
    init: str | None,
    data: Path | None,
    tell: Steps,
    skipped: Skipped,
) -> Manifest:
    """The tokenizer alone, or with the model that lies beside it."""
    from hypertok.corpus.datasets_source import hub_name
    from hypertok.tokenizer.extend import extend
    from hypertok.training.options import COMPOSER, READERS

    if data is not None and init not in READERS:
        raise InputError(
            f"--data {data}: only --init auto and composer read texts; add one of them, or leave --data out"
        )
    if data is not None and not hub_name(data) and not data.exists():
        raise InputError(f"--data {data}: no such folder or file; give one with texts")
    weights = stock.is_dir() and any(path.suffix in _WEIGHTS for path in stock.iterdir())
    if init == "none" or not (weights or init):
        return extend(stock, lexicon, output, options, progress=tell)
    require_train()
    from hypertok.model.extend import DEFAULT_INIT, extend_model
    from hypertok.model.initialise import STRATEGIES
    from hypertok.training.probe import chooser, texts_of, texts_of_runs

    names = (*STRATEGIES, *READERS, "none")
    if init is not None and init not in names:
        raise InputError(f"--init {init}: no such strategy; choose one of {', '.join(names)}")
    if init not in READERS:
        return extend_model(stock, lexicon, output, options, init=init or DEFAULT_INIT, progress=tell)
    texts = texts_of(data, skipped=skipped) if data else texts_of_runs(lexicon)
    maker = chooser(texts, progress=tell, composer_alone=init == COMPOSER)
    return extend_model(stock, lexicon, output, options, init=maker, progress=tell)


def _print_model(facts: Mapping[str, Any], recipe: Mapping[str, Any]) -> None:
    """How the model's rows were made, and the table that decided."""
    if "init" not in recipe:
        return
    out.print(f"new rows: {recipe['init']}")
    if probes := facts.get("init", {}).get("probes"):
        table = Table("rows", "bits per character before", "after", "steps")
        for probe in probes:
            table.add_row(probe["name"], f"{probe['before']:.4f}", f"{probe['after']:.4f}", str(probe["steps"]))
        out.print(table)


def curve(
    lexicon: Annotated[Path, _LEXICON],
    tokenizer: Annotated[Path, typer.Option(help="Stock tokenizer, as for `hypertok extend`.")],
    corpus: Annotated[
        Path,
        typer.Option(help="Folder or file of texts to measure on; take some that the lexicon was not built from."),
    ],
    rows: Annotated[
        str | None,
        typer.Option(
            help=f"Numbers of new rows to measure, e.g. 4k,32k,128k (default: {_CURVE}, as far as your texts have "
            "units for).",
        ),
    ] = None,
    span: Annotated[Span, _SPAN] = "phrase",
    units: Annotated[Method, _UNITS] = "concept",
    general: Annotated[float, _GENERAL] = 0.05,
    png: Annotated[Path | None, typer.Option(help="Write the curve as a picture.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the points as JSON.")] = False,
) -> None:
    """Characters per token for growing numbers of new rows, before anything is changed.

    hypertok curve notes.lexicon --tokenizer qwen3/ --corpus held-out/ --png curve.png
    """
    from hypertok.measure.curve import measure_curve, parse_rows, plot_curve

    if str(png) == "-":
        raise InputError("--png -: standard output has the figures; name a file for the picture")
    with left_out() as skipped:

        def measured(numbers: list[int]) -> list[Point]:
            with steps(_STEPS | {"measure": "measuring"}) as tell:
                return measure_curve(
                    lexicon, tokenizer, corpus, numbers, span=span, units=units, general=general,
                    progress=tell, skipped=skipped,
                )  # fmt: skip

        wanted = parse_rows(rows or _CURVE)
        try:
            points = measured(wanted)
        except TooFewUnits as error:
            if rows or not error.found:
                raise
            points = measured([*(number for number in wanted if number < error.found), error.found])
        if as_json:
            print_json([asdict(point) for point in points])
        else:
            _print_curve(points)
        if png:  # last: a picture that cannot be written must not cost the figures
            write_bytes(plot_curve(points), png)


def _print_curve(points: Sequence[Point]) -> None:
    table = Table("new rows", "characters per token", "tokens", "of stock", "rows emitted")
    for point in points:
        table.add_row(
            f"{point.rows:,}" if point.rows else "stock",
            f"{point.characters_per_token:.3f}",
            f"{point.tokens:,}",
            f"{point.tokens / points[0].tokens:.1%}",
            f"{point.emitted / point.rows:.1%}" if point.rows else "",
        )
    out.print(table)
