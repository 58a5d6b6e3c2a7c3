"""`hypertok verify`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table

from hypertok.cli.console import err, left_out, out, print_json
from hypertok.cli.escaping import escape

if TYPE_CHECKING:
    from hypertok.tokenizer.verify_report import Line


def verify(
    folder: Annotated[Path, typer.Argument(help="Folder of the extended tokenizer.")],
    against: Annotated[Path, typer.Option(help="The stock tokenizer it was made from: a folder or a file.")],
    texts: Annotated[
        Path | None, typer.Option(help="Folder of UTF-8 texts (or one file) to check on besides the built-in ones.")
    ] = None,
    lexicon: Annotated[
        Path | None, typer.Option(help="The lexicon that its units were learned from, to be sure of it.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Prove that an extended tokenizer does all that the stock one did, and that every new unit can occur.

    Nothing is written. A line that could not be tried (transformers is not installed) is shown as skipped.
    Exit code 1 if a line failed; files of --texts that are not UTF-8 are listed, and the exit code is 3.

      hypertok verify qwen3-notes --against qwen3/
    """
    from hypertok.tokenizer.verify import verify as check

    with left_out() as skipped:
        if as_json:
            report = check(folder, against, texts=texts, lexicon=lexicon, skipped=skipped)
            print_json(report.to_json())
        else:
            table = Table("", "what is shown", "checked", "", box=None, expand=False)
            table.columns[2].justify = "right"
            with Live(Spinner("dots", "verifying"), console=err, transient=True) as live:

                def tell(line: Line) -> None:
                    _add(table, line)
                    live.update(table)

                report = check(folder, against, texts=texts, lexicon=lexicon, progress=tell, skipped=skipped)
            out.print(table)
            untried = sum(line.skipped for line in report.lines)
            passed = sum(line.passed for line in report.lines)
            failed = len(report.lines) - passed - untried
            verdict = "[bold green]all is proved:[/]" if report.passed else "[bold red]not proved:[/]"
            figures = f"{passed} lines passed, {failed} failed, {untried} skipped"
            out.print(f"{verdict} [bold]{escape(str(folder))}[/]: {figures}", soft_wrap=True)
        if not report.passed:
            raise typer.Exit(1)


def _add(table: Table, line: Line) -> None:
    mark = "[yellow]skipped[/]" if line.skipped else "[green]passed[/]" if line.passed else "[bold red]FAILED[/]"
    table.add_row(mark, escape(line.name), f"{line.checked:,} {line.unit}".rstrip(), escape(line.detail))
