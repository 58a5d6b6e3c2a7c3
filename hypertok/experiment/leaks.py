"""Held-out text in the training text: found as whole documents, or as most of a document's long paragraphs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from hypertok.corpus.identity import BY_CHANCE, normalised

if TYPE_CHECKING:
    from hypertok.training.data import Text

#: A held-out document is in the training text when this share of its long paragraphs is.
_SHARE = 0.5


def find_leaks(
    held: Iterable[Text], corpus: Iterable[Text], beginning: int | None = None
) -> tuple[dict[str, str], int, str]:
    """Held-out documents that are training texts, or have most of their long paragraphs in them.

    Args:
        beginning: characters of a document that are measured; those are asked about by themselves, too.

    Returns:
        What is wrong, by the name of the held-out document; characters and sha256 of the training texts.
    """
    from hypertok.training.data import refusable

    held = list(held)
    whole = refusable(held)
    parts = [
        (text.name, part) for text in held for part in dict.fromkeys((text.text, _to_line_end(text.text, beginning)))
    ]
    paragraphs = [(name, set(_paragraphs(part))) for name, part in parts]
    watched = set().union(*(own for _, own in paragraphs))
    seen: dict[bytes, str] = {}
    same: dict[str, str] = {}
    characters, digest = 0, hashlib.sha256()
    for text in corpus:
        if text.identity in whole:
            same.setdefault(text.identity, text.name)
        characters += len(text.text)
        digest.update(hashlib.sha256(text.text.encode("utf-8", "surrogatepass")).digest())
        for one in watched.intersection(_paragraphs(text.text)):
            seen.setdefault(one, text.name)
    leaks = {t.name: _leak(t.name, same[t.identity], "is the same text") for t in held if t.identity in same}
    for name, own in paragraphs:
        found = own & seen.keys()
        if found and len(found) >= _SHARE * len(own):
            told = f"has {len(found)} of its {len(own)} long paragraphs"
            leaks.setdefault(name, _leak(name, seen[min(found)], told))
    return leaks, characters, digest.hexdigest()


def _leak(held: str, training: str, what: str) -> str:
    return (
        f"held-out document {held}: the training text {training} {what}; a model must not be measured on what it was "
        "trained on: take it out of one of the two"
    )


def _to_line_end(text: str, characters: int | None) -> str:
    """The beginning of a text with the whole of its last line, for lines are compared as wholes."""
    if characters is None:
        return text
    end = 0
    for line in text.splitlines(keepends=True):
        if end >= characters:
            break
        end += len(line)
    return text[:end]


def _paragraphs(text: str) -> Iterator[bytes]:
    """Hashes of long lines, normalised as whole texts are."""
    for line in text.splitlines():
        line = normalised(line)
        if len(line) >= BY_CHANCE:
            yield hashlib.blake2b(line.encode("utf-8", "surrogatepass"), digest_size=12).digest()
