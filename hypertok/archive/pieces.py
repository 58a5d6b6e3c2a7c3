"""Text cut into pieces, the archive's alphabet: a lower-case key and a shape that restores the surface.

A piece is a Russian word, a run of Latin letters (`getElementById` is four), up to four digits, a run of one
punctuation mark, a line break with the indentation after it, or any other single character. Its shape says
whether one space stands before it and how it is capitalised, so that «Печень», « печень» and «ПЕЧЕНЬ» share
their statistics.

>>> split("В печени, В")
[(2, 'в'), (1, 'печени'), (0, ','), (3, 'в')]
>>> join(split("В печени, В"))
'В печени, В'
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from hypertok.corpus.words import WORD_PATTERN

#: A shape is `2 * capitals + space`: capitals 0 as is, 1 first letter, 2 all letters; space 1 when one stands
#: before.
SHAPES = 6
_CAPITALISED = 2
_UPPER = 4

# A space belongs to the piece after it; only spaces that have none to belong to are pieces themselves.
_PIECE = re.compile(
    rf"( ?)({WORD_PATTERN}|[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]{{1,4}}"
    r"|(?:\r?\n)+ *|([^\w\s])\3*|[^ ]| +(?= |$|\r|\n))",
    re.DOTALL,
)


def surfaces(text: str) -> list[str]:
    """The text cut into pieces as written, each with the space before it; joined they are `text`."""
    return [space + piece for space, piece, _ in _PIECE.findall(text)]


def shape_and_key(surface: str) -> tuple[int, str]:
    """Shape and key of one piece as written."""
    space = len(surface) > 1 and surface[0] == " " and surface.strip(" ") != ""
    piece = surface[1:] if space else surface
    key = piece.lower()
    if key == piece:
        return int(space), key
    if key[0].upper() + key[1:] == piece:
        return _CAPITALISED + space, key
    if key.upper() == piece:
        return _UPPER + space, key
    return int(space), piece


def surface_of(shape: int, key: str) -> str:
    """The piece as written, with the space before it."""
    if shape >= _UPPER:
        key = key.upper()
    elif shape >= _CAPITALISED:
        key = key[0].upper() + key[1:]
    return " " + key if shape & 1 else key


def split(text: str) -> list[tuple[int, str]]:
    """Shape and key of every piece of `text`, in order."""
    return [shape_and_key(surface) for surface in surfaces(text)]


def join(pieces: Iterable[tuple[int, str]]) -> str:
    """The text behind shapes and keys: `join(split(text)) == text` for every text."""
    return "".join(surface_of(shape, key) for shape, key in pieces)
