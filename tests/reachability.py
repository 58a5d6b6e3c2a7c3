"""Does an extended tokenizer make every unit that it has?"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from hypertok.tokenizer.stock import Family, Stock
from hypertok.vocabulary.units import Units

_JOINERS = ",;:-"
_NEIGHBOURS = ("щ", "Ы", "эф")


def unreachable(data: dict[str, Any], units: Units) -> list[str]:
    """Units that the extended tokenizer never makes.

    Each unit must come out of the merges alone (`ignore_merges` finds units that are a whole piece of text without,
    but not inside a run of words), and out of the text it stands for: a unit that the normaliser rewrites (Qwen makes
    NFC of all text) or that the pre-tokenizer cuts never occurs. A unit that is part of a character is tried on the
    merges only, one that begins or ends between words («, что») is tried between words.
    """
    byte_level = '"ByteLevel"' in json.dumps(data.get("pre_tokenizer"))
    changed = {**data, "model": {**data["model"], "ignore_merges": False}, "post_processor": None}
    merging = Stock(Path("tokenizer.json"), changed, Family.BYTE_LEVEL if byte_level else Family.SENTENCEPIECE)
    vocabulary, model = data["model"]["vocab"], merging.tokenizer.model
    lost = {token for token in units.tokens if [made.id for made in model.tokenize(token)] != [vocabulary[token]]}
    texts = {}
    for token in units.tokens:
        with suppress(UnicodeDecodeError):
            texts[token] = merging.bytes_of(token).decode()
    cut = set(texts)
    for neighbour in _NEIGHBOURS:  # one may merge with the unit's joiner
        tried = [token for token in texts if token in cut]
        made = merging.segment([_between(neighbour, texts[token]) for token in tried])
        cut -= {token for token, ids in zip(tried, made, strict=True) if vocabulary[token] in ids}
    return [token for token in units.tokens if token in lost or token in cut]


def _between(word: str, text: str) -> str:
    """The text with a word on each side where it begins or ends with a joiner, as it stands in a run."""
    before = word if text[0] in _JOINERS or text.startswith((" —", " –", " -")) else ""
    if text[-1].isalpha():
        return before + text
    return before + text + (word if text[-1] == "-" and not text.endswith(" -") else f" {word}")
