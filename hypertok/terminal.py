"""What a terminal would not show but obey, or show in another order, in text of others."""

from __future__ import annotations

import unicodedata

#: Line ends, and what joins pictures.
_HARMLESS = "\n\u200d"


def steers(character: str) -> bool:
    r"""Whether a character steers a terminal, turns the direction of text, or does something else unseen.

    >>> [steers(one) for one in "a\n\x1b\u202e"]
    [False, False, True, True]
    """
    return character not in _HARMLESS and unicodedata.category(character) in ("Cc", "Cf")
