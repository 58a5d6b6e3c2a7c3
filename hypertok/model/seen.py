"""The documents that a model was trained on, known again by 16 bytes of the identity of each.

They lie beside what is trained and beside what is merged of it, so that measuring can say which texts are not unseen.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from hypertok.corpus.identity import BY_CHANCE, identity_of

SEEN = "seen.digests"
_BYTES = 16


def write_seen(folder: Path, identities: Iterable[str]) -> None:
    """Write the identities of documents (see `identity_of`) into an existing folder."""
    _write(folder, map(_digest, identities))


def keep_seen(folder: Path, *made_from: Path) -> None:
    """Write what the folders that a model is made from tell into its own; nothing where none tells."""
    told = [digests for one in made_from if (digests := _read(one)) is not None]
    if told:
        _write(folder, frozenset[bytes]().union(*told))


def count_seen(folder: Path, documents: Iterable[str]) -> int | None:
    """How many of the documents the model in a folder was trained on; None where the folder does not tell.

    They are compared normalised and whole; those so short that they are written twice by chance count as unseen.
    """
    known = _read(folder)
    if known is None:
        return None
    return sum(len(text.strip()) >= BY_CHANCE and _digest(identity_of(text)) in known for text in documents)


def _digest(identity: str) -> bytes:
    return bytes.fromhex(identity)[:_BYTES]


def _write(folder: Path, digests: Iterable[bytes]) -> None:
    (folder / SEEN).write_bytes(b"".join(sorted(set(digests))))


def _read(folder: Path) -> frozenset[bytes] | None:
    try:
        data = (folder / SEEN).read_bytes()
    except FileNotFoundError:
        return None
    return frozenset(data[at : at + _BYTES] for at in range(0, len(data), _BYTES))
