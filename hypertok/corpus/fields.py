"""Records (JSON objects, table rows) to documents: which fields are text, and small records joined.

Counting words, a record of a line or two is far too small to be handled on its own: joining records into
documents of about 64 KiB makes reading a file of sentence pairs four times faster. Where it matters what one
document is (training, measuring), every record stays one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial

from hypertok.corpus.chunks import PIECE, cut_pieces
from hypertok.corpus.markdown import MarkdownMask, looks_like_markdown
from hypertok.corpus.mojibake import repair_mojibake
from hypertok.corpus.prose import blank_addresses
from hypertok.corpus.records import Piece, Tally

#: Names of the field that holds the text, most telling first; compared without regard to case.
TEXT_FIELDS = ("text", "content", "body", "document", "message", "article", "текст")
#: Characters from which joined records become a document.
BATCH = 64 << 10
#: Between records, and cells of one, which are no phrase.
_BETWEEN = "\n\n"
SURROGATE = re.compile("[\ud800-\udfff]")


def text_field(names: Iterable[str]) -> str | None:
    """The name, as given, of the field that holds the text; None when no name is telling."""
    known = {name.lower(): name for name in reversed(list(names))}
    return next((known[field] for field in TEXT_FIELDS if field in known), None)


def text_of(value: object) -> str:
    """The text of a record: its text field, also where that has parts, or else every string in it, one a line.

    Elements of a list make no phrase with each other, unless they are parts of one text.

    >>> text_of({"id": "7", "Text": "Печень."})
    'Печень.'
    >>> text_of({"messages": [{"role": "user", "content": "Болит?"}, {"role": "user", "content": "Нет."}]})
    'Болит?\\n\\nНет.'
    >>> text_of({"text": ["Болит ", {"type": "bold", "text": "печень"}, "."]})
    'Болит печень.'
    """
    parts: list[str] = []
    for before, text in _strings(value):
        parts += [before, text] if parts else [text]
    return "".join(parts)


def text_of_cells(cells: Iterable[object]) -> str:
    """The texts of a row's cells, which make no phrase with each other."""
    return _BETWEEN.join(filter(None, map(text_of, cells)))


def _strings(value: object) -> Iterator[tuple[str, str]]:
    """Every string, and what stands between it and the one before: the widest gap on the way."""
    before = ""
    pending = [("", value)]  # with the gap before each
    while pending:  # a list, not recursion: records may be nested deeper than Python's stack
        gap, value = pending.pop()
        before = max(before, gap, key=len)
        if isinstance(value, str):
            if value:  # of an empty one (a message that is a picture) no gap is left
                yield before, value
                before = ""
        elif isinstance(value, Mapping):
            strings = [name for name, inner in value.items() if isinstance(inner, str)]
            field = text_field(name for name, inner in value.items() if _has_text(inner)) or text_field(strings)
            pending += _with_gaps([value[field]] if field else list(value.values()), "\n")
        elif isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
            pending += _with_gaps(value, "" if _is_one_text(value) else _BETWEEN)


def _with_gaps(values: Sequence[object], gap: str) -> list[tuple[str, object]]:
    """The last one first, as a stack has it."""
    return [(gap if place else "", values[place]) for place in reversed(range(len(values)))]


def _is_one_text(parts: Sequence[object]) -> bool:
    """Whether a list is one text: strings, formatted ones between (Telegram), or lines with their ends (notebooks)."""
    strings = [part for part in parts if isinstance(part, str)]
    if len(strings) == len(parts):
        return all(part.endswith("\n") for part in strings[:-1])
    others = [part for part in parts if not isinstance(part, str)]
    return bool(strings) and all(isinstance(part, Mapping) and isinstance(part.get("text"), str) for part in others)


def _has_text(value: object) -> bool:
    """Whether it is a text, a list of parts of one (a formatted message), or a record with a field that holds text."""
    if isinstance(value, str):
        return not _blank(value)
    if isinstance(value, Mapping):
        return text_field(value) is not None
    return isinstance(value, list) and any(_has_text(one) for one in value if not isinstance(one, list))


def _blank(text: str) -> bool:
    return not text or text.isspace()


def record_documents(texts: Iterable[str], tally: Tally, *, join: bool = True) -> Iterator[Piece]:
    """Pieces of documents made of `texts` in order; a record of over PIECE characters is cut.

    Unless they are to `join`, every record that is not blank is a document of its own.
    """
    batch: list[str] = []
    size = 0
    enough = BATCH if join else 0
    for text in texts:
        if _blank(text):
            continue
        text = SURROGATE.sub("\ufffd", text)  # half a character from a "\ud83d" cannot be written anywhere
        if len(text) > BATCH:
            if batch:
                yield _document(batch, tally)
                batch, size = [], 0
            yield from _large(text, tally)
            continue
        batch.append(text)
        size += len(text) + len(_BETWEEN)
        if size >= enough:
            yield _document(batch, tally)
            batch, size = [], 0
    if batch:
        yield _document(batch, tally)


def _document(batch: list[str], tally: Tally) -> Piece:
    text, repaired = repair_mojibake(_BETWEEN.join(batch))
    if repaired:
        tally.repaired.update(dict.fromkeys(repaired))
        batch = [repair_mojibake(record)[0] for record in batch]
        text = _BETWEEN.join(batch)
    if not looks_like_markdown(text):
        return text, partial(blank_addresses, text)
    # Each record on its own: a fence left open in one must not swallow the next.
    return text, lambda: _BETWEEN.join(map(_mask, batch))


def _large(text: str, tally: Tally) -> Iterator[Piece]:
    mask = MarkdownMask() if looks_like_markdown(text) else blank_addresses
    for piece in cut_pieces([text], tally, PIECE):
        piece, repaired = repair_mojibake(piece)
        tally.repaired.update(dict.fromkeys(repaired))
        yield piece, partial(mask, piece)


def _mask(text: str) -> str:
    return MarkdownMask()(text) if looks_like_markdown(text) else blank_addresses(text)
