"""`hypertok encode` and `hypertok decode`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hypertok.cli.console import err, read_text, refuse_source, write_bytes

LexiconArgument = Annotated[Path, typer.Argument(help="Lexicon folder made by `hypertok build-lexicon`.")]
OutputOption = Annotated[Path | None, typer.Option("--output", "-o", help="File to write (default: standard output).")]


def encode(
    lexicon: LexiconArgument,
    text: Annotated[Path, typer.Argument(help="UTF-8 text file, or - for standard input.")],
    output: OutputOption = None,
    concepts_only: Annotated[
        bool,
        typer.Option("--concepts-only", help="Lossy: keep which concept each word is, drop inflection and case."),
    ] = False,
) -> None:
    """Turn a text into symbol text, one symbol per concept; `hypertok decode` restores it byte for byte.

    Keep the lexicon, or one built over it: symbol text does not say which one it was written with.

      hypertok encode notes.lexicon note.md -o note.sym
    """
    from hypertok.lexicon.lexicon import Lexicon

    refuse_source(output, text)
    content = read_text(text, "convert it to UTF-8 first, or use `hypertok pack`, which takes any bytes")
    symbols = Lexicon.load(lexicon).encode(content, concepts_only=concepts_only)
    write_bytes(symbols.encode("utf-8"), output)
    if concepts_only:
        err.print("[yellow]lossy:[/] inflection and case are gone; this cannot be decoded to the original text")


def decode(
    lexicon: LexiconArgument,
    symbols: Annotated[Path, typer.Argument(help="Symbol text made by `hypertok encode`, or - for standard input.")],
    output: OutputOption = None,
) -> None:
    """Restore the text behind symbol text, byte for byte.

    LEXICON is the one it was written with, or one built over that one (same OUTPUT, or --base). Another one, or one in
    which concepts were forbidden since, gives an error at best and other words at worst.

      hypertok decode notes.lexicon note.sym -o note.md
    """
    from hypertok.lexicon.lexicon import Lexicon

    refuse_source(output, symbols)
    content = read_text(
        symbols,
        "symbol text is always UTF-8: this is not the output of `hypertok encode`",
        utf16="written by PowerShell's `>`, which changes bytes; encode again with --output",
    )
    write_bytes(Lexicon.load(lexicon).decode(content).encode("utf-8"), output)
