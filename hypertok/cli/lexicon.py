"""`hypertok lexicon info`, `explain` and `export`: look into a lexicon."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.table import Table

from hypertok.cli.codec import LexiconArgument, OutputOption
from hypertok.cli.console import SHOWN, out, print_json, write_bytes
from hypertok.cli.escaping import escape

if TYPE_CHECKING:
    from hypertok.lexicon.lexicon import Explanation, Lexicon

app = typer.Typer(no_args_is_help=True, help="Look into a lexicon: figures, one word, or all of it.")
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


@app.command()
def info(lexicon: LexiconArgument, as_json: JsonOption = False) -> None:
    """Concepts, forms and coverage, and what was repaired or skipped in the corpus, and why.

    hypertok lexicon info notes.lexicon
    """
    from hypertok.lexicon.lexicon import Lexicon

    lex = Lexicon.load(lexicon)
    if as_json:
        content = {
            "sha256": lex.sha256,
            **lex.manifest.model_dump(),
            "sources": lex.sources.filter(_told()).to_dicts(),
        }
        print_json(content)
        return
    out.print(_figures(lex))
    _print_sources(lex)


@app.command()
def explain(
    lexicon: LexiconArgument,
    word: Annotated[str, typer.Argument(help="A word form, a phrase in quotes, or a symbol.")],
    as_json: JsonOption = False,
) -> None:
    """What a word means to the lexicon: readings with probabilities, concept, symbol, all forms with counts.

    hypertok lexicon explain notes.lexicon печени
    """
    from hypertok.lexicon.lexicon import Lexicon

    lex = Lexicon.load(lexicon)
    found = lex.explain(word)
    if as_json:
        print_json(asdict(found))
    else:
        _print_explanation(found)


@app.command()
def export(
    lexicon: LexiconArgument,
    format: Annotated[
        Literal["json", "tsv"], typer.Option(help="json: {lemma: symbol}; tsv: symbol, lemma, pos, kind, count.")
    ] = "json",
    output: OutputOption = None,
) -> None:
    """The concepts with their symbols, the most frequent first.

    In JSON a lemma that is several concepts has the commonest under its own name and the others as
    «печь (VERB)».

      hypertok lexicon export notes.lexicon --format json
    """
    from hypertok.lexicon.lexicon import Lexicon

    lex = Lexicon.load(lexicon)
    text = lex.to_json() if format == "json" else lex.to_tsv()
    write_bytes(text.encode("utf-8"), output)


def _told() -> Any:
    import polars as pl

    return (pl.col("status") != "read") | (pl.col("reason") != "") | (pl.col("lookalikes") > 0)


def _figures(lex: Lexicon) -> Table:
    facts = lex.manifest.facts
    table = Table(show_header=False, box=None)
    table.add_column(style="bold")
    table.add_column(justify="right")
    rows: list[tuple[str, object]] = [("concepts", facts["concepts"])]
    rows += [(f"  {kind}", number) for kind, number in facts["concepts_by_kind"].items()]
    rows += [
        ("forms", facts["forms"]),
        ("  seen in the corpus", facts["forms_attested"]),
        ("words in the corpus", facts["words"]),
        ("  covered", f"{facts['words_in_lexicon'] / facts['words']:.2%}"),
        ("distinct forms in the corpus", facts["distinct_forms"]),
        ("words mixing Latin and Cyrillic look-alikes", facts["lookalike_words"]),
    ]
    rows += [(f"files {status}", number) for status, number in facts["sources"].items()]
    if partial := facts.get("sources_in_part"):
        rows.append(("files that are not read whole", partial))
    if facts["forms_pruned"]:
        rows.append(("rare forms dropped to bound memory", facts["forms_pruned"]))
    for name, value in rows:
        table.add_row(name, f"{value:,}" if isinstance(value, int) else str(value))
    table.add_row("sha256", lex.sha256[:16])
    return table


def _print_sources(lex: Lexicon) -> None:
    import polars as pl

    told = lex.sources.filter(_told())
    left_out = pl.col("status").is_in(["skipped", "without text"])
    groups = {
        "skipped": pl.col("status") == "skipped",
        "without text": pl.col("status") == "without text",
        "repaired": pl.col("status") == "repaired",
        "read with a remark": ~left_out & (pl.col("reason") != ""),
        "with look-alike letters": pl.col("lookalikes") > 0,
    }
    for title, condition in groups.items():
        rows = told.filter(condition)
        if rows.is_empty():
            continue
        out.print(f"\n[bold]{title}[/] ({rows.height})")
        for row in rows.head(SHOWN).iter_rows(named=True):
            remark = row["reason"] or row["repaired"]
            if title == "with look-alike letters":
                remark = f"{row['lookalikes']}: {', '.join(row['lookalike_examples'])}"
            elif title == "repaired":
                remark = row["repaired"]
            out.print(f"  {escape(row['path'])}: {escape(remark)}", soft_wrap=True)
        if rows.height > SHOWN:
            out.print(f"  … and {rows.height - SHOWN} more (--json lists all)")


def _print_explanation(found: Explanation) -> None:
    main = next((r for r in found.readings if r.main), found.readings[0])
    concept = main.concept
    out.print(
        f"[bold]{escape(found.form)}[/]  {concept.symbol}  {escape(f'{concept.lemma} {concept.pos}')} "
        f"({concept.kind}), {concept.count:,} uses; written as {escape(found.spelled)}"
    )
    readings = Table("probability", "concept", "inflection", "symbol", box=None)
    for reading in found.readings:
        readings.add_row(
            f"{reading.probability:.3f}",
            escape(f"{reading.concept.lemma} {reading.concept.pos}"),
            reading.inflection or "–",
            reading.concept.symbol,
            style="bold" if reading.main else None,
        )
    out.print(readings)
    forms = Table(
        "form", "inflections", "uses", title=f"all forms of {escape(concept.lemma)}", title_justify="left", box=None
    )
    together: dict[str, tuple[list[str], float, bool]] = {}
    for form in found.forms:
        inflections, count, attested = together.get(form.form, ([], 0.0, False))
        together[form.form] = (
            [*inflections, form.inflection or "–"],
            count + form.count,
            attested or form.attested,
        )
    for spelling, (inflections, count, attested) in together.items():
        uses = f"{count:,.0f}" if attested else "not seen"
        forms.add_row(escape(spelling), "; ".join(inflections), uses, style=None if attested else "dim")
    out.print(forms)
