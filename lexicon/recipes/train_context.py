"""Makes lexicon/ru/context.npz: how the words around a form tell which of its readings is meant.

    pip install 'hypertok-concepts[bench]'
    python lexicon/recipes/train_context.py CORPUS --labels FOLDER [--output FILE]

CORPUS is a folder of texts with a table splits.tsv (path, domain, split); files of the split `train` below
`FREE` are used. Two steps: natasha's tagger (slovnet, MIT licence) labels fragments of them with
probabilities of Universal Dependencies tags, kept in --labels; then the weights are fitted so that the
readings pymorphy3 offers agree with those labels. One file in ten is held out; every choice in here was made
by the agreement on it, not on a treebank. One core: about 15 minutes of labels, 10 of fitting.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from context_agreement import agreement
from context_labels import TOP, Text, label, read_labels

from hypertok.corpus.stream import FIRST_FORM
from hypertok.lexicon.context import ContextModel, Weights
from hypertok.lexicon.context_features import (
    PLACES,
    PSEUDO_USES,
    SITUATIONS,
    Candidates,
    Inventory,
    Readings,
    candidates,
    class_keys,
    evidence,
    expected_share,
    neighbours,
    read,
)
from hypertok.lexicon.context_guess import with_guesses
from hypertok.lexicon.context_tags import reduced_tag
from hypertok.lexicon.morphology import Analyses, analyse, analyzer

WORDS, CLASSES, LEXICAL_FORMS = 400, 500, 400
#: Share of the association that weights are drawn to, and the meetings added before it is taken. On 0.3 M
#: tokens the agreement on concepts was 0.9624, 0.9626, 0.9626, 0.9588 with shares of 0, 0.25, 0.5, 1.
PULL, DAMPING = 0.5, 3.0
ROUNDS, L2, RATE = 40, 4.0, 0.15


def take_inventory(text: Text, analyses: Analyses) -> Inventory:
    """The names of the tables' rows and columns, by frequency in the text."""
    tags = sorted({reduced_tag(str(t)) for t in analyzer().dictionary.gramtab} | {"UNKN"})
    bare = Inventory(tags, [], np.zeros(1, np.uint64), [])
    readings = read(analyses, bare)
    ids = (text.tokens >> 2).astype(np.int64) - FIRST_FORM
    uses = np.bincount(ids[ids >= 0], minlength=len(text.forms))
    commonest = np.argsort(-uses, kind="stable")
    keys = class_keys(readings.offsets, readings.tag, bare)
    by_class: Counter[int] = Counter()
    for key, n in zip(keys.tolist(), uses.tolist(), strict=True):
        by_class[key] += n
    classes = np.array(sorted(key for key, _ in by_class.most_common(CLASSES)), dtype=np.uint64)
    ambiguous = [n for n in commonest if readings.offsets[n + 1] - readings.offsets[n] > 1][:LEXICAL_FORMS]
    lexical = sorted(
        {
            (text.forms[n], tags[t])
            for n in ambiguous
            for t in readings.tag[readings.offsets[n] : readings.offsets[n + 1]]
        }
    )
    return Inventory(tags, sorted(text.forms[n] for n in commonest[:WORDS]), classes, lexical)


class Fit:
    """The log-linear model over all labelled ambiguous tokens; parameters are one long vector."""

    def __init__(self, text: Text, readings: Readings, inventory: Inventory) -> None:
        self.readings, self.inventory = readings, inventory
        found = candidates(text.tokens, readings, 0, len(text.tokens))
        agreements = np.zeros((65536, len(inventory.tags)), np.float32)
        for n, name in enumerate(text.tags):
            agreements[n] = [agreement(name, t) for t in inventory.tags]
        position = found.positions[found.token]
        tag = readings.tag[found.reading]
        target = np.zeros(len(tag), np.float32)
        for n in range(TOP):
            target += np.exp(text.logp[position, n].astype(np.float32)) * agreements[text.tag[position, n], tag]
        mass = np.add.reduceat(target, found.starts)
        labelled = mass > 0.05
        self.found, self.held_out = found, text.held_out[found.positions]
        self.labelled = labelled
        self.train = (labelled & ~self.held_out)[found.token].astype(np.float32)
        # The tagger knows no lemmas: it speaks for a tag, whichever lemmas have it.
        self.group = np.unique(found.token * len(inventory.tags) + tag, return_inverse=True)[1]
        target /= np.bincount(self.group)[self.group]
        target /= np.maximum(np.add.reduceat(target, found.starts), 1e-9)[found.token]
        self.target = self._per_group(target)
        self.columns, self.sizes = self._columns(text)
        self.expected = self._expected(text)
        self.theta = self.expected.copy()
        self.factors = np.array([0.7, 0, 0, 0], np.float32)

    def _expected(self, text: Text) -> npt.NDArray[np.float32]:
        """What the weights are held near: for tag and neighbour, how words with one reading meet.

        Ambiguous words alone hardly show that «из» is never followed by a verb: the few that could be verbs
        never come up. So weights are drawn to a share of the (damped) pointwise mutual information of tag and
        neighbour among unambiguous words instead of to zero.
        """
        readings, inventory = self.readings, self.inventory
        number = (text.tokens >> 2).astype(np.int64) - FIRST_FORM
        sizes = np.append(np.diff(readings.offsets), 0)
        positions = np.flatnonzero((sizes[np.maximum(number, -1)] == 1) & ~text.held_out)
        tag = readings.tag[readings.offsets[number[positions]]]
        expected = np.zeros(sum(self.sizes), np.float32)
        shape = len(inventory.tags), inventory.symbols
        for n, seen in enumerate(neighbours(readings.symbols, text.tokens, 0, len(text.tokens))):
            together = np.bincount(tag * shape[1] + seen[positions], minlength=self.sizes[n]).reshape(shape)
            chance = together.sum(1, keepdims=True) * together.sum(0) / len(tag)
            association = PULL * np.log((together + DAMPING) / (chance + DAMPING))
            expected[n * self.sizes[n] : (n + 1) * self.sizes[n]] = association.ravel()
        return expected

    def _per_group(self, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return np.bincount(self.group, values).astype(np.float32)[self.group]

    def _columns(self, text: Text) -> tuple[list[tuple[Any, npt.NDArray[np.int32]]], list[int]]:
        """For every table which candidates look a parameter up, and which; and the tables' sizes."""
        found, readings, inventory = self.found, self.readings, self.inventory
        tag, lexical = readings.tag[found.reading], readings.lexical[found.reading]
        situation = found.situation[found.token]
        columns: list[tuple[Any, npt.NDArray[np.int32]]] = []
        sizes: list[int] = []

        def add(rows: Any, indices: npt.NDArray[np.int64], size: int) -> None:
            columns.append((rows, (indices + sum(sizes)).astype(np.int32)))
            sizes.append(size)

        every, special = slice(None), np.flatnonzero(lexical)

        end = len(text.tokens)
        for fine in neighbours(readings.symbols, text.tokens, 0, end):
            seen = fine[found.positions][found.token]
            add(every, tag * inventory.symbols + seen, len(inventory.tags) * inventory.symbols)
        own = len(inventory.lexical) + 1
        for coarse in neighbours(readings.coarse, text.tokens, 0, end):
            seen = coarse[found.positions][found.token[special]]
            add(special, lexical[special] * inventory.coarse_symbols + seen, own * inventory.coarse_symbols)
        known = readings.known[found.reading]
        add(every, (tag * SITUATIONS + situation) * 2 + known, len(inventory.tags) * SITUATIONS * 2)
        add(special, (lexical * SITUATIONS + situation)[special], own * SITUATIONS)
        return columns, sizes

    def probabilities(self, facts: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Probability of every candidate, given the (4, N) evidence."""
        scores = self.factors @ facts
        for rows, column in self.columns:
            scores[rows] += self.theta[column]
        return self.found.softmax(scores)

    def run(self, facts: npt.NDArray[np.float32], active: tuple[int, ...]) -> npt.NDArray[np.float32]:
        """Adam over all tokens at once; of the evidence's factors only the `active` ones move."""
        moving = np.array(active, np.float32)
        first, second = np.zeros_like(self.theta), np.zeros_like(self.theta)
        first_f, second_f = np.zeros(4), np.zeros(4)
        for step in range(1, ROUNDS + 1):
            p = self.probabilities(facts)
            mine = np.maximum(self._per_group(p), 1e-9)
            slope = ((p - self.target * p / mine) * self.train).astype(np.float32)
            gradient = np.zeros(len(self.theta))
            for rows, column in self.columns:
                gradient += np.bincount(column, slope[rows], len(self.theta))
            gradient = (gradient + L2 * (self.theta - self.expected)).astype(np.float32)
            rate = 1 if step <= ROUNDS * 0.5 else 0.4 if step <= ROUNDS * 0.8 else 0.15
            first, second = 0.9 * first + 0.1 * gradient, 0.99 * second + 0.01 * gradient**2
            self.theta -= RATE * rate * _adam(first, second, 0.9, step)
            pull = (facts @ slope).astype(np.float64)
            first_f, second_f = 0.8 * first_f + 0.2 * pull, 0.99 * second_f + 0.01 * pull**2
            self.factors -= (moving * 0.03 * rate * _adam(first_f, second_f, 0.8, step)).astype(np.float32)
        p = self.probabilities(facts)
        print(
            f"factors {self.factors.round(3).tolist()}, agreement on held-out files: {self.report(p)}",
            flush=True,
        )
        return p

    def report(self, p: npt.NDArray[np.float32]) -> str:
        """Share of ambiguous held-out tokens with the tag, and the concept, that the tagger speaks for."""
        found = self.found

        def hits(mine: npt.NDArray[Any], theirs: npt.NDArray[Any]) -> float:
            top = mine >= np.maximum.reduceat(mine, found.starts)[found.token] - 1e-6
            right = theirs >= np.maximum.reduceat(theirs, found.starts)[found.token] - 1e-3
            hit = np.logical_or.reduceat(top & right, found.starts)
            return float(hit[self.labelled & self.held_out].mean())

        concepts = np.unique(
            found.token * (self.readings.concept.max() + 1) + self.readings.concept[found.reading],
            return_inverse=True,
        )[1]
        shared = self.target / np.bincount(self.group)[self.group]
        by_concept = [np.bincount(concepts, x)[concepts] for x in (p, shared)]
        return f"tag {hits(self._per_group(p), self.target):.4f}, concept {hits(*by_concept):.4f}"

    def model(self) -> ContextModel:
        """The fitted model."""
        parts = np.split(self.theta, np.cumsum(self.sizes)[:-1])
        n, places = self.inventory, len(PLACES)
        own = len(n.lexical) + 1
        lexical = np.stack(parts[places : 2 * places]).reshape(places, own, n.coarse_symbols)
        situation = parts[-1].reshape(own, SITUATIONS)
        return ContextModel(
            n,
            Weights(
                self.factors,
                np.stack(parts[:places]).reshape(places, len(n.tags), n.symbols),
                lexical,
                parts[-2].reshape(len(n.tags), SITUATIONS, 2),
                situation,
            ),
        )


def _adam(first: Any, second: Any, decay: float, step: int) -> Any:
    return first / (1 - decay**step) / (np.sqrt(second / (1 - 0.99**step)) + 1e-3)


def without_itself(
    readings: Readings, counts: npt.NDArray[np.float64], found: Candidates, p: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """The evidence for every candidate from all tokens but its own. Shape (4, N)."""
    facts = evidence(readings, counts)[:, found.reading]
    uses = np.maximum(np.bincount(readings.form, counts)[readings.form][found.reading] - 1, 0)
    others = np.maximum(counts[found.reading] - p, 0)
    expected = expected_share(readings, counts)[found.reading]
    share = (others + PSEUDO_USES * expected) / (uses + PSEUDO_USES)
    facts[3] = np.log(np.maximum(share, 1e-4))
    return facts


def main() -> None:
    """Label what is not labelled yet, fit, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--labels", type=Path, required=True, help="folder of the labels; made if absent")
    parser.add_argument("--output", type=Path, default=Path(__file__).parents[1] / "ru" / "context.npz")
    arguments = parser.parse_args()
    label(arguments.corpus, arguments.labels)
    text = read_labels(arguments.labels)
    analyses = with_guesses(analyse(text.forms, workers=1))
    inventory = take_inventory(text, analyses)
    readings = read(analyses, inventory)
    fit = Fit(text, readings, inventory)
    print(
        f"{len(text.tokens)} tokens, {len(fit.found.positions)} ambiguous, {len(fit.theta)} weights",
        flush=True,
    )
    nothing = np.zeros(len(readings.tag))
    p = fit.run(evidence(readings, nothing)[:, fit.found.reading], (1, 0, 0, 0))
    counts = fit.model().count(lambda: [text.tokens], readings, nothing)
    fit.factors = np.array([0.35, 0.25, 0.2, 0.3], np.float32)
    fit.run(without_itself(readings, counts, fit.found, p), (1, 1, 1, 1))
    fit.model().save(arguments.output)
    print(f"{arguments.output}: {arguments.output.stat().st_size} bytes")


if __name__ == "__main__":
    main()
