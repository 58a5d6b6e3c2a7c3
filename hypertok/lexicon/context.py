"""Which reading of an ambiguous form a corpus means, judged by the words around each of its uses.

«стали» is «сталь» after «из» and «стать» after «мы». Every reading of a token gets a score: what the
dictionary and the corpus say of the form without context, and a weight for each of its four neighbours, for
its case pattern and for its place in the sentence. The weights were learned once (`lexicon/recipes/
train_context.py`) and are shipped; the corpus's own shares are estimated here, by expectation maximisation:
probabilities of the readings of every token, summed, are the expected counts that the next round starts from.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hypertok.corpus.stream import FIRST_FORM, Tokens
from hypertok.data import data_file
from hypertok.errors import ArtifactError
from hypertok.lexicon.context_features import (
    PLACES,
    SITUATIONS,
    Candidates,
    Floats,
    Inventory,
    Readings,
    candidates,
    evidence,
    neighbours,
    read,
    softmax,
)
from hypertok.lexicon.morphology import Analyses

FILE = "context.npz"
#: Rounds over the corpus. The second adds the corpus's own shares; a third changed the lemma
#: accuracy in benchmarks/lemma.md by 0.0001.
ROUNDS = 2
#: Tokens scored at once: about 30 MB of arrays; larger blocks leave the cache and are slower.
_BLOCK = 1 << 16
#: The first round only has to set the second one off: it looks at one block in so many.
_SAMPLE = 4


@dataclass(frozen=True)
class Weights:
    """The learned numbers; all are added to a reading's score.

    Attributes:
        evidence: (4,) factors of `context_features.evidence`.
        tag: (len(PLACES), tags, symbols) reduced tag of the reading by neighbour symbol.
        lexical: (len(PLACES), lexical readings + 1, coarse symbols) the same for single frequent readings.
        situation: (tags, SITUATIONS, 2) reduced tag by situation, unknown and known to the dictionary.
        lexical_situation: (lexical readings + 1, SITUATIONS).
    """

    evidence: Floats
    tag: Floats
    lexical: Floats
    situation: Floats
    lexical_situation: Floats


@dataclass(frozen=True)
class ContextModel:
    """The shipped model: `estimate` for a corpus, `choose` for a text."""

    inventory: Inventory
    weights: Weights

    @classmethod
    def load(cls, path: Path | None = None) -> ContextModel:
        """The shipped weights, or those in the file `path`.

        Raises:
            ArtifactError: the file is damaged.
        """
        return _load(path or data_file(FILE))

    def save(self, path: Path) -> None:
        """Write the model: each table in 8 bits with one scale, about 0.7 MB. Same model, same bytes."""
        arrays: dict[str, npt.NDArray[np.generic]] = {
            "tags": np.array(self.inventory.tags),
            "words": np.array(self.inventory.words),
            "classes": self.inventory.classes,
            "lexical_forms": np.array([f for f, _ in self.inventory.lexical]),
            "lexical_tags": np.array([t for _, t in self.inventory.lexical]),
            "weights.evidence": self.weights.evidence,
        }
        for name in ("tag", "lexical", "situation", "lexical_situation"):
            table = getattr(self.weights, name)
            scale = np.float32(max(np.abs(table).max(), 1e-6) / 127)
            arrays[f"weights.{name}"] = np.round(table / scale).astype(np.int8)
            arrays[f"scale.{name}"] = np.array(scale)
        np.savez_compressed(path, allow_pickle=False, **arrays)

    def estimate(self, streams: Callable[[], Iterable[Tokens]], analyses: Analyses) -> npt.NDArray[np.float64]:
        """Expected number of uses of every analysis in a corpus. Shape (A,).

        Args:
            streams: called once per round; gives the corpus's token streams, numbered as `analyses.forms`.
            analyses: of all forms of the corpus.
        """
        readings = read(analyses, self.inventory)
        counts = np.zeros(len(readings.tag))
        for n in range(ROUNDS):
            counts = self.count(streams, readings, counts, every=1 if n + 1 == ROUNDS else _SAMPLE)
        return _per_analysis(counts, readings, analyses)

    def count(
        self,
        streams: Callable[[], Iterable[Tokens]],
        readings: Readings,
        before: npt.NDArray[np.float64],
        every: int = 1,
    ) -> npt.NDArray[np.float64]:
        """One round: expected uses of every reading, given those of the round before. Shape (R,).

        Only one in `every` blocks of 65,536 tokens is looked at; counts are scaled up from those.
        """
        potential = self._potential(readings, before)
        counts = np.zeros(len(readings.tag))
        uses = np.zeros(len(readings.offsets) - 1)
        for tokens in streams():
            uses += np.bincount(tokens >> 2, minlength=FIRST_FORM + len(uses))[FIRST_FORM:]
            for found, scores in self._scored(tokens, readings, potential, every):
                np.add.at(counts, found.reading, found.softmax(scores).astype(np.float64))
        sizes = np.diff(readings.offsets)
        if every > 1:
            seen = np.add.reduceat(counts, readings.offsets[:-1]) if len(counts) else counts
            counts *= np.repeat(uses / np.maximum(seen, 1), sizes)
        single = np.flatnonzero(sizes == 1)
        counts[readings.offsets[single]] = uses[single]
        return counts

    def choose(self, tokens: Tokens, analyses: Analyses, weights: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        """The analysis that each token of a stream has in its context; -1 where it is no word. Shape (T,).

        The concept (lemma and part of speech) is chosen first, then its most probable form: twelve unlikely
        readings of one concept together may be likelier than one of another.

        Args:
            weights: (A,) expected counts from `estimate`, or zeros.
        """
        readings = read(analyses, self.inventory)
        potential = self._potential(readings, _per_reading(readings, weights))
        number = (tokens >> 2).astype(np.int64) - FIRST_FORM
        first = np.append(readings.offsets[:-1], -1)
        chosen = first[np.maximum(number, -1)]
        concept = readings.form_concept()
        for found, scores in self._scored(tokens, readings, potential):
            chosen[found.positions] = found.reading[_best(found, scores, concept[found.reading])]
        row = np.append(_best_analysis(readings, analyses, weights), -1)
        rows: npt.NDArray[np.int64] = row[chosen]
        return rows

    def probabilities(self, analyses: Analyses, weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Probability of each analysis of a form seen alone, also of forms that the corpus lacks. Shape (A,).

        Args:
            weights: (A,) expected counts from `estimate`, or zeros.
        """
        readings = read(analyses, self.inventory)
        counts = _per_reading(readings, weights)
        scores = self._potential(readings, counts) + self.weights.situation[readings.tag, 0, readings.known * 1]
        alone = softmax(scores, readings.offsets[:-1])
        uses = np.bincount(readings.form, counts, len(analyses.forms))[readings.form]
        return _per_analysis((counts + alone) / (uses + 1), readings, analyses)

    def _potential(self, readings: Readings, counts: npt.NDArray[np.float64]) -> Floats:
        potential: Floats = self.weights.evidence @ evidence(readings, counts)
        return potential

    def _scored(
        self, tokens: Tokens, readings: Readings, potential: Floats, every: int = 1
    ) -> Iterator[tuple[Candidates, Floats]]:
        """Candidates of the stream's ambiguous tokens with their scores, one in `every` blocks."""
        w, tag, lexical = self.weights, readings.tag, readings.lexical
        tag_row, lexical_row = tag * self.inventory.symbols, lexical * self.inventory.coarse_symbols
        situation_row = tag * SITUATIONS * 2 + readings.known
        for start in range(0, len(tokens), _BLOCK * every):
            stop = min(start + _BLOCK, len(tokens))
            found = candidates(tokens, readings, start, stop)
            if not len(found.positions):
                continue
            sizes = np.diff(found.starts, append=len(found.token))
            situation = np.repeat(found.situation, sizes)
            scores = potential[found.reading]
            scores += w.situation.reshape(-1)[situation_row[found.reading] + situation * 2]
            own = np.flatnonzero(lexical[found.reading])
            special = w.lexical_situation[lexical[found.reading[own]], situation[own]]
            row, own_row = tag_row[found.reading], lexical_row[found.reading[own]]
            own_at = found.positions[found.token[own]] - start
            fine = neighbours(readings.symbols, tokens, start, stop)
            coarse = neighbours(readings.coarse, tokens, start, stop)
            for n in range(len(PLACES)):
                scores += w.tag[n].reshape(-1)[row + np.repeat(fine[n][found.positions - start], sizes)]
                special += w.lexical[n].reshape(-1)[own_row + coarse[n][own_at]]
            scores[own] += special
            yield found, scores


def _per_reading(readings: Readings, weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.bincount(readings.of_analysis, weights, len(readings.tag)).astype(np.float64)


def _best(found: Candidates, scores: Floats, concept: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The candidate of each token with the likeliest concept, and its likeliest reading. Shape (P,)."""
    probability = found.softmax(scores)
    new = (np.diff(concept, prepend=-1) != 0) | (np.diff(found.token, prepend=-1) != 0)
    groups = np.cumsum(new) - 1
    likeliest = np.bincount(groups, probability)[groups]
    order = np.lexsort((-probability, -likeliest, found.token))
    best: npt.NDArray[np.int64] = order[found.starts]
    return best


def _best_analysis(readings: Readings, analyses: Analyses, weights: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """The most used analysis of each reading, by the prior where none is used. Shape (R,)."""
    order = np.lexsort((-analyses.prior, -weights, readings.of_analysis))
    best: npt.NDArray[np.int64] = order[np.searchsorted(readings.of_analysis[order], np.arange(len(readings.tag)))]
    return best


def _per_analysis(counts: npt.NDArray[np.float64], readings: Readings, analyses: Analyses) -> npt.NDArray[np.float64]:
    """Counts of readings shared out among their analyses by the prior. Shape (A,)."""
    prior = analyses.prior.astype(np.float64)
    total = np.bincount(readings.of_analysis, prior, len(counts))
    size = np.bincount(readings.of_analysis, minlength=len(counts))
    even = total[readings.of_analysis] <= 0
    share = np.where(even, 1 / size[readings.of_analysis], prior / np.where(even, 1, total[readings.of_analysis]))
    shared: npt.NDArray[np.float64] = counts[readings.of_analysis] * share
    return shared


@cache
def _load(path: Path) -> ContextModel:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            tables = {
                name: arrays[f"weights.{name}"].astype(np.float32) * arrays[f"scale.{name}"]
                for name in ("tag", "lexical", "situation", "lexical_situation")
            }
            inventory = Inventory(
                arrays["tags"].tolist(),
                arrays["words"].tolist(),
                arrays["classes"],
                list(zip(arrays["lexical_forms"].tolist(), arrays["lexical_tags"].tolist(), strict=True)),
            )
            weights = Weights(evidence=arrays["weights.evidence"].astype(np.float32), **tables)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ArtifactError(
            f"{path}: not a context model ({error}); reinstall with: pip install --force-reinstall --no-deps . (in a "
            "checkout of hypertok)"
        ) from error
    return ContextModel(inventory, weights)
