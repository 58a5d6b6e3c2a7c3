"""Cutting a stream of text into pieces of bounded size, at line ends where there are any."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hypertok.corpus.records import Tally

#: Characters of the longest piece: one document, so also what one worker holds of a text at a time.
PIECE = 1 << 20
#: Characters from which a line is called enormous and reported.
LINE_LIMIT = 16 << 20
_SPACES = " \t\r\f\v\u00a0"


def cut_pieces(blocks: Iterable[str], tally: Tally, piece: int = PIECE) -> Iterator[str]:
    """The text of `blocks` in pieces of at most `piece` characters; joined, they are the text again.

    A piece ends at a line end if there is one, else at a space, else anywhere. What is cut anywhere, and
    lines longer than LINE_LIMIT, are told to `tally`.
    """
    rest = ""
    line = 0  # characters of the current line in pieces already given away
    for block in blocks:
        text = rest + block if rest else block
        start = 0
        while len(text) - start > piece:
            stop = text.rfind("\n", start, start + piece) + 1
            if stop > start:
                line = 0
            else:
                stop = 1 + max(text.rfind(space, start, start + piece) for space in _SPACES)
                if stop <= start:
                    stop = start + piece
                    tally.note(f"over {_size(piece)} without a space, cut")
                line += stop - start
                if line > LINE_LIMIT:
                    tally.note(f"line over {_size(LINE_LIMIT)}, cut")
            yield text[start:stop]
            start = stop
        rest = text[start:]
    if rest:
        yield rest


def _size(characters: int) -> str:
    return f"{characters >> 20} Mi characters" if characters >= 1 << 20 else f"{characters} characters"
