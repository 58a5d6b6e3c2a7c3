"""How a command ends that does not come to its end: keys pressed, signals, errors of the system."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hypertok.cli import main

REPOSITORY = Path(__file__).parents[1]


@pytest.mark.parametrize("raised", [KeyboardInterrupt(), SystemExit(130)])
def test_an_interrupted_command_says_how_to_go_on(
    raised: BaseException, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def app() -> None:
        raise raised

    monkeypatch.setattr(main, "app", app)
    with pytest.raises(SystemExit, match="130"):
        main.main()
    assert "interrupted; nothing half-made is left" in " ".join(capsys.readouterr().err.split())


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    """As in `hypertok … | head`."""
    command = [sys.executable, "-m", "hypertok", "--help"]
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, cwd=REPOSITORY, timeout=60)
    os.close(writer)
    assert (done.stderr, done.returncode) == (b"", 1)


LOADING = """
import sys

class Pressed:
    def find_spec(name, path=None, target=None):
        if name == "hypertok.cli.main":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Pressed)
from hypertok.__main__ import main
main()
"""


def test_an_interrupt_while_the_commands_load_is_no_traceback() -> None:
    done = subprocess.run([sys.executable, "-c", LOADING], capture_output=True, cwd=REPOSITORY, timeout=60)
    assert (done.returncode, done.stderr) == (130, b"")


TERMINATED = """
import os, signal, sys, time
from pathlib import Path
from hypertok.single_file import writing_file
from hypertok.cli import main

def app():
    with writing_file(Path(sys.argv[1])):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)

main.app = app
main.main()
"""


def test_a_terminated_command_leaves_nothing_half_written(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", TERMINATED, str(tmp_path / "x.gguf")], check=False, timeout=60)
    assert done.returncode == 143
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            Exception("Error while serializing: I/O error: No space left on device (os error 28)"),
            "is full",
        ),  # as safetensors says it
        (OSError("3000000 requested and 0 written"), "is full (3000000 requested and 0 written); make room"),  # numpy
        (OSError(28, "No space left on device", "x.bin"), "x.bin: No space left on device; make room"),
        (OSError(13, "Permission denied", "x.bin"), "x.bin: Permission denied; see to its permissions, or name"),
        (OSError(20, "Not a directory", "x/y"), "x/y: Not a directory; correct the path"),
        (OSError(21, "Is a directory", "x"), "x: Is a directory; name a file"),
        (OSError(5, "Input/output error", "x"), "x: Input/output error"),
    ],
)
def test_an_error_of_the_system_is_told_in_a_line(
    error: Exception, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def app() -> None:
        raise error

    monkeypatch.setattr(main, "app", app)
    with pytest.raises(SystemExit, match="1"):
        main.main()
    assert told in " ".join(capsys.readouterr().err.split())
    error = RuntimeError("something else")
    with pytest.raises(RuntimeError, match="something else"):
        main.main()
