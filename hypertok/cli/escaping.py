"""Text of others (names of files, what stands in them) as a terminal may be given it."""

from __future__ import annotations

from rich import markup

from hypertok.terminal import steers


def escape(text: str) -> str:
    r"""Text that says nothing to rich or to a terminal: what steers one, or turns the direction, is told by number.

    >>> escape("[b] \x1b[2J \u202e")
    '\\[b] \\x1b[2J \\u202e'
    """
    if not text.isprintable():
        text = "".join(char.encode("unicode_escape").decode() if steers(char) else char for char in text)
    return markup.escape(text)
