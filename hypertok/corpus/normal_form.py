"""NFC in time that grows with the text, whatever marks are heaped on a letter.

Marks on one letter are put in order before they are composed, which takes the square of their number: hours for a
million of them. So they are cut first, as the Stream-Safe Text Format of Unicode does it (UAX #15, section 13).
"""

from __future__ import annotations

import unicodedata

#: So many marks on one letter no writing has: the bound of the Stream-Safe Text Format.
_MOST = 30
#: U+034F, which is seen as nothing and begins the next row of marks.
_JOINER = "\u034f"
#: Begin no character, though they are in no class of marks: they are taken apart into marks.
_OF_MARKS = "\u0f73\u0f75\u0f81"


def nfc(text: str) -> str:
    """`text` in NFC, with a combining grapheme joiner after every 30 marks in a row.

    >>> nfc("за\\u0301мок и\\u0306од")
    'за́мок йод'
    """
    if unicodedata.is_normalized("NFC", text := _stream_safe(text)):
        return text
    return unicodedata.normalize("NFC", text)


def _stream_safe(text: str) -> str:
    parts: list[str] = []
    done = 0
    # A row of more than so many has one of these places.
    for place in [place for place in range(0, len(text), _MOST + 1) if _is_mark(text[place])]:
        if place < done:
            continue
        first = last = place
        while first > done and _is_mark(text[first - 1]):
            first -= 1
        while last < len(text) and _is_mark(text[last]):
            last += 1
        if last - first > _MOST:
            parts += (text[done:first], _JOINER.join(text[n : min(n + _MOST, last)] for n in range(first, last, _MOST)))
            done = last
    return "".join(parts) + text[done:] if parts else text


def _is_mark(char: str) -> bool:
    return unicodedata.combining(char) != 0 or char in _OF_MARKS
