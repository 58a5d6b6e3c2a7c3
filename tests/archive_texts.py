"""A handful of notes, the statistics of a lexicon that knows them, and short ways to pack and unpack."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from hypertok.archive.container import Member, Packer, self_contained_packer
from hypertok.archive.files import write_members
from hypertok.archive.learning import build_statistics
from hypertok.archive.statistics import Statistics

NOTES = [
    "# Печень\n\nПечень — самая большая железа. В печени идёт цикл мочевины, печень запасает гликоген.\n",
    "# Цикл Кребса\n\nЦикл Кребса идёт в митохондриях. Печень без него не живёт; сердце — тоже.\n",
    "---\ntags: [код]\n---\n\n```python\ndef get_note(path):\n    return path.read_text()\n```\n",
    "Книга лежала на столе. На столе стояла лампа, под лампой спал кот. Кот видел во сне печень.\n",
]
CLASSES = {
    "печень": ("NOUN nomn", "печень"),
    "печени": ("NOUN loct", "печень"),
    "столе": ("NOUN loct", "стол"),
}


@cache
def tiny_statistics() -> Statistics:
    return build_statistics(NOTES * 3, CLASSES.get)


def pack(content: str | bytes | Sequence[Member], packer: Packer | None = None) -> bytes:
    """The archive of one text without a name, or of members; without a packer it is self-contained."""
    content = content.encode() if isinstance(content, str) else content
    members = [Member("", content)] if isinstance(content, bytes) else content
    return (packer or self_contained_packer()).pack(members)


def unpack(data: bytes, packer: Packer | None = None) -> list[Member]:
    return (packer or self_contained_packer()).unpack(data)


def unpack_files(archive: Path, target: Path, packer: Packer, *, force: bool = False) -> list[Path]:
    """As the command does; returns the files written."""
    return write_members(packer.unpack(archive.read_bytes()), target, name=archive.stem, force=force)
