"""The fixed, numbered inventory of inflections; numbers become inflection marks and never change."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from hypertok.data import data_file, read_rows

#: The inflection of words that have none (conjunctions, adverbs), and of any a newer dictionary adds.
UNINFLECTED = ""


@dataclass(frozen=True)
class Inflections:
    """Inflection keys (see `grammemes.inflection_of`) and their numbers, which start at 1."""

    keys: tuple[str, ...]
    ids: dict[str, int]

    def id_of(self, key: str) -> int:
        """The number of an inflection; that of `UNINFLECTED` for one not in the inventory."""
        return self.ids.get(key, self.ids[UNINFLECTED])

    def key_of(self, number: int) -> str:
        """The inflection behind a number from 1 on."""
        return self.keys[number - 1]


@cache
def shipped_inflections() -> Inflections:
    """The inventory of `lexicon/ru/inflections.tsv`."""
    rows = read_rows(data_file("inflections.tsv"), ("id", "inflection"))
    keys = tuple(row["inflection"] for _, row in rows)
    return Inflections(keys, {key: number for number, key in enumerate(keys, 1)})
