"""Text of others (names of files, what stands in them) as a terminal may be given it."""

from __future__ import annotations

import unicodedata

from rich import markup

#: Line ends of our own messages, and what joins pictures.
_KEPT = "\n\u200d"


def escape(text: str) -> str:
    r"""Text that says nothing to rich or to a terminal: what steers one, or turns the direction, is told by number.

    >>> escape("[b] \x1b[2J \u202e")
    '\\[b] \\x1b[2J \\u202e'
    """
    return markup.escape("".join(_told(char) for char in text) if not text.isprintable() else text)


def _told(char: str) -> str:
    if char in _KEPT or unicodedata.category(char) not in ("Cc", "Cf"):
        return char
    return char.encode("unicode_escape").decode()
