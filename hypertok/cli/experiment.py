"""`hypertok experiment`: run a definition, and report on what was found."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from hypertok.cli.console import by_comma, err, left_out, out
from hypertok.cli.escaping import escape
from hypertok.errors import InputError, quoted

app = typer.Typer(no_args_is_help=True, help="Arms side by side: run a definition, report on its results.")


def _input(what: str) -> Any:
    """An option for a place that a definition names, too."""
    return typer.Option(help=f"{what} (default: what the definition says).", show_default=False)


@app.command()
def run(
    definition: Annotated[
        Path, typer.Argument(help="TOML file, or a folder with experiment.toml.", show_default=False)
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder for the results; results/NAME beside the definition by default."),
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(
            help="Do these runs alone, by comma, each ARM-LINE-sSEED, e.g. ours-word-characters-s0; * stands for any "
            "letters. A wrong name lists all (default: every run of the definition).",
            show_default=False,
        ),
    ] = None,
    report: Annotated[bool, typer.Option("--report", help="Write the report afterwards.")] = False,
    model: Annotated[Path | None, _input("Stock model folder")] = None,
    lexicon: Annotated[Path | None, _input("Lexicon of the training texts")] = None,
    corpus: Annotated[Path | None, _input("Training texts, a folder or a file")] = None,
    held_out: Annotated[Path | None, _input("Texts to measure on, refused if also in --corpus")] = None,
    english: Annotated[
        Path | None, _input("English texts, to measure how much worse training makes the model on them (drift)")
    ] = None,
    code: Annotated[Path | None, _input("Source code, for the same")] = None,
    pairs: Annotated[Path | None, _input("Minimal pairs (JSON Lines: chosen, rejected, phenomenon)")] = None,
) -> None:
    """Run an experiment; the same command goes on where it was stopped.

    Every result is written as soon as it is there. Extended models and trained weights lie beside the results, in the
    folder .work, where other experiments find them, and can be removed afterwards. Texts that cannot be read are
    listed, and the exit code is 3.

    Two arms of ab-bos (without --only all its 34 runs, days). Its model, lexicon and texts come from HYPERTOK_MODEL and
    the like, or from these options:

      hypertok experiment run experiments/ab-bos.toml -o my-ab --only "stock-*-s0,ours-phrase-characters-s0" \\
        --model gemma/ --lexicon notes.lexicon --corpus train/ --held-out held-out/ --report

    Several processes or machines share the work where each is given its own runs, and the folder runs/ of the results
    is copied together:

      hypertok experiment run experiments/ab-bos.toml -o my-ab --only "stock-*,ours-word-*-s0" …
    """
    from hypertok.experiment.run import Experiment
    from hypertok.measure.subject import without_bars
    from hypertok.model.extra import require_train

    require_train()
    if only == "":  # a variable of the shell that is not set, say
        raise InputError('--only "": names no run; leave it out to do every run of the definition')
    inputs = {
        "model": model, "lexicon": lexicon, "corpus": corpus, "held_out": held_out, "english": english, "code": code,
        "pairs": pairs,
    }  # fmt: skip
    experiment = Experiment.from_toml(definition, inputs=inputs, output=output)
    without_bars()
    with left_out() as skipped:
        results = experiment.run(
            only=by_comma(only or ""),
            tell=lambda text: err.print(escape(text), soft_wrap=True),
            progress=err.is_terminal,
            skipped=skipped,
        )
        done = f"{len(results.runs):,} runs" if results.runs else "memory computed"
        out.print(f"[bold]{escape(str(experiment.output))}[/]: {done}", soft_wrap=True)
        if report:
            _write_report(experiment.output)
        else:
            out.print(f"report: hypertok experiment report {escape(quoted(experiment.output))}", soft_wrap=True)


@app.command("report")
def report_(
    results: Annotated[Path, typer.Argument(help="Folder that `experiment run` wrote.", show_default=False)],
) -> None:
    """Write report.md and report.html of a results folder, as far as its runs are done.

    hypertok experiment report experiments/results/ab
    """
    _write_report(results)


def _write_report(folder: Path) -> None:
    from hypertok.experiment.report import write_report

    written = write_report(folder)
    out.print(f"{escape(str(written.markdown))} and {escape(str(written.page))} written", soft_wrap=True)
