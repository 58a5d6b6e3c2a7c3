"""When two texts are the same one: compared normalised, and none so short that it is written twice by chance."""

from __future__ import annotations

import hashlib

from hypertok.corpus.normal_form import nfc

#: Characters (without margins) of which less is written twice by chance: a shorter document or paragraph is no leak.
BY_CHANCE = 80


def normalised(text: str) -> str:
    """The text in NFC (see `nfc`) and lower case, every run of white space one space."""
    return " ".join(nfc(text).casefold().split())


def identity_of(text: str) -> str:
    """sha256 of the normalised text."""
    return hashlib.sha256(normalised(text).encode()).hexdigest()
