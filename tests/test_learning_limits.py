"""Learning units from a corpus of any size: what is held, and what is written out, does not grow with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from conftest import stock_of

from hypertok.tokenizer.stock import Stock
from hypertok.vocabulary import merges, segmentation
from hypertok.vocabulary.merges import learn_merges
from hypertok.vocabulary.segmentation import Segmentation


def test_words_of_a_large_corpus_are_written_out_in_proportion(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often they count, no more than the limit is handed to the trainer, and it learns the same."""
    words = ["абаб", "бвб", "аабв"]
    expected = learn_merges(words, [70, 30, 20], 5)
    written: list[int] = []
    repeated = merges._repeated

    def watched(words: Sequence[str], counts: Sequence[int]) -> Iterator[str]:
        for chunk in repeated(words, counts):
            written.append(len(chunk))
            yield chunk

    monkeypatch.setattr(merges, "_WRITTEN", 450)
    monkeypatch.setattr(merges, "_repeated", watched)
    for scale in (1, 10**4, 10**9):
        written.clear()
        assert learn_merges(words, [70 * scale, 30 * scale, 20 * scale], 5) == expected
        assert 400 < sum(written) < 650, "the limit, and the ends of words"


def test_texts_are_cut_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is held at a time does not grow with the number of texts."""
    stock = stock_of("qwen3")
    texts = [f" печень {number}" for number in range(25)]
    whole = Segmentation.of(stock, texts)
    sizes: list[int] = []
    segment = Stock.segment
    monkeypatch.setattr(Stock, "segment", lambda self, texts: sizes.append(len(texts)) or segment(self, texts))
    monkeypatch.setattr(segmentation, "BATCH", 10)
    assert Segmentation.of(stock, texts) == whole
    assert sizes == [10, 10, 5]
