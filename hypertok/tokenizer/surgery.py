"""The extended tokenizer.json: stock content, new vocabulary entries at new ids, new merges after the stock ones.

Nothing that the stock tokenizer has is renumbered or taken away. New units are vocabulary and merges, never added
tokens: those cut inside words.
"""

from __future__ import annotations

from typing import Any

from hypertok.errors import InputError
from hypertok.tokenizer.pretokenizer import phrase_pretokenizer
from hypertok.tokenizer.stock import Stock
from hypertok.vocabulary.units import Span, Units

#: What fills an id that no token has (a model may have more rows than its tokenizer has tokens). No merge makes it, and
#: with letters, digits and signs in it it is never one piece of text, so looking pieces up does not find it either.
PLACEHOLDER = "<hypertok_unused_id_{}>"


def extended(stock: Stock, units: Units, *, span: Span, start: int | None = None) -> dict[str, Any]:
    """The content of tokenizer.json with the units in it; `stock.data` stays as it is.

    All stock tokens, added ones too, stand in model.vocab at their ids, so that no loader counts ids anew; ids without
    a token, up to the first new one, get a placeholder; so ids are 0, 1, 2 … without a hole.

    Args:
        stock: the tokenizer to extend.
        units: new tokens, in id order, and their merges, in rank order.
        span: "phrase" changes the pre-tokenizer of byte-level tokenizers so that units of several words can occur.
        start: id of the first unit; None for the first one that neither a token nor a row of the model has.

    Raises:
        InputError: a unit that is in the stock vocabulary or twice in the list, a merge that lacks a side or a result,
            a merge that stands twice or in the stock tokenizer, `start` at an id in use, or (span "phrase") a
            pre-tokenizer that hypertok does not know.
    """
    beyond = max(stock.vocabulary.values()) + 1
    first = stock.first_free_id if start is None else start
    if first < beyond:
        raise InputError(
            f"{stock.path}: new ids cannot start at {first}: tokens reach up to {beyond - 1}; raise the start"
        )
    _check(stock, units)
    vocabulary = dict(stock.vocabulary)
    taken = set(vocabulary.values())
    vocabulary.update((PLACEHOLDER.format(hole), hole) for hole in range(first) if hole not in taken)
    vocabulary.update((token, first + number) for number, token in enumerate(units.tokens))
    vocabulary = dict(sorted(vocabulary.items(), key=lambda entry: entry[1]))
    model = stock.data["model"]
    merges = list(model["merges"])
    as_text = bool(merges) and isinstance(merges[0], str)
    merges += [f"{left} {right}" if as_text else [left, right] for left, right in units.merges]
    data = {**stock.data, "model": {**model, "vocab": vocabulary, "merges": merges}}
    changed = phrase_pretokenizer(stock) if span == "phrase" else None
    return data if changed is None else {**data, "pre_tokenizer": changed}


def _check(stock: Stock, units: Units) -> None:
    new: set[str] = set()
    for token in units.tokens:
        if token in stock.vocabulary:
            raise InputError(
                f"{stock.path}: the unit {token!r} is a stock token (id {stock.vocabulary[token]}); drop it"
            )
        if token in new:
            raise InputError(f"{stock.path}: the unit {token!r} stands twice in the list; drop one")
        new.add(token)
    known = new | stock.data["model"]["vocab"].keys()
    # A merge that stands twice takes the later rank, which would move a stock merge behind all others.
    merges = set(stock.merges)
    for number, (left, right) in enumerate(units.merges):
        for token in (left, right, left + right):
            if token not in known:
                raise InputError(
                    f"{stock.path}: merge {number} ({left!r}, {right!r}) needs {token!r}, neither a stock token nor "
                    "a unit; add the unit or drop the merge"
                )
        if (left, right) in merges:
            raise InputError(f"{stock.path}: merge {number} ({left!r}, {right!r}) is there already; drop it")
        merges.add((left, right))
