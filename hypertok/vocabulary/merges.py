"""Byte-pair merges over words whose letters stand for tokens; the trainer of `tokenizers` does the work."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from hypertok.vocabulary.segmentation import BATCH
from hypertok.vocabulary.texts import rounded
from hypertok.vocabulary.units import StockTokenizer

#: Characters handed over at a time; the trainer counts words in parallel within a piece.
_CHUNK = 1 << 19
_END = "\n"
#: Characters handed over in all: of larger corpora, words are written out less often than they count. The shared
#: corpora (107 MB) stay far below, and so do ten times as many.
_WRITTEN = 1 << 30
#: A merge can make a token that the stock tokenizer has; it takes no row. Room for such merges.
_SPARE = 1.02


def learn_merges(words: Iterable[str], counts: Iterable[int], number: int) -> list[tuple[str, str]]:
    """The first `number` merges of byte-pair encoding (Sennrich et al. 2016), or fewer if the words have no more.

    Args:
        words: strings in which every character is a token to start from; no white space.
        counts: how often each word occurs; of a corpus over `_WRITTEN`, the proportions alone are kept.
        number: merges wanted.
    """
    words = list(words)
    # Every merge makes some word shorter, so there are never more; the trainer takes memory for all it is asked for.
    number = min(number, sum(map(len, words)))
    alphabet = sorted(set().union(*words)) if words else []
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Split(_END, "removed")
    trainer = trainers.BpeTrainer(
        vocab_size=len(alphabet) + number, initial_alphabet=alphabet, show_progress=False, min_frequency=2
    )
    tokenizer.train_from_iterator(_repeated(words, _within_limit(words, list(counts))), trainer)
    return [(left, right) for left, right in json.loads(tokenizer.to_str())["model"]["merges"]]


def merges_for(
    words: Sequence[str], counts: Sequence[int], rows: int, enough: Callable[[], bool]
) -> Iterator[tuple[str, str]]:
    """Merges in their order, until they have made `rows` new tokens or there are no more.

    Some make a token that is there already or must not be. There is room for a few of these; where they are more, all
    is learned again with twice the room, which begins with the same merges.

    Args:
        enough: asked when the room is used up; whether no more merges are wanted.
    """
    number, given = int(rows * _SPARE) + 64, 0
    while True:
        learned = learn_merges(words, counts, number)
        yield from learned[given:]
        if enough() or len(learned) < number:
            return
        given, number = number, 2 * number


def allowed(
    merges: Iterable[tuple[str, str]],
    stock: StockTokenizer,
    string_of: Callable[[str], str],
    own: re.Pattern[bytes],
    apart: Iterable[str] = (),
) -> Iterator[tuple[str, str]]:
    """The merges that may be taken; what another one would make, and all that is made of it, stays apart.

    Args:
        string_of: the vocabulary string of a private one.
        own: found in the bytes that a merge may make. Without it (« —» alone, the end of a symbol) they stand in text
            of any language, whose ids would change.
        apart: letters that may not be joined to anything.
    """
    barred = set(apart)
    for left, right in merges:
        string = string_of(left + right)
        never = string in stock.unmergeable or not barred.isdisjoint((left, right))
        if never or not own.search(stock.bytes_of(string)):
            barred.add(left + right)
        else:
            yield left, right


def _within_limit(words: Sequence[str], counts: Sequence[int]) -> Sequence[int]:
    """The counts, or smaller ones in their proportions where words written out so often are over `_WRITTEN` long."""
    written = sum(len(word) * count for word, count in zip(words, counts, strict=True))
    if written <= _WRITTEN:
        return counts
    smaller: list[int] = rounded(np.array(counts) * (_WRITTEN / written)).tolist()
    return smaller


def _repeated(words: Sequence[str], counts: Iterable[int]) -> Iterator[str]:
    """Every word as often as it counts, many in one string: the trainer knows no counts."""
    chunk: list[str] = []
    size = 0
    for word, count in zip(words, counts, strict=True):
        entry = word + _END
        while count > 0:
            times = min(count, _CHUNK // len(entry) + 1)
            chunk.append(entry * times)
            size += len(entry) * times
            count -= times
            if size >= _CHUNK:
                yield "".join(chunk)
                chunk, size = [], 0
    yield "".join(chunk)


def all_merges(tokens: Sequence[str], known: Iterable[str]) -> list[tuple[str, str]]:
    """Every pair of known strings that makes one of `tokens`, in the order of `tokens`.

    More than one way to a token costs no row, and lets it be made whatever was merged before it; and a tokenizer
    that merges any pair whose concatenation is a token (tiktoken, sentencepiece) then does the same as this one.
    """
    every = set(known) | set(tokens)
    return [
        (token[:place], token[place:])
        for token in tokens
        for place in range(1, len(token))
        if token[:place] in every and token[place:] in every
    ]


def count_emitted(
    words: Sequence[str], letters: Iterable[str], merges: list[tuple[str, str]], frequency: npt.NDArray[np.int64]
) -> dict[str, int]:
    """How often each letter and each merged string comes out as a token of the words.

    Args:
        words: what to cut, in letters.
        letters: every letter of the words.
        merges: merges in rank order.
        frequency: how often each word occurs.
    """
    vocabulary = {letter: number for number, letter in enumerate(letters)}
    for left, right in merges:
        vocabulary.setdefault(left + right, len(vocabulary))
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, cache_capacity=0))
    total = np.zeros(len(vocabulary))
    for start in range(0, len(words), BATCH):
        ids = [encoding.ids for encoding in tokenizer.encode_batch_fast(words[start : start + BATCH])]
        sizes = [len(one) for one in ids]
        flat = np.fromiter((number for one in ids for number in one), np.int64, sum(sizes))
        total += np.bincount(flat, np.repeat(frequency[start : start + BATCH], sizes), minlength=len(vocabulary))
    return dict(zip(vocabulary, total.astype(np.int64).tolist(), strict=True))
