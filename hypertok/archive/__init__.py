"""Archives: `pack_files` and `Packer` keep text small, through the lexicon's statistics and an entropy coder."""

from __future__ import annotations

from pathlib import Path

from hypertok.archive.container import Header, Member, Packer, read_header, self_contained_packer
from hypertok.archive.files import pack_files, write_members
from hypertok.archive.statistics import load_statistics
from hypertok.archive.text_coder import ArchiveModel

__all__ = [
    "Header",
    "Member",
    "Packer",
    "load_packer",
    "pack_files",
    "read_header",
    "self_contained_packer",
    "write_members",
]


def load_packer(lexicon: Path, sha256: str) -> Packer:
    """The packer of a lexicon folder whose manifest has this sha256 and has been checked.

    Raises:
        ArtifactError: the lexicon has no archive statistics.
    """
    return Packer(ArchiveModel(load_statistics(lexicon)), sha256)
