"""Archives: `pack` and `unpack` text through the lexicon's statistics and an entropy coder.

>>> unpack(pack("Печень — орган."))[0].content.decode()
'Печень — орган.'
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from hypertok.archive.container import Header, Member, Packer, read_header, self_contained_packer
from hypertok.archive.files import pack_files, read_members, unpack_files, write_members
from hypertok.archive.statistics import load_statistics
from hypertok.archive.text_coder import ArchiveModel
from hypertok.errors import InputError

__all__ = [
    "Header",
    "Member",
    "Packer",
    "load_packer",
    "pack",
    "pack_files",
    "read_header",
    "read_members",
    "self_contained_packer",
    "unpack",
    "unpack_files",
    "write_members",
]


def load_packer(lexicon: Path, sha256: str) -> Packer:
    """The packer of a lexicon folder whose manifest has this sha256 and has been checked.

    Raises:
        ArtifactError: the lexicon has no archive statistics.
    """
    return Packer(ArchiveModel(load_statistics(lexicon)), sha256)


def pack(content: str | bytes | Iterable[Member], packer: Packer | None = None) -> bytes:
    """Pack one text, bytes, or members; without a packer the archive is self-contained.

    Raises:
        InputError: a text has lone surrogates, which UTF-8 cannot hold.
    """
    if isinstance(content, str):
        try:
            content = content.encode()
        except UnicodeEncodeError as error:
            raise InputError(
                f"character {error.start} is a lone surrogate, which UTF-8 cannot hold: pack bytes instead"
            ) from error
    members = [Member("", content)] if isinstance(content, bytes) else content
    return (packer or self_contained_packer()).pack(members)


def unpack(data: bytes, packer: Packer | None = None) -> list[Member]:
    """The members of an archive; the packer must hold the lexicon it was packed with.

    Raises:
        ArtifactError: not an archive, damaged, cut short, newer, or packed with another lexicon.
    """
    return (packer or self_contained_packer()).unpack(data)
