"""What all commands share: consoles, the error line, exact bytes in and out."""

from __future__ import annotations

import json
import os
import sys
from codecs import BOM_UTF16_LE
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from hypertok.cli.escaping import escape
from hypertok.errors import InputError
from hypertok.progress import Steps
from hypertok.single_file import write_file

if TYPE_CHECKING:
    from hypertok.corpus.sources import Skipped

out = Console(highlight=False, emoji=False)  # else "note.md:100: …" is shown with a picture
err = Console(stderr=True, highlight=False, emoji=False)

#: Exit code of a command that did its work but had to leave some input out.
EXIT_SKIPPED = 3
#: Files listed for each reason.
SHOWN = 20


def fail(message: str, code: int = 1) -> NoReturn:
    """Print an error line and leave with `code`."""
    err.print(f"[bold red]error:[/] {escape(message)}", soft_wrap=True)
    raise SystemExit(code)


@contextmanager
def steps(names: Mapping[str, str]) -> Iterator[Steps]:
    """A progress bar for each step of a long command, on standard error; gives the function that reports.

    Args:
        names: what each step is called, by the key that the library reports it under.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=err) as bar:
        tasks = {}

        def tell(step: str, done: int, total: int) -> None:
            if step not in tasks:
                tasks[step] = bar.add_task(names.get(step, step), total=total)
            bar.update(tasks[step], completed=done, total=total)

        yield tell


def tells() -> bool:
    """Whether this process is to tell what came out: of several under a launcher the first one does."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def left_out() -> Iterator[Skipped]:
    """Gives the function that is told of files that cannot be read (path, reason); at the end of a command, lists them
    on standard error, `SHOWN` for each reason, and leaves with EXIT_SKIPPED.

    Of several processes under a launcher the first lists, and none leaves so: launchers take any code for a crash.
    """
    reasons: dict[str, str] = {}
    try:
        yield reasons.__setitem__
    finally:  # an error may well come from this: nothing was left to read
        by_reason: dict[str, list[str]] = {}
        for path, reason in reasons.items() if tells() else ():
            by_reason.setdefault(reason, []).append(escape(path).replace("\n", "\\n"))  # else it could tell of another
        for reason, names in by_reason.items():
            more = [f"… and {len(names) - SHOWN:,} more"] if len(names) > SHOWN else []
            for named in names[:SHOWN] + more:
                err.print(f"[yellow]left out:[/] {named}: {escape(reason)}", soft_wrap=True)
    if reasons and os.environ.get("WORLD_SIZE", "1") == "1":
        raise typer.Exit(EXIT_SKIPPED)


def by_comma(text: str) -> tuple[str, ...]:
    """The values of an option that takes several; () for an empty one."""
    return tuple(one.strip() for one in text.split(",")) if text else ()


def read_bytes(path: Path) -> bytes:
    """Bytes of a file, or of standard input for `-`.

    Raises:
        InputError: the file cannot be read.
    """
    if str(path) == "-":
        return sys.stdin.buffer.read()
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the name and its permissions") from error


def read_text(path: Path, remedy: str, *, utf16: str | None = None) -> str:
    """UTF-8 text of a file or of standard input, byte for byte (line ends and BOM are kept).

    Args:
        remedy: what to do where it is not UTF-8.
        utf16: the same where it begins as UTF-16 does; None for `remedy`.

    Raises:
        InputError: not UTF-8.
    """
    data = read_bytes(path)
    if data.startswith(BOM_UTF16_LE):
        remedy = utf16 or remedy
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{path}:{line}: byte 0x{data[error.start]:02X} at offset {error.start} is not UTF-8; {remedy}"
        ) from error


def refuse_source(output: Path | None, source: Path) -> None:
    """See that the output does not take the place of what it is made from.

    Raises:
        InputError: it would.
    """
    if output is not None and output.is_file() and source.exists() and output.samefile(source):
        raise InputError(f"{output}: is the file that is read; name another output")


def print_json(content: Any) -> None:
    """JSON on standard output, in UTF-8 whatever a terminal has; a string is JSON already."""
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False, indent=1) + "\n"
    write_bytes(text.encode("utf-8", "backslashreplace"), None)  # half a pair, of a file name, is \udc.. in JSON too


def write_bytes(data: bytes, path: Path | None) -> None:
    """Write to a file (beside it first, then renamed) or, without one or to "-", to standard output as it is.

    To /dev/stdout, too: where that is a file, what others wrote into it would be replaced.

    Raises:
        InputError: the file cannot be written.
    """
    if path is None or str(path) in ("-", "/dev/stdout"):
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    try:
        write_file(path, data)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); name another file") from error
