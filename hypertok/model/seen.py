"""The documents that a model was trained on, known again by 64 bits of the identity of each.

They lie beside what is trained and beside what is merged of it, so that measuring can say which texts are not unseen.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from hypertok.corpus.identity import BY_CHANCE, identity_of
from hypertok.errors import ArtifactError

#: Numbers of 64 bits, little-endian and ascending.
SEEN = "seen.digests"
_Digests: TypeAlias = npt.NDArray[np.uint64]
_KIND = np.dtype("<u8")


def digest_of(identity: str) -> int:
    """The beginning of an identity (see `identity_of`): 64 bits tell millions of documents apart."""
    return int(identity[:16], 16)


def write_seen(folder: Path, digests: Iterable[int]) -> None:
    """Write the digests of documents into an existing folder."""
    _write(folder, np.fromiter(digests, _KIND))


def keep_seen(folder: Path, *made_from: Path) -> None:
    """Write what the folders that a model is made from tell into its own; nothing where none tells."""
    told = [digests for one in made_from if (digests := _read(one)) is not None]
    if told:
        _write(folder, np.concatenate(told))


def count_seen(folder: Path, documents: Iterable[str]) -> int | None:
    """How many of the documents the model in a folder was trained on; None where the folder does not tell.

    They are compared normalised and whole; those so short that they are written twice by chance count as unseen.

    Raises:
        ArtifactError: what it tells is cut off.
    """
    known = _read(folder)
    if known is None:
        return None
    long = [digest_of(identity_of(text)) for text in documents if len(text.strip()) >= BY_CHANCE]
    return int(np.isin(np.array(long, _KIND), known).sum())


def _write(folder: Path, digests: _Digests) -> None:
    (folder / SEEN).write_bytes(np.unique(digests).astype(_KIND).tobytes())


def _read(folder: Path) -> _Digests | None:
    path = folder / SEEN
    if not path.is_file():
        return None
    data = path.read_bytes()
    if len(data) % _KIND.itemsize:
        raise ArtifactError(
            f"{path}: cut off in the middle of a number; restore it from a copy, or make the folder again"
        )
    return np.frombuffer(data, _KIND)
