"""Minimal pairs: how often a model finds the grammatical sentence of two likelier, by phenomenon.

The two differ in a form or two. A tokenizer with whole forms as units may have lost what tells them apart, so this asks
whether inflection survived. The score of a sentence is the sum of its tokens' log-probabilities after the start, not
divided by a length: both are the same model's, on whole sentences.

A sentence has more spellings than the one that is scored: what is a unit can be written in stock tokens, and what a
model gives to that is lost, mostly where the right form is a unit and the wrong one is not. So pairs that differ in
units are scored in both, too.

Source: BLiMP (Warstadt et al., 2020), and RuBLiMP for Russian (Taktasheva et al., 2024). That the
probability of a text is the sum over its spellings: Cao and Rimell (2021).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import numpy as np

from hypertok.errors import InputError
from hypertok.measure.quality import measure_quality
from hypertok.measure.subject import Subject
from hypertok.tokenizer.spelling import Flags, Spelling

#: Names that columns go by in published files, the first that is there is taken.
_CHOSEN = ("chosen", "sentence_good", "good_sentence", "source_sentence", "grammatical")
_REJECTED = ("rejected", "sentence_bad", "bad_sentence", "target_sentence", "ungrammatical")
_PHENOMENON = ("phenomenon", "linguistics_term", "PID", "paradigm", "UID", "category")


@dataclass(frozen=True)
class MinimalPair:
    """A sentence, one that differs and is wrong, and what kind of mistake it is."""

    chosen: str
    rejected: str
    phenomenon: str


@dataclass(frozen=True)
class Phenomenon:
    """Accuracy on the pairs of one phenomenon."""

    name: str
    pairs: int
    correct: int
    accuracy: float


@dataclass(frozen=True)
class PairAccuracy:
    """Accuracy over all pairs and by phenomenon, in the order of names; a tie is no right answer.

    Attributes:
        right: pair by pair.
        either: the same by the sum of two spellings: as the tokenizer has it, and with the units in which the two
            sentences differ written in stock tokens; none for a model without units, and in older results.
    """

    pairs: int
    correct: int
    accuracy: float
    phenomena: tuple[Phenomenon, ...]
    right: tuple[bool, ...]
    either: tuple[bool, ...] = ()

    @property
    def either_accuracy(self) -> float | None:
        """Share that is right by the sum of two spellings; None where they were not scored."""
        return sum(self.either) / len(self.either) if self.either else None


def read_pairs(path: Path | str) -> list[MinimalPair]:
    """Pairs of a JSON Lines file; columns go by their usual names (chosen, sentence_good, source_sentence …).

    Raises:
        InputError: unreadable, no such columns, or a line whose sentences are missing or the same.
    """
    try:
        # At "\n" alone: splitlines would also cut at U+2028 and its like, which may stand inside a JSON string.
        lines = Path(path).read_bytes().decode("utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error}); give a JSON Lines file of pairs in UTF-8") from error
    pairs = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(f"{path}:{number}: no JSON ({error}); every line is one pair") from error
        chosen, rejected = _column(record, _CHOSEN), _column(record, _REJECTED)
        if not chosen or not rejected or chosen == rejected:
            names = sorted(record) if isinstance(record, dict) else type(record).__name__
            raise InputError(
                f"{path}:{number}: needs two different sentences in columns such as chosen and rejected, has {names}"
            )
        pairs.append(MinimalPair(chosen, rejected, _column(record, _PHENOMENON) or "all"))
    if not pairs:
        raise InputError(f"{path}: no pairs in it; every line is one pair, with columns such as chosen and rejected")
    return pairs


def measure_pairs(subject: Subject, pairs: Sequence[MinimalPair], *, context: int = 512) -> PairAccuracy:
    """Score both sentences of every pair.

    Raises:
        InputError: no pairs.
    """
    if not pairs:
        raise InputError("no minimal pairs to measure on")
    sentences = [sentence for pair in pairs for sentence in (pair.chosen, pair.rejected)]
    coding = subject.coding
    quality = measure_quality(subject.model, coding.encode, sentences, start=coding.start, context=context)
    bits = [document.bits for document in quality.documents]
    right = _right(bits)
    spelling = coding.spelling() if coding.spelling else None
    either = _right(_in_either(subject, spelling, sentences, bits, context)) if spelling else ()
    groups: dict[str, list[bool]] = {}
    for pair, answer in zip(pairs, right, strict=True):
        groups.setdefault(pair.phenomenon, []).append(answer)
    phenomena = tuple(
        Phenomenon(name, len(found), sum(found), sum(found) / len(found)) for name, found in sorted(groups.items())
    )
    return PairAccuracy(len(right), sum(right), sum(right) / len(right), phenomena, right, either)


def _right(bits: Sequence[float]) -> tuple[bool, ...]:
    """Whether the first of each two sentences is the likelier one."""
    return tuple(chosen < rejected for chosen, rejected in zip(bits[::2], bits[1::2], strict=True))


def _in_either(
    subject: Subject, spelling: Spelling, sentences: Sequence[str], bits: Sequence[float], context: int
) -> list[float]:
    """Bits of the sentences of pairs, summed over two spellings; `bits` are those of the tokenizer's own."""
    coding, found = subject.coding, list(bits)
    other: dict[int, list[int]] = {}
    for number in range(0, len(sentences), 2):
        both = [coding.encode(sentence) for sentence in sentences[number : number + 2]]
        for place, (ids, kept) in enumerate(zip(both, _in_common(*both), strict=True), number):
            spelled, _ = spelling.spell(np.asarray(ids, np.int64), kept)
            if len(spelled) > len(ids):
                other[place] = spelled.tolist()
    prepared = iter(other.values())
    texts = [sentences[place] for place in other]
    if texts:
        quality = measure_quality(
            subject.model, lambda text: next(prepared), texts, start=coding.start, context=context
        )
        for place, document in zip(other, quality.documents, strict=True):
            found[place] = -float(np.logaddexp2(-found[place], -document.bits))
    return found


def _in_common(one: list[int], other: list[int]) -> tuple[Flags, Flags]:
    """Which ids of each also stand in the other, in the same order."""
    flags = np.zeros(len(one), np.bool_), np.zeros(len(other), np.bool_)
    for first, second, size in SequenceMatcher(None, one, other, autojunk=False).get_matching_blocks():
        flags[0][first : first + size] = flags[1][second : second + size] = True
    return flags


def _column(record: Any, names: Sequence[str]) -> str:
    if not isinstance(record, dict):
        return ""
    return next((str(record[name]) for name in names if record.get(name)), "")
