"""A handful of notes, and the statistics of a lexicon that knows them."""

from __future__ import annotations

from functools import cache

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
