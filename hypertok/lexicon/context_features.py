"""Readings of forms and what surrounds a token, as arrays: the features that `context.ContextModel` weighs.

Analyses with the same lemma and the same reduced tag («его» has twelve) are one *reading*. Readings of one
form lie side by side, and within a form those of one concept do, so that sums over either are segment sums.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from hypertok.corpus.lookup import find
from hypertok.corpus.stream import BREAK, COMMA, FIRST_FORM, PUNCTUATION, SENTENCE_END, Tokens
from hypertok.lexicon.context_tags import inflects, neighbour_tag, pos_of, reduced_tag
from hypertok.lexicon.morphology import Analyses

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
_Float = TypeVar("_Float", np.float32, np.float64)

#: Places of the neighbours that count, relative to the token.
PLACES = (-2, -1, 1, 2)
#: Situations of a token: four case patterns, each inside a sentence or at its beginning.
SITUATIONS = 8
#: Uses that the expectation from dictionary and support is worth beside the counted ones.
PSEUDO_USES = 2.0
_FLOOR = 1e-4


@dataclass(frozen=True)
class Inventory:
    """The names a model knows: what its tables' rows and columns stand for.

    Attributes:
        tags: reduced tags.
        words: frequent forms that are neighbour symbols of their own.
        classes: (K,) sorted keys of ambiguity classes (sets of neighbour tags) with a symbol of their own.
        lexical: (form, reduced tag) of the readings with weights of their own, numbered from 1.
    """

    tags: Sequence[str]
    words: Sequence[str]
    classes: npt.NDArray[np.uint64]
    lexical: Sequence[tuple[str, str]]

    @property
    def neighbour_tags(self) -> list[str]:
        """The neighbour tags of `tags`, sorted."""
        return sorted({neighbour_tag(t) for t in self.tags})

    @property
    def symbols(self) -> int:
        """Number of neighbour symbols: token classes, words, ambiguity classes, single neighbour tags."""
        return FIRST_FORM + len(self.words) + len(self.classes) + len(self.neighbour_tags)

    @property
    def coarse_symbols(self) -> int:
        """Number of coarse neighbour symbols: token classes and neighbour tags."""
        return FIRST_FORM + len(self.neighbour_tags)


@dataclass(frozen=True)
class Readings:
    """The readings of a vocabulary; R is their number, A that of the analyses, F that of the forms.

    Attributes:
        offsets: (F + 1,) first reading of each form.
        form, tag, concept, lexical: (R,) numbers; concepts are lemma + part of speech.
        known: (R,) whether some analysis of the reading stands in the dictionary.
        inflects: (R,) whether other forms of the lemma speak for the reading.
        prior: (R,) the dictionary's probability, summing to 1 within each form.
        of_analysis: (A,) the reading of each analysis.
        symbols, coarse: (FIRST_FORM + F,) neighbour symbol of each token id, fine and coarse.
    """

    offsets: Ints
    form: Ints
    tag: Ints
    concept: Ints
    lexical: Ints
    known: npt.NDArray[np.bool_]
    inflects: npt.NDArray[np.bool_]
    prior: Floats
    of_analysis: Ints
    symbols: Ints
    coarse: Ints

    def form_concept(self) -> Ints:
        """Number of each reading's pair of form and concept; equal pairs lie side by side. Shape (R,)."""
        if not len(self.form):
            return self.form
        return np.cumsum((np.diff(self.form, prepend=-1) != 0) | (np.diff(self.concept, prepend=-1) != 0)) - 1


def read(analyses: Analyses, inventory: Inventory) -> Readings:
    """Group analyses into readings and give every form its neighbour symbols."""
    numbers = {tag: n for n, tag in enumerate(inventory.tags)}
    reduced = np.array([numbers.get(reduced_tag(t), numbers["UNKN"]) for t in analyses.tags], dtype=np.int64)
    all_pos = sorted({pos_of(t) for t in inventory.tags})
    pos = np.array([all_pos.index(pos_of(t)) for t in inventory.tags])
    per_tag, per_pos = len(inventory.tags), len(all_pos)
    tag = reduced[analyses.tag]
    concept = analyses.lemma.astype(np.int64) * per_pos + pos[tag]
    concepts = len(analyses.lemmas) * per_pos
    form_of_analysis = analyses.form_index().astype(np.int64)
    key = (form_of_analysis * concepts + concept) * per_tag + tag
    keys, of_analysis = np.unique(key, return_inverse=True)
    tag, keys = keys % per_tag, keys // per_tag
    concept, form = keys % concepts, keys // concepts
    forms = len(analyses.forms)
    offsets = np.searchsorted(form, np.arange(forms + 1))
    prior = np.bincount(of_analysis, analyses.prior, len(tag)).astype(np.float32)
    known = np.bincount(of_analysis, analyses.known, len(tag)) > 0
    flags = np.array([inflects(t) for t in inventory.tags])
    symbols, coarse = _symbols(analyses.forms, offsets, form, tag, prior, inventory)
    return Readings(
        offsets, form, tag, np.unique(concept, return_inverse=True)[1],
        _lexical(analyses.forms, offsets, tag, numbers, inventory), known, flags[tag], prior, of_analysis,
        symbols, coarse,
    )  # fmt: skip


def class_keys(offsets: Ints, tag: Ints, inventory: Inventory) -> npt.NDArray[np.uint64]:
    """A 64-bit key of every form's ambiguity class: the set of its readings' neighbour tags. Shape (F,)."""
    seen = inventory.neighbour_tags
    # Independent random-looking bits per tag; the sum over a *set* identifies it (500 classes, 64 bits).
    bits = np.random.Generator(np.random.PCG64(1)).integers(1, 2**63, len(seen), dtype=np.uint64)
    number = np.array([seen.index(neighbour_tag(t)) for t in inventory.tags])[tag]
    form = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    pairs = np.unique(form * len(seen) + number)
    keys = np.zeros(len(offsets) - 1, np.uint64)
    np.add.at(keys, pairs // len(seen), bits[pairs % len(seen)])
    return keys


def _symbols(
    forms: Sequence[str], offsets: Ints, form: Ints, tag: Ints, prior: Floats, inventory: Inventory
) -> tuple[Ints, Ints]:
    seen = {t: n for n, t in enumerate(inventory.neighbour_tags)}
    number = np.array([seen[neighbour_tag(t)] for t in inventory.tags], dtype=np.int64)[tag]
    best = number[np.lexsort((np.arange(len(form)), -prior, form))[offsets[:-1]]] if len(form) else number
    keys = class_keys(offsets, tag, inventory)
    first_class = FIRST_FORM + len(inventory.words)
    place = find(keys, inventory.classes)
    symbols = first_class + np.where(place < 0, len(inventory.classes) + best, place)
    words = {w: n for n, w in enumerate(inventory.words, FIRST_FORM)}
    for n, spelled in enumerate(forms):
        if spelled in words:
            symbols[n] = words[spelled]
    marks = np.arange(FIRST_FORM)
    return np.concatenate([marks, symbols]), np.concatenate([marks, FIRST_FORM + best])


def _lexical(forms: Sequence[str], offsets: Ints, tag: Ints, numbers: dict[str, int], inventory: Inventory) -> Ints:
    lexical = np.zeros(len(tag), np.int64)
    own = {(f, numbers[t]): n for n, (f, t) in enumerate(inventory.lexical, 1)}
    with_own = {f for f, _ in inventory.lexical}
    for n, spelled in enumerate(forms):
        if spelled in with_own:
            for row in range(offsets[n], offsets[n + 1]):
                lexical[row] = own.get((spelled, int(tag[row])), 0)
    return lexical


@dataclass(frozen=True)
class Candidates:
    """The readings of some ambiguous tokens of a stream; N is their number, P that of the tokens.

    Attributes:
        positions: (P,) where the tokens stand in the stream.
        starts: (P,) first candidate of each token.
        token: (N,) number of the candidate's token, 0 to P - 1.
        reading: (N,) number of the reading.
        situation: (P,) case pattern and place in the sentence.
    """

    positions: Ints
    starts: Ints
    token: Ints
    reading: Ints
    situation: Ints

    def softmax(self, scores: Floats) -> Floats:
        """Probabilities within each token. Shape (N,)."""
        return softmax(scores, self.starts)


def softmax(scores: npt.NDArray[_Float], starts: Ints) -> npt.NDArray[_Float]:
    """Probabilities within each of the groups that begin at `starts`; none is empty. Shape (N,)."""
    if not len(scores):
        return scores
    sizes = np.diff(starts, append=len(scores))
    exponentials = np.exp(scores - np.repeat(np.maximum.reduceat(scores, starts), sizes))
    shares: npt.NDArray[_Float] = exponentials / np.repeat(np.add.reduceat(exponentials, starts), sizes)
    return shares


def candidates(tokens: Tokens, readings: Readings, start: int, stop: int) -> Candidates:
    """The candidates of the ambiguous tokens in `tokens[start:stop]`."""
    number = (tokens[start:stop] >> 2).astype(np.int64) - FIRST_FORM
    many = np.append(np.diff(readings.offsets), 0)
    sizes = many[np.maximum(number, -1)]
    positions = np.flatnonzero(sizes > 1)
    number, sizes = number[positions], sizes[positions]
    starts = np.cumsum(sizes) - sizes
    token = np.repeat(np.arange(len(positions)), sizes)
    reading = np.arange(len(token)) + np.repeat(readings.offsets[number] - starts, sizes)
    begins = begins_sentence(tokens[max(start - 2, 0) : stop])[-(stop - start) :]
    case = (tokens[start:stop] & 3).astype(np.int64)
    return Candidates(positions + start, starts, token, reading, (case * 2 + begins)[positions])


def begins_sentence(tokens: Tokens) -> npt.NDArray[np.bool_]:
    """Whether each token stands first in a sentence, a dash or another mark aside. Shape (T,)."""
    kind = np.concatenate([[BREAK, BREAK], tokens >> 2])
    end = (kind == BREAK) | (kind == SENTENCE_END)
    mark = (kind > COMMA) & (kind <= PUNCTUATION)
    first: npt.NDArray[np.bool_] = end[1:-1] | (mark[1:-1] & end[:-2])
    return first


def neighbours(symbols: Ints, tokens: Tokens, start: int, stop: int) -> list[Ints]:
    """For each of `PLACES` the symbol of that neighbour of the tokens from `start` to `stop`."""
    reach = max(PLACES)
    around = symbols[tokens[max(start - reach, 0) : stop + reach] >> 2]
    before, after = max(reach - start, 0), max(stop + reach - len(tokens), 0)
    around = np.pad(around, (before, after), constant_values=BREAK)
    seen = {place: around[reach + place : reach + place + stop - start] for place in PLACES}
    # Nothing is seen beyond a break, so that it does not matter where a corpus is cut into streams.
    for near, far in ((-1, -2), (1, 2)):
        seen[far] = np.where(seen[near] == BREAK, BREAK, seen[far])
    return [seen[place] for place in PLACES]


def evidence(readings: Readings, counts: npt.NDArray[np.float64]) -> Floats:
    """What a corpus says about readings without their contexts. Shape (4, R).

    Rows: log of the dictionary's prior; log support (expected uses of the concept's *other* forms); minus log
    uses of the form, to set the support in proportion; log share of the form's uses that had this reading.
    """
    prior, support, scale = _support(readings, counts)
    uses = np.bincount(readings.form, counts)[readings.form]
    share = (counts + PSEUDO_USES * expected_share(readings, counts)) / (uses + PSEUDO_USES)
    return np.stack([prior, support, scale, np.log(np.maximum(share, _FLOOR))]).astype(np.float32)


def expected_share(readings: Readings, counts: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Probability of each reading of a form from dictionary and support alone. Shape (R,)."""
    prior, support, scale = _support(readings, counts)
    return softmax(prior + (support + scale) / 2, readings.offsets[:-1])


def _support(readings: Readings, counts: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], ...]:
    own = readings.form_concept()
    others = np.maximum(np.bincount(readings.concept, counts)[readings.concept] - np.bincount(own, counts)[own], 0)
    uses = np.bincount(readings.form, counts)[readings.form]
    return (
        np.log(np.maximum(readings.prior, _FLOOR)).astype(np.float64),
        np.where(readings.inflects, np.log(others + 0.5), 0),
        np.where(readings.inflects, -np.log(uses + 1), 0),
    )
