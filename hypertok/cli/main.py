"""The command `hypertok`: every command parses its arguments, calls one library function and prints."""

from __future__ import annotations

import errno
import re
import signal
import sys
from io import TextIOWrapper
from typing import Annotated, NoReturn

import typer

from hypertok import __version__
from hypertok.cli import archive, build, codec, experiment, export, extend, lexicon, measure, tokens, train, verify
from hypertok.cli.console import fail
from hypertok.errors import HypertokError

#: What safetensors, torch and numpy say when a file could not be written to its end.
_NO_ROOM = re.compile(
    r"No space left on device|file write failed|PytorchStreamWriter failed|\d requested and \d+ written"
)
_REMEDIES = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "make room"),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "see to its permissions, or name another place"),
    **dict.fromkeys((errno.ENOENT, errno.ENOTDIR), "correct the path"),
    errno.EISDIR: "name a file",
}
#: Exit codes of a command that was interrupted and of one that was terminated, as shells have them.
_INTERRUPTED, _TERMINATED = 130, 143

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"hypertok {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """One token per concept for Russian: build a lexicon from your own texts, and extend your model by it.

    A first round on any folder of notes and any stock tokenizer:

      hypertok build-lexicon notes/ -o notes.lexicon
      hypertok extend qwen3/ notes.lexicon -o qwen3-notes
      hypertok verify qwen3-notes --against qwen3/
      hypertok tokens qwen3-notes --against qwen3/ "Цикл Кребса происходит в митохондриях."

    The lexicon alone:

      hypertok lexicon explain notes.lexicon печени
      hypertok encode notes.lexicon note.md -o note.sym
      hypertok decode notes.lexicon note.sym

    With a model (a folder with weights; needs the extra train):

      hypertok extend MODEL_DIR notes.lexicon -o model-notes
      hypertok train model-notes --data notes/ -o model-notes-lora
      hypertok merge model-notes-lora -o model-notes-merged
      hypertok measure model-notes-merged --text held-out/

    All of that side by side, two arms of an experiment on two cores in two to four hours (without --only all 34 runs,
    days). Model, lexicon and texts are named by options or by HYPERTOK_MODEL and the like, as
    `hypertok experiment run --help` says:

      hypertok experiment run experiments/ab-bos.toml -o my-ab --only "stock-*-s0,ours-phrase-characters-s0" --report

    Everything runs on this machine; nothing is sent anywhere.
    Exit codes: 0 done; 1 error, or `verify` found a line that fails; 2 a command line that cannot be used: an unknown
    option, a missing argument, a value out of its range (some values are only found out later and give 1); 3 done, but
    files that may hold text were left out (listed, or in `lexicon info`; pictures, sound and empty files are not among
    them); 130 interrupted; 143 terminated.
    """


app.command("build-lexicon")(build.build_lexicon)
app.add_typer(lexicon.app, name="lexicon")
app.command("curve")(extend.curve)
app.command("extend")(extend.extend)
app.command("verify")(verify.verify)
app.command("train")(train.train)
app.command("merge")(train.merge)
app.add_typer(experiment.app, name="experiment")
app.command("tokens")(tokens.tokens)
app.command("export")(export.export)
app.command("measure")(measure.measure)
app.command("encode")(codec.encode)
app.command("decode")(codec.decode)
app.command("pack")(archive.pack)
app.command("unpack")(archive.unpack)


def _interrupted() -> NoReturn:
    fail(
        "interrupted; nothing half-made is left in place. Building a lexicon and running an experiment go on with the "
        "same command, training with --resume",
        code=_INTERRUPTED,
    )


def _full_disk(error: Exception) -> None:
    """Leave, if this is a library's word for a full disk."""
    if _NO_ROOM.search(str(error)):
        fail(f"the disk is full ({str(error).splitlines()[0]}); make room and start again, training with --resume")


def _terminated(*_: object) -> NoReturn:
    """Leave as by any error, so that what is half-written is removed; workers are spawned and know nothing of this."""
    raise SystemExit(_TERMINATED)


def main() -> None:
    """Entry point: errors meant for the user become one line and exit code 1."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # symbols in a terminal of another encoding
    signal.signal(signal.SIGTERM, _terminated)
    try:
        app()
    except HypertokError as error:
        fail(str(error))
    except KeyboardInterrupt:
        _interrupted()
    except SystemExit as left:
        if left.code == _INTERRUPTED:  # typer has caught the interrupt and says nothing
            _interrupted()
        raise
    except OSError as error:
        if error.errno is None:  # of numpy
            _full_disk(error)
        where = f"{error.filename}: " if error.filename else ""
        remedy = f"; {_REMEDIES[error.errno]}" if error.errno in _REMEDIES else ""
        fail(f"{where}{error.strerror or error}{remedy}")
    except Exception as error:  # safetensors and torch have errors of their own for a full disk
        _full_disk(error)
        raise
