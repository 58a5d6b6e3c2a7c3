"""Texts to bits and back: one piece after another through the vocabulary's tree, every decision predicted.

Encoding and decoding run the same code: a writer is given each decision, a reader finds it. All texts of one
archive share one adaptive state, so a later text profits from the earlier ones.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from functools import cache
from importlib import resources

from hypertok.archive.pieces import SHAPES, split, surface_of
from hypertok.archive.predictor import CLASS, LEMMA, SHAPE, VARIANT, WEIGHTS, Chain, Coder, Predictor, Range
from hypertok.archive.speller import Speller
from hypertok.archive.statistics import END, PIECE_BITS, UNKNOWN, Statistics
from hypertok.archive.vocabulary import Vocabulary

#: Weight of evidence that the learned weights do not know.
FIRST_WEIGHT = 0.2
#: Node numbers: shapes as they are, then classes, lemmas, variants.
_CLASS_NODE = 1 << 18
_LEMMA_NODE = 1 << 19
_VARIANT_NODE = 1 << 20
#: First slots of the chains "marked" and "classes" (which starts at its level 1) after those of "pieces".
_MARKED_AT, _CLASSES_AT = 7, 10
_HISTORY = 4
#: Pieces between two tellings: some 40 kB of text, two seconds' work.
_TOLD = 4096
_MASK = 0xFFFFFFFFFF


#: What may come next by the chains "pieces" and "marked".
_Pair = tuple[list[Range], list[Range]]


class ArchiveModel:
    """Statistics laid out for coding: make it once, code many archives with it."""

    def __init__(self, statistics: Statistics) -> None:
        self.statistics = statistics
        self.vocabulary = Vocabulary(statistics)
        chains = statistics.chains
        self.pieces = Chain(chains["pieces"], len(self.vocabulary.keys), 0)
        self.marked = Chain(chains["marked"], len(self.vocabulary.keys), _MARKED_AT)
        self.classes = Chain(chains["classes"], len(statistics.class_names), _CLASSES_AT)


class TextCoder:
    """Codes the texts of one archive, in order."""

    def __init__(self, model: ArchiveModel, coder: Coder, weights: list[float] | None = None) -> None:
        """`weights` replaces the shipped first weights, for learning them."""
        self._model = model
        self._coder = coder
        self._predictor = Predictor(weights or first_weights())
        self._speller = Speller(model.statistics, self._predictor)
        self._start_text()

    @property
    def weights(self) -> list[float]:
        """The mixer's weights as they are now."""
        return self._predictor.weights

    def write(self, text: str, tell: Callable[[float], None] | None = None) -> None:
        """Code one text, and `tell` meanwhile what share of it is coded. The coder must be a writer."""
        number = self._model.vocabulary.number
        pieces = split(text)
        for done, (shape, key) in enumerate(pieces):
            self._code(shape, number.get(key, UNKNOWN), key)
            if tell and done % _TOLD == 0:
                tell(done / len(pieces))
        self._code(0, END, "")
        self._start_text()

    def read(self) -> str:
        """The next text. The coder must be a reader.

        Raises:
            ArtifactError: the code names a character that does not exist.
        """
        found: list[str] = []
        while True:
            shape, piece, key = self._code(0, END, "")
            if piece == END:
                self._start_text()
                return "".join(found)
            found.append(surface_of(shape, key))

    def _start_text(self) -> None:
        self._pieces = [END] * _HISTORY
        self._lemmas = [0] * 2
        self._classes = [0] * 3
        self._piece_rows = [0, END]
        self._marked_rows = [0, END]
        self._class_rows = [0, 0]

    def _code(self, shape: int, piece: int, key: str) -> tuple[int, int, str]:
        """Code one piece, or find the next; returns its shape, number and key."""
        model = self._model
        vocabulary = model.vocabulary
        by_piece = model.pieces.ranges(self._piece_rows), model.marked.ranges(self._marked_rows)
        by_class = model.classes.ranges(self._class_rows, 1)
        contexts, lemma_contexts = self._contexts()
        shape = self._shape(shape, contexts, by_piece, by_class)
        class_ = self._class(vocabulary.class_of[piece], shape, contexts, by_piece, by_class)
        piece = self._piece(piece, class_, shape, lemma_contexts, by_piece)
        item = piece
        if piece == UNKNOWN:
            key, place = self._speller.code(self._coder, key, contexts)
            item = len(vocabulary.keys) + place
            lemma = -1 - place
            self._piece_rows = self._marked_rows = [0, UNKNOWN]
        else:
            key = vocabulary.keys[piece]
            lemma = vocabulary.first_lemma[vocabulary.speech_of_class[class_]] + vocabulary.lemma_of[piece]
            self._piece_rows = model.pieces.rows_after(piece, by_piece[0])
            self._marked_rows = model.marked.rows_after(piece, by_piece[1])
        self._class_rows = model.classes.rows_after(class_, by_class, 1)
        self._pieces = [item, *self._pieces[: _HISTORY - 1]]
        self._lemmas = [lemma, self._lemmas[0]]
        self._classes = [class_, *self._classes[:2]]
        return shape, piece, key

    def _contexts(self) -> tuple[list[int], list[int]]:
        """Hashes of what stood before: for shape and class, and for the lemma."""
        p, q, r, s = self._pieces
        one = p + 1
        two = (one * 1000003 + q) & _MASK
        three = (two * 1000003 + r) & _MASK
        four = (three * 1000003 + s) & _MASK
        a, b, c = self._classes
        lemma, before = self._lemmas
        classes = ((a * 1009 + b) * 1009 + c) & _MASK
        lemmas = (lemma * 1000003 + before) & _MASK
        mixed = [value * 8 + tag for tag, value in enumerate((0, one, two, three, classes, four, q + 1))]
        alike = [value * 8 + tag for tag, value in enumerate((0, lemma + 1, lemmas, three, before + 1, four))]
        return [_scatter(value) for value in mixed], [_scatter(value) for value in alike]

    def _shape(self, wanted: int, contexts: list[int], by_piece: _Pair, by_class: list[Range]) -> int:
        whole, marked = by_piece
        start, stop = 0, SHAPES
        while stop - start > 1:
            # First whether the piece is capitalised, then how, then whether a space stands before it.
            cut = start + 2 if stop - start > 2 else start + 1
            middle = cut << PIECE_BITS
            chains = ((whole, middle), (marked, middle), (by_class, middle))
            bit = int(wanted >= cut)
            if self._predictor.decide(self._coder, bit, SHAPE, cut, 0.3, contexts, chains):
                start = cut
            else:
                stop = cut
        return start

    def _class(self, wanted: int, shape: int, contexts: list[int], by_piece: _Pair, by_class: list[Range]) -> int:
        cuts = self._model.vocabulary.classes
        firsts = self._model.vocabulary.first_of_class
        base = shape << PIECE_BITS
        whole, marked = by_piece
        start, stop = 0, len(firsts) - 1
        while stop - start > 1:
            cut = cuts.cut(start, stop)
            share = cuts.share_above(start, cut, stop)
            middle = base + firsts[cut]
            chains = ((whole, middle), (marked, middle), (by_class, base + cut))
            bit = int(wanted >= cut)
            if self._predictor.decide(self._coder, bit, CLASS, _CLASS_NODE + cut, share, contexts, chains):
                start = cut
            else:
                stop = cut
        return start

    def _piece(self, wanted: int, class_: int, shape: int, contexts: list[int], by_piece: _Pair) -> int:
        vocabulary = self._model.vocabulary
        speech = vocabulary.speech_of_class[class_]
        lemmas = vocabulary.lemmas[speech]
        lemma_of = vocabulary.lemma_of
        node = _LEMMA_NODE + vocabulary.first_lemma[speech]
        base = shape << PIECE_BITS
        whole, marked = by_piece
        start, stop = vocabulary.first_of_class[class_], vocabulary.first_of_class[class_ + 1]
        first, last = 0, len(lemmas.sums) - 1
        decide = self._predictor.decide
        share_above = vocabulary.pieces.share_above
        while stop - start > 1 and last - first > 1:
            lemma = lemmas.cut(first, last)
            cut = bisect_left(lemma_of, lemma, start, stop)
            if start < cut < stop:
                share = share_above(start, cut, stop)
                bit = int(wanted >= cut)
                chains = ((whole, base + cut), (marked, base + cut))
                if decide(self._coder, bit, LEMMA, node + lemma, share, contexts, chains):
                    start, first = cut, lemma
                else:
                    stop, last = cut, lemma
            elif cut == start:
                first = lemma
            else:
                last = lemma
        while stop - start > 1:
            cut = (start + stop) // 2
            bit = int(wanted >= cut)
            chains = ((whole, base + cut), (marked, base + cut))
            if decide(self._coder, bit, VARIANT, _VARIANT_NODE + cut, 0.5, contexts, chains):
                start = cut
            else:
                stop = cut
        return start


def _scatter(value: int) -> int:
    """Spread a context over the 24 bits that address a cell."""
    value = (value * 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
    return value >> 24


@cache
def first_weights() -> list[float]:
    """Weights learned on held-out training notes (benchmarks/archive_weights.py); they only save learning."""
    weights = [FIRST_WEIGHT] * WEIGHTS
    text = resources.files("hypertok.archive").joinpath("weights.tsv").read_text(encoding="ascii")
    for line in text.splitlines():
        if line and not line.startswith("#"):
            slot, value = line.split("\t")
            weights[int(slot)] = int(value) / 1000
    return weights
