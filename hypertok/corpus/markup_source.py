"""Reader for HTML and FB2: the text between the tags, a line per block, parsed as it streams in.

libxml2 parses with recovery and without entities, network or the lifting of its size limits; no tree is
built, so a file of any size takes little memory. The encoding is told from the bytes, not from what the
file declares: declarations are wrong too often.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lxml import etree

from hypertok.corpus.prose import blank_addresses
from hypertok.corpus.records import Part, Tally
from hypertok.corpus.text_source import decoded_pieces

#: Elements that do not interrupt a line of text.
_INLINE = frozenset(
    ("a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "data", "del", "dfn", "em", "emphasis")
    + ("font", "i", "ins", "kbd", "label", "mark", "q", "s", "samp", "small", "span", "strike", "strikethrough")
    + ("strong", "style", "sub", "sup", "time", "tt", "u", "var", "wbr")
)
#: Elements without any text for a reader.
_DROPPED = {
    "html": frozenset(("script", "style", "template", "noscript", "svg", "math", "object", "iframe", "canvas")),
    "fb2": frozenset(("binary", "stylesheet", "document-info", "publish-info", "custom-info")),
}
#: Elements whose text stays in the document but is not prose.
_CODE = frozenset(("code", "pre", "kbd", "samp", "tt"))


def read_markup(path: Path, part: Part, tally: Tally) -> Iterator[tuple[str, str]]:
    """Text and prose of an HTML or FB2 file, in pieces where it is large."""
    collector = _Collector(tally.format)
    parser = _parser(tally.format, collector)
    with open(path, "rb") as file:
        for piece in decoded_pieces(file, part, tally):
            # XML forbids control characters, and recovery would end the text there.
            parser.feed(piece.translate(_NO_CONTROLS).encode("utf-8", "replace"))
            if text := collector.take():
                yield text
    if tally.skipped:
        return
    try:
        parser.close()
    except etree.LxmlError as error:
        tally.note(f"markup is broken: {error}")
    if text := collector.take():
        yield text


_NO_CONTROLS = dict.fromkeys([*range(9), 11, 12, *range(14, 32)], " ")


def _parser(kind: str, collector: _Collector) -> etree.XMLParser | etree.HTMLParser:
    if kind == "html":
        return etree.HTMLParser(target=collector, encoding="utf-8", no_network=True, huge_tree=False)
    return etree.XMLParser(
        target=collector,
        encoding="utf-8",
        recover=True,
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
    )


class _Collector:
    """Receives the parser's events and gathers text and prose side by side."""

    def __init__(self, kind: str) -> None:
        self._dropped = _DROPPED[kind]
        self._inside_dropped = 0
        self._inside_code = 0
        self._text: list[str] = []
        self._prose: list[str] = []

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
        if not self._inside_dropped:
            self._text.append(data)
            self._prose.append(" " if self._inside_code else data)

    def comment(self, _text: str) -> None:
        """Comments are not read."""

    def close(self) -> None:
        """The parser has ended."""

    def take(self) -> tuple[str, str] | None:
        """What was gathered since the last time, if it is more than blanks."""
        text, prose = "".join(self._text), "".join(self._prose)
        if not text or text.isspace():
            return None
        self._text, self._prose = [], []
        return text, blank_addresses(prose)

    def _break(self, name: str) -> None:
        if name not in _INLINE and not self._inside_dropped:
            self._text.append("\n")
            self._prose.append("\n")


def _local(tag: str) -> str:
    """The name without its namespace, in lower case."""
    return tag.rpartition("}")[2].lower()
