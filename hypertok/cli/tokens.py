"""`hypertok tokens`: how a text is cut, beside how the stock tokenizer cuts it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from hypertok.cli.console import err, out, print_json, read_text, refuse_source, write_bytes
from hypertok.cli.escaping import escape
from hypertok.errors import InputError

_REMEDY = "convert it to UTF-8 first"


def tokens(
    folder: Annotated[Path, typer.Argument(help="Extended tokenizer made by `hypertok extend`.")],
    text: Annotated[str | None, typer.Argument(help="The text, or - for standard input.")] = None,
    against: Annotated[
        Path | None, typer.Option(help="Stock tokenizer (folder or file) to show beside it.", show_default=False)
    ] = None,
    file: Annotated[Path | None, typer.Option(help="Read the text from a UTF-8 file.", show_default=False)] = None,
    page: Annotated[
        Path | None, typer.Option("--html", help="Write a page of HTML that needs nothing else.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Show the tokens of a text, new units emphasised; in a pipe, tokens are separated by |.

    hypertok tokens qwen3-notes --against qwen3/ "Цикл Кребса происходит в митохондриях."
    hypertok tokens qwen3-notes --against qwen3/ --file note.md --html note.html
    """
    from hypertok.tokenizer.hyper import HyperTokenizer
    from hypertok.tokenizer.side_by_side import as_json as json_of
    from hypertok.tokenizer.side_by_side import compare, page_of, piped, rendered
    from hypertok.tokenizer.stock import Stock

    if (text is None) == (file is None):
        raise InputError('give one text: in quotes, as "Цикл Кребса", with --file PATH, or - for standard input')
    if as_json and str(page) == "-":
        raise InputError("--html -: standard output has the JSON; name a file for the page, or leave out --json")
    if file is not None:
        refuse_source(page, file)
        text = read_text(file, _REMEDY)
    elif text == "-":
        text = read_text(Path("-"), _REMEDY)
    tokenizer = HyperTokenizer.from_pretrained(folder)
    found = compare(str(text), tokenizer, Stock.load(against) if against is not None else None)
    if page is not None:
        write_bytes(page_of(found), page)
        err.print(f"[bold]{escape(str(page))}[/] written", soft_wrap=True)
    if as_json:
        print_json(json_of(found))
    elif page is None:
        if out.is_terminal and not out.no_color:
            out.print(rendered(found, out.width))
        else:
            sys.stdout.write(piped(found))
    else:
        err.print(escape(found.summary), soft_wrap=True)
