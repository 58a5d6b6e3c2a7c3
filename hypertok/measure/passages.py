"""Passages of texts, equal in characters for every arm: where a model reads, continues or repeats."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import numpy as np

Item = TypeVar("Item")

_SPACE = re.compile(r"\s+")
_SENTENCE_END = re.compile(r"[.!?…][»”\")]*(?= )")


def passages(texts: Iterable[str], characters: int, count: int) -> list[str]:
    """At most `count` passages of at most `characters` characters, whole words, spread evenly over the texts.

    They do not overlap, and a text shorter than a passage gives none.

    >>> passages(["один два три четыре пять"], 9, 2)
    ['один два', 'четыре']
    """
    found = []
    for text in texts:
        place = 0
        while len(text) - place >= characters:
            end = place + characters
            if end < len(text) and not text[end].isspace():
                spaces = [match.start() for match in _SPACE.finditer(text, place, end)]
                end = spaces[-1] if spaces else end
            found.append(text[place:end].rstrip())
            after = _SPACE.match(text, end)
            place = after.end() if after else end
    return spread([passage for passage in found if passage], count)


def cut_passages(
    texts: Iterable[str], characters: int, count: int, ends: Callable[[str], Sequence[int]]
) -> list[tuple[str, int]]:
    """At most `count` passages of at most `characters` characters, evenly spread, each with the place where it is cut.

    Args:
        ends: the places of a passage at which a sentence ends; the first is taken, and a passage without one is not.
    """
    found = ((passage, ends(passage)) for passage in passages(texts, characters, 4 * count))
    return spread([(passage, places[0]) for passage, places in found if places], count)


def spread(items: Sequence[Item], count: int) -> list[Item]:
    """At most `count` of the items, evenly from the first to the last."""
    if len(items) <= count:
        return list(items)
    return [items[place] for place in np.linspace(0, len(items) - 1, count).round().astype(int).tolist()]


def sha256_of_texts(texts: Iterable[str]) -> str:
    """sha256 over texts and their borders."""
    digest = hashlib.sha256()
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()


def sentence_ends(passage: str, low: int, high: int) -> list[int]:
    """Places from `low` to `high` where a sentence ends and a space follows.

    The tokens of every tokenizer end there too, so a text cut there goes on as the model is used to; anywhere else a
    model with long units would be asked for a token that it never sees after such a beginning.

    >>> sentence_ends("Да. Нет! Может быть", 4, 19)
    [8]
    """
    return [match.end() for match in _SENTENCE_END.finditer(passage) if low <= match.end() <= high]
