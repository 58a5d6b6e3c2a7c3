"""`hypertok pack` and `hypertok unpack`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from hypertok.artifact import kind_of
from hypertok.cli.codec import LexiconArgument
from hypertok.cli.console import err, left_out, read_bytes, steps
from hypertok.cli.escaping import escape
from hypertok.errors import ArtifactError, InputError

ForceOption = Annotated[bool, typer.Option("--force", help="Replace files that exist.")]


def pack(
    lexicon: LexiconArgument,
    paths: Annotated[list[Path], typer.Argument(help="Files and folders to pack.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Archive (default: FIRST_PATH.ht).")] = None,
    self_contained: Annotated[
        bool,
        typer.Option(help="Pack without the lexicon's knowledge: larger, but unpacks without the lexicon."),
    ] = False,
    force: ForceOption = False,
) -> None:
    """Pack texts into a small archive with what the lexicon knows of your language and notes.

    Any file can be packed; UTF-8 text becomes small, and takes about a minute for each megabyte, also to unpack. Of
    folders everything is packed, hidden files too, but no links and no empty folders. To unpack you need the same
    lexicon, so keep a copy: built again, even from the same texts, it may be another one. With --self-contained none is
    needed.

      hypertok pack notes.lexicon note.md -o note.ht
      hypertok pack notes.lexicon notes/ -o notes.ht
    """
    from hypertok.archive.container import self_contained_packer
    from hypertok.archive.files import pack_files
    from hypertok.lexicon.lexicon import KIND, packer_of

    if self_contained and kind_of(lexicon) != KIND.name:  # not used, but else a text in its place would be left out
        raise InputError(f"{lexicon}: no lexicon; with --self-contained, too, name one before the files to pack")
    if str(output) == "-":
        raise InputError("--output -: an archive is not written to standard output; name a file")
    first = Path(os.path.abspath(paths[0]))  # «.» and «..» have no name of their own, and a link may lead nowhere
    target = output or first.parent / f"{first.name}.ht"
    packer = self_contained_packer() if self_contained else packer_of(lexicon)
    with left_out() as skipped:
        with steps({"pack": "packing"}) as tell:
            progress = partial(tell, "pack")
            size = pack_files(paths, target, packer, force=force, skipped=skipped, progress=progress)
        err.print(f"[bold]{escape(str(target))}[/]: {size:,} bytes", soft_wrap=True)


def unpack(
    archive: Annotated[Path, typer.Argument(help="Archive made by `hypertok pack`, or - for standard input.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to unpack into.")] = Path(),
    lexicon: Annotated[
        Path | None,
        typer.Option(
            help="The lexicon it was packed with (default: found by its sha256 beside the archive or in this folder)."
        ),
    ] = None,
    force: ForceOption = False,
) -> None:
    """Restore what was packed, byte for byte; nothing is written outside the output folder.

    hypertok unpack note.ht
    """
    from hypertok.archive.container import read_header, self_contained_packer
    from hypertok.archive.files import refuse_taken, write_members
    from hypertok.lexicon.lexicon import find_lexicon, packer_of

    data = read_bytes(archive)  # once: a pipe gives its bytes a single time
    with _named(archive):
        header = read_header(data)
    if header.self_contained:
        if lexicon:
            raise InputError(f"{archive}: self-contained, made without a lexicon; leave out --lexicon {lexicon}")
        packer = self_contained_packer()
    else:
        packer = packer_of(lexicon or find_lexicon(header.lexicon, [archive.resolve().parent, Path()]))
    with _named(archive), err.status("unpacking"):
        members = packer.unpack(data, partial(refuse_taken, target=output, name=archive.stem, force=force))
        files = write_members(members, output, name=archive.stem, force=force)
    for file in files:
        err.print(escape(str(file)), soft_wrap=True)


@contextmanager
def _named(archive: Path) -> Iterator[None]:
    """Errors of an archive tell which one; it is read as bytes, which do not know."""
    try:
        yield
    except ArtifactError as error:
        raise ArtifactError(f"{archive}: {error}") from error
