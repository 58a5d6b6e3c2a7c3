"""Learning units: from the lexicon's runs and a stock tokenizer to new tokens and merges."""

from __future__ import annotations

import re
from collections.abc import Collection

from hypertok.progress import Steps, silent
from hypertok.vocabulary.merges import all_merges, allowed, count_emitted, merges_for
from hypertok.vocabulary.segmentation import Segmentation
from hypertok.vocabulary.texts import Texts
from hypertok.vocabulary.units import StockTokenizer, TooFewUnits, Units

#: First bytes of a letter U+0400–U+04FF; UTF-8 has them nowhere else.
_CYRILLIC = re.compile(rb"[\xd0-\xd3]")


def learn_units(
    stock: StockTokenizer, texts: Texts, rows: int, *, every_path: bool, progress: Steps | None = None
) -> Units:
    """The `rows` best units for texts.

    Args:
        stock: the tokenizer to extend; texts are cut by it first, and merges join its tokens.
        texts: what to learn from.
        rows: new tokens wanted.
        every_path: whether a unit may be made in every way that the vocabulary allows, not only as it was learned.

    Raises:
        InputError: the texts do not have so many units.
    """
    tell = progress or silent
    tell("segment", 0, 1)
    segmentation = Segmentation.of(stock, texts.texts)
    tell("segment", 1, 1)
    tell("merge", 0, 1)
    words, often = _apart(segmentation.words, texts.counts.tolist(), segmentation.unmergeable(stock))
    made: dict[str, str] = {}  # private string -> vocabulary string, new ones only
    known = set(stock.merges)  # a stock token made in a way that stock has not brings merges that are there already
    merges = []
    used: list[tuple[str, str]] = []
    learned = merges_for(words, often, rows, lambda: len(made) == rows)
    for left, right in allowed(learned, stock, segmentation.string, _CYRILLIC):
        string = segmentation.string(left + right)
        if string not in stock.vocabulary:
            if len(made) == rows:
                break
            made[left + right] = string
        used.append((left, right))
        pair = segmentation.string(left), segmentation.string(right)
        if pair not in known:
            known.add(pair)
            merges.append(pair)
    tell("merge", 1, 1)
    if len(made) < rows:
        raise TooFewUnits(rows, len(made))
    tell("count", 0, 1)
    counts = count_emitted(segmentation.words, segmentation.strings, used, texts.frequency)
    tell("count", 1, 1)
    tokens = tuple(made.values())
    return Units(
        tokens,
        tuple(merges) if not every_path else tuple(_every_path(stock, tokens)),
        tuple(int(counts.get(private, 0)) for private in made),
        tuple(tuple(segmentation.ids[character] for character in private) for private in made),
    )


def _apart(words: list[str], counts: list[int], letters: Collection[str]) -> tuple[list[str], list[int]]:
    """Words cut at letters that may not be joined to anything, and the count of each part."""
    if not letters:
        return words, counts
    cut = str.maketrans(dict.fromkeys(letters, " "))
    parts = [(part, count) for word, count in zip(words, counts, strict=True) for part in word.translate(cut).split()]
    return [part for part, _ in parts], [count for _, count in parts]


def _every_path(stock: StockTokenizer, tokens: Collection[str]) -> list[tuple[str, str]]:
    """All merges that make a unit, and before them those that make a Russian stock token in a way that stock lacks.

    The latter are of parts that only units bring about, or that stock merges never leave side by side but units do.
    """
    known = set(stock.merges)
    russian = sorted(_russian(stock), key=stock.vocabulary.__getitem__)
    joins = [pair for pair in all_merges(russian, {*tokens, *russian}) if pair not in known]
    return joins + all_merges(list(tokens), stock.vocabulary.keys() - stock.unmergeable)


def _russian(stock: StockTokenizer) -> list[str]:
    """Stock tokens of Cyrillic letters alone, with or without a space before them: these can be made of units."""
    found = []
    for token, raw in stock.spelled.items():
        if token in stock.unmergeable:
            continue
        text = raw.decode("utf-8", "ignore").strip()
        if text and all("а" <= letter <= "я" or letter == "ё" for letter in text.lower()):
            found.append(token)
    return found
