"""Reader for .json, .canvas and .ipynb: the texts in a document, which as it stands has «\\nПечень» or \\u041f….

The elements of a list are records; anything else is one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from hypertok.corpus.encodings import codec_of
from hypertok.corpus.fields import record_documents, text_of
from hypertok.corpus.records import Part, Piece, Tally
from hypertok.corpus.text_source import judge, read_head, read_text, sha256_range

#: Bytes of the largest document that is parsed, which is done whole: 68 MiB of a chat took 0.3 GiB of memory.
DOCUMENT_LIMIT = 64 << 20


def read_json(path: Path, part: Part, tally: Tally, *, join: bool = True) -> Iterator[Piece]:
    """Pieces of documents made of the strings of a JSON document.

    What is none, or too large to be parsed, is read as text to be counted, and left out where texts are trained or
    measured on (not `join`): a model would learn the syntax.
    """
    if part.size > DOCUMENT_LIMIT:
        size = f"over {DOCUMENT_LIMIT >> 20} MiB"
        if not join:
            tally.skip(f"{size}; save it as JSON Lines (of a chat: jq -c '.messages[]' FILE > FILE.jsonl)")
            return
        tally.lose(f"{size}: read as text, where words after \\n are lost; save it as JSON Lines")
        yield from read_text(path, part, tally)
        return
    tally.sha256 = sha256_range(path, part)
    with open(path, "rb") as file:
        if not judge(read_head(file, part.size), tally):
            return
        file.seek(0)
        text = file.read().decode(codec_of(tally.encoding), "replace")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        if not join:
            tally.skip(f"no JSON ({error}); correct it; with a record on each line it is a .jsonl")
            return
        tally.note(f"no JSON ({error}): read as text")
        yield from read_text(path, part, tally)
        return
    tally.look_for_damage(text)
    del text
    yield from record_documents(map(text_of, value if isinstance(value, list) else [value]), tally, join=join)
