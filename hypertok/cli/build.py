"""`hypertok build-lexicon`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from hypertok.cli.console import EXIT_SKIPPED, err, out, print_json, steps
from hypertok.cli.escaping import escape
from hypertok.errors import quoted

#: Said of options that leave concepts out.
_STAY = "of the base, also of a lexicon that stands at OUTPUT, stay in any case"
STEPS = {
    "count": "reading and counting",
    "analyse": "analysing forms",
    "context": "weighing readings by context",
    "phrases": "finding multiword concepts",
    "statistics": "cutting texts into pieces",
    "write": "writing; learning what follows what",
}


def build_lexicon(
    corpus: Annotated[
        str,
        typer.Argument(
            help="Folder (or one file) of texts: .txt .md .json .jsonl .csv .parquet .html .fb2 and any "
            "other text; a saved Hugging Face datasets folder; or hf://owner/name to stream a hub dataset (the only "
            "use of the network)."
        ),
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Lexicon folder to write (default: NAME.lexicon here).")
    ] = None,
    overrides: Annotated[
        Path | None,
        typer.Option(
            help="File of concepts to add, forbid or merge: a header line, and columns separated by tabs: action, "
            "lemma, pos (NOUN, VERB …), target (the symbol of what is added, the lemma that is merged into), note."
        ),
    ] = None,
    base: Annotated[
        Path | None,
        typer.Option(help="Lexicon whose concepts keep their symbols (default: the one at OUTPUT, if there is one)."),
    ] = None,
    min_count: Annotated[
        int,
        typer.Option(
            min=1,
            help="Keep concepts used at least so often (words that the dictionary lacks: at least 3 times). Concepts "
            f"{_STAY}.",
        ),
    ] = 1,
    max_concepts: Annotated[
        int, typer.Option(min=1, help=f"Most concepts kept, the most frequent first; those {_STAY}.")
    ] = 250_000,
    phrases: Annotated[
        bool, typer.Option(help=f"Look for multiword concepts such as «цикл Кребса»; those {_STAY}.")
    ] = True,
    min_phrase_count: Annotated[
        int | None,
        typer.Option(
            min=2,
            help="Keep multiword concepts used at least so often (default: 3, more for more than a million words).",
            show_default=False,
        ),
    ] = None,
    context: Annotated[
        bool, typer.Option(help="Weigh the readings of ambiguous forms by their contexts in the corpus.")
    ] = True,
    statistics: Annotated[
        bool, typer.Option(help="Learn what follows what in the texts; `hypertok pack` and `hypertok extend` need it.")
    ] = True,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Worker processes (default: one per processor). No effect on the result."),
    ] = None,
    engine: Annotated[
        Literal["local", "ray"], typer.Option(help="Where counting runs: this machine, or a Ray cluster (extra `ray`).")
    ] = "local",
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest as JSON.")] = False,
) -> None:
    """Build a lexicon: every Russian word form of your texts mapped to a concept with a symbol of its own.

    Nothing is changed in CORPUS. A killed run goes on where it stopped when the same command is given again.
    Building again into the same OUTPUT with more text keeps every symbol that was given out, so symbol text stays
    readable; archives (hypertok pack) need the lexicon as it was: keep a copy if you have some.

      hypertok build-lexicon notes/ -o notes.lexicon
    """
    from hypertok.lexicon.build import build_lexicon as build
    from hypertok.lexicon.recipe import Recipe

    hub = corpus.startswith("hf://")
    name = corpus.removeprefix("hf://").replace("/", "_").replace(":", "_") if hub else Path(corpus).resolve().name
    target = output or Path(f"{name}.lexicon")
    recipe = Recipe(
        min_count=min_count,
        max_concepts=max_concepts,
        phrases=phrases,
        min_phrase_count=min_phrase_count,
        context=context,
        statistics=statistics,
    )
    with steps(STEPS) as tell:
        result = build(
            corpus if hub else Path(corpus),
            target,
            recipe,
            overrides=overrides,
            base=base,
            engine=engine,
            workers=workers,
            progress=tell,
        )
    manifest = result.manifest
    if as_json:
        print_json(manifest.to_json())
    else:
        facts = manifest.facts
        done = "written" if result.fresh else "already up to date"
        out.print(
            f"[bold]{escape(str(target))}[/] {done}: {facts['concepts']:,} concepts, "
            f"{facts['forms']:,} forms ({facts['forms_attested']:,} of them seen), "
            f"{facts['words_in_lexicon'] / facts['words']:.1%} of {facts['words']:,} words covered",
            soft_wrap=True,
        )
    if kept := manifest.facts.get("kept_from_base"):
        which, without = ("the base", " without --base") if base else ("the lexicon that stood here", "")
        err.print(
            f"[yellow]{kept:,} concepts of {which} stay,[/] though --min-count, --max-concepts or --no-phrases would "
            f"leave them out; for a lexicon without them build into another OUTPUT{without}",
            soft_wrap=True,
        )
    skipped, partial = manifest.facts["sources"]["skipped"], manifest.facts.get("sources_in_part", 0)
    if skipped or partial:
        counts = {"skipped": skipped, "read in part": partial}
        told = ", ".join(f"{number:,} {what}" for what, number in counts.items() if number)
        why = f"hypertok lexicon info {quoted(target)}"
        err.print(f"[yellow]files: {told};[/] why: {escape(why)}", soft_wrap=True)
        raise typer.Exit(EXIT_SKIPPED)
