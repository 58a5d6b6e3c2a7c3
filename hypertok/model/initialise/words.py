"""The stock's own word forms as examples: whole words that are one stock token, and what they would be made of.

A stock token is itself a unit that merges made. Without its own merges the tokenizer would make it of two or more
shorter tokens, as it does with our units, and here the model's true row is known. So a strategy can be fitted, and
checked, on the stock model alone.
"""

from __future__ import annotations

import math
import re
from itertools import pairwise

import torch

from hypertok.corpus.elements import HYPHENATED
from hypertok.lexicon.lexicon import Lexicon
from hypertok.model.constituents import NOT_A_WORD, Constituents
from hypertok.model.initialise.rows import StockWords
from hypertok.tokenizer.delta import delta_table
from hypertok.tokenizer.stock import Stock
from hypertok.vocabulary.units import Units

_WORD = re.compile(f" {HYPHENATED}")


def stock_words(stock: Stock, lexicon: Lexicon) -> StockWords:
    """All stock tokens that are a space and one word of the lexicon, by id.

    Left out are words without a space before them: as tokens they are more often pieces of other words.
    """
    words = sorted(
        (number, token) for token, number in stock.vocabulary.items() if _WORD.fullmatch(stock.text_of(token) or "")
    )
    parts = _parts(stock, [token for _, token in words])
    found = [(number, token) for number, token in words if len(parts[token]) > 1]
    tokens = tuple(token for _, token in found)
    constituents = tuple(tuple(stock.vocabulary[part] for part in parts[token]) for token in tokens)
    units = Units(tokens, (), (0,) * len(tokens), constituents)
    numbers = [number for number, _ in found]
    table = Constituents.of(delta_table(stock, units, numbers, lexicon))
    known = (table.shapes != NOT_A_WORD).nonzero().flatten()
    return StockWords(torch.tensor(numbers, dtype=torch.int64)[known], table.take(known))


def _parts(stock: Stock, tokens: list[str]) -> dict[str, list[str]]:
    """For each token what the merges that do not make it whole make of it; none if a character has no token."""
    wanted = {token[i:j] for token in tokens for i in range(len(token)) for j in range(i + 2, len(token) + 1)}
    vocabulary = stock.vocabulary
    ranks: dict[tuple[str, str], int] = {}
    for rank, (left, right) in enumerate(stock.merges):
        if left + right in wanted:
            ranks.setdefault((left, right), rank)
    made = {}
    for token in tokens:
        parts = list(token)
        while len(parts) > 2:
            steps = [ranks.get(pair, math.inf) for pair in pairwise(parts)]
            place = min(range(len(steps)), key=steps.__getitem__)
            if steps[place] == math.inf:
                break
            parts[place : place + 2] = [parts[place] + parts[place + 1]]
        made[token] = parts if all(part in vocabulary for part in parts) else []
    return made
