"""Reader for HTML and FB2: the text between the tags, blank lines between blocks, parsed as it streams in.

libxml2's HTML parser reads both: no tree is built, so a file of any size takes little memory; nothing is
fetched and no entity defined by the file is expanded; and it recovers where its XML parser drops the rest
of a book after one stray "<". The encoding is told from the bytes: declarations are wrong too often.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from lxml import etree

from hypertok.corpus.chunks import PIECE
from hypertok.corpus.prose import blank_addresses
from hypertok.corpus.records import Part, Piece, Tally
from hypertok.corpus.text_source import decoded_pieces

#: Elements that do not interrupt a line of text.
_INLINE = frozenset(
    """a abbr acronym b bdi bdo big cite code data del dfn em emphasis font html i ins kbd label mark q s samp
    small span strike strikethrough strong sub sup time tt u var wbr""".split()  # noqa: SIM905
)
#: Elements that end no more than a line: verse stays together. Others end a paragraph, or words of two were a phrase.
_LINES = frozenset(("br", "v"))
#: Elements without any text for a reader.
_DROPPED = {
    "html": frozenset({"script", "style", "template", "noscript", "svg", "math", "object", "iframe"}),
    "fb2": frozenset({"binary", "stylesheet", "document-info", "publish-info", "custom-info"}),
}
#: Elements whose text stays in the document but is not prose.
_CODE = frozenset(("code", "pre", "kbd", "samp", "tt"))


#: Two elements of FB2 bear names whose content HTML takes as it is, tags and all.
_FB2_NAMES = re.compile(r"<(/?)(title|style)\b")
_FB2_TO_HTML = {"title": "div", "style": "span"}
_CDATA = re.compile(r"<!\[CDATA\[|\]\]>")
_NO_CONTROLS = dict.fromkeys([*range(9), 11, 12, *range(14, 32)], " ")
#: Characters fed to the parser at a time; it keeps several copies of them.
_FEED = 1 << 16


def read_markup(path: Path, part: Part, tally: Tally) -> Iterator[Piece]:
    """Pieces of an HTML or FB2 file, several where it is large."""
    collector = _Collector(tally.format)
    parser = etree.HTMLParser(target=collector, encoding="utf-8", no_network=True, huge_tree=False)
    with open(path, "rb") as file:
        for piece in decoded_pieces(file, part, tally, tell_cuts=False):
            piece = piece.translate(_NO_CONTROLS)
            if tally.format == "fb2":
                piece = _CDATA.sub(" ", _FB2_NAMES.sub(lambda m: f"<{m[1]}{_FB2_TO_HTML[m[2]]}", piece))
            for start in range(0, len(piece), _FEED):
                parser.feed(piece[start : start + _FEED].encode("utf-8", "replace"))
            if collector.size >= PIECE // 2 and (taken := collector.take()):
                yield taken
    if tally.skipped:
        return
    try:
        parser.close()
    except etree.LxmlError as error:
        tally.lose(f"markup is broken: {error}")
    if taken := collector.take():
        yield taken


class _Collector:
    """Receives the parser's events and gathers text and prose side by side."""

    def __init__(self, kind: str) -> None:
        self._dropped = _DROPPED[kind]
        self._inside_dropped = 0
        self._inside_code = 0
        self._text: list[str] = []
        self._prose: list[str] = []
        self.size = 0  # characters gathered since the last `take`

    def start(self, tag: str, _attributes: object) -> None:
        name = _local(tag)
        self._break(name)
        self._inside_dropped += name in self._dropped
        self._inside_code += name in _CODE

    def end(self, tag: str) -> None:
        name = _local(tag)
        self._inside_dropped -= name in self._dropped
        self._inside_code -= name in _CODE
        self._break(name)

    def data(self, data: str) -> None:
        between = data.isspace() and not self._inside_code and self._text and self._text[-1].endswith("\n")
        if not self._inside_dropped and not between:  # indentation between blocks
            self._text.append(data)
            self._prose.append(" " if self._inside_code else data)
            self.size += len(data)

    def comment(self, _text: str) -> None:
        """Comments are not read."""

    def close(self) -> None:
        """The parser has ended."""

    def take(self) -> Piece | None:
        """What was gathered since the last time, if it is more than blanks."""
        text, prose = "".join(self._text), self._prose
        if not text or text.isspace():
            return None
        self._text, self._prose, self.size = [], [], 0
        return text, lambda: blank_addresses("".join(prose))

    def _break(self, name: str) -> None:
        end = "\n" if name in _LINES else "\n\n"
        if name in _INLINE or self._inside_dropped or not self._text or self._text[-1].endswith(end):
            return
        end = "\n" if self._text[-1].endswith("\n") else end
        self._text.append(end)
        self._prose.append(end)


def _local(tag: str) -> str:
    """The name without its namespace, in lower case."""
    return tag.rpartition("}")[2].lower()
