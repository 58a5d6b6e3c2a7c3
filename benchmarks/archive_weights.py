"""Learn the mixer's first weights: writes hypertok/archive/weights.tsv.

    python benchmarks/archive_weights.py

Statistics are learned without every fortieth training file, and the weights by packing those files, notes and
prose in turn, three times at falling rates. The validation split is not touched. Weights depend on how much
each kind of evidence can be trusted, hardly on the corpus, so they are shipped and save every archive the
learning: 1.5 % on single notes.
"""

from __future__ import annotations

import itertools
from pathlib import Path

from archive import NOTES, texts

from hypertok.archive import predictor, text_coder
from hypertok.archive.learning import build_statistics
from hypertok.archive.text_coder import ArchiveModel, TextCoder
from hypertok.lexicon.word_classes import analyse_word

EVERY = 40
NOTE_CUT, PROSE_CUT = 12_000, 6_000
RATES = (0.02, 0.01, 0.005)


class _Nowhere:
    def code(self, bit: int, probability: int) -> int:
        return bit


def main() -> None:
    """Learn and write."""
    train = texts("train")
    held = train[::EVERY]
    model = ArchiveModel(build_statistics((t for i, (_, t) in enumerate(train) if i % EVERY), analyse_word))
    notes = [text[:NOTE_CUT] for domain, text in held if domain == NOTES]
    prose = [text[:PROSE_CUT] for domain, text in held if domain != NOTES]
    turns = [t for pair in itertools.zip_longest(notes, prose) for t in pair if t]
    weights = [text_coder.FIRST_WEIGHT] * predictor.WEIGHTS
    for rate in RATES:
        predictor.RATE = rate
        for text in turns:
            coder = TextCoder(model, _Nowhere(), weights)
            coder.write(text)
            weights = coder.weights
    path = Path(text_coder.__file__).with_name("weights.tsv")
    with path.open("w", encoding="ascii") as file:
        file.write("# slot, weight in thousandths; written by benchmarks/archive_weights.py\n")
        for slot, weight in enumerate(weights):
            if round(weight * 1000) != round(text_coder.FIRST_WEIGHT * 1000):
                file.write(f"{slot}\t{round(weight * 1000)}\n")


if __name__ == "__main__":
    main()
