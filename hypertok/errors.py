"""The errors hypertok raises on purpose; each message names what, where and what to do about it."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

#: A path that needs no quotes on Windows.
_PLAIN = re.compile(r"[\w+=:,./\\%-]+")


class HypertokError(Exception):
    """Base of every error that hypertok raises for a reason the user can act on."""


class InputError(HypertokError):
    """The input (a file, a value, an option) cannot be used as it is."""


class ArtifactError(HypertokError):
    """An artefact on disk is missing, damaged, foreign or written by a newer hypertok."""


class CodecError(HypertokError):
    """Text cannot be encoded, or symbol text cannot be decoded."""


def first_line(error: Exception) -> str:
    """The first line of what a library says, which may go on for a page."""
    return (str(error).splitlines() or ["unknown"])[0]


def said_of(mistake: Mapping[str, Any]) -> str:
    """What pydantic says of one mistake (of `ValidationError.errors()`), without its own words before those of ours."""
    return str(mistake["msg"]).removeprefix("Value error, ")


def install(extra: str) -> str:
    """The command that installs what an extra needs, as it is to be typed."""
    return f'pip install "hypertok-concepts[{extra}]"'


def quoted(path: Path) -> str:
    """A path as it is to be typed in a command that is suggested."""
    if os.name == "nt":  # cmd.exe knows no single quotes
        return str(path) if _PLAIN.fullmatch(str(path)) else f'"{path}"'
    return shlex.quote(str(path))
