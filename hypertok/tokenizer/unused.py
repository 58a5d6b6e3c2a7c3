"""No growth at all: the ids of stock tokens that the kept languages never use go to the new units.

What goes is decided by script. A token is *foreign* if its bytes are sure to hold a letter (or combining mark), or part
of one, of a script that none of the kept languages is written in. Nothing else goes: neither special and other added
tokens, single bytes, ASCII, digits, punctuation, symbols and emoji, nor what the caller names (the corpus). Letters
that Unicode gives to several scripts (ー, stress marks) and Greek ones (formulas) stay too: see scripts.py.

Why all other text keeps its ids: foreign tokens lose all merges that make them, and nothing else does, since a token
that stays keeps every token that one of its merges needs. Every merge that the stock tokenizer makes on the way to a
token that stays is thus still there, at the same place among the others, so BPE takes the same steps: text whose
stock ids are all kept has the same ids as before. A foreign token never occurs in text without foreign letters. Where
it did occur, shorter tokens take its place, single bytes at worst.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from hypertok.errors import InputError
from hypertok.tokenizer.scripts import foreign_script, script_of_letter, scripts_of
from hypertok.tokenizer.stock import Family, Stock, batches
from hypertok.tokenizer.surgery import extended
from hypertok.vocabulary.units import Span, TooFewRows, Units

_BYTES = 256

SCHEMA: dict[str, type[pl.DataType]] = {"id": pl.UInt32, "token": pl.String, "text": pl.String, "reason": pl.String}


@dataclass(frozen=True)
class GivenUp:
    """A stock token that is to be given up.

    Attributes:
        id: its id, which a unit takes.
        token: its vocabulary string.
        text: the text it stands for; None if it begins or ends inside a character.
        script: the script of its first foreign letter, the reason for giving it up.
    """

    id: int
    token: str
    text: str | None
    script: str


def unused_tokens(stock: Stock, languages: Sequence[str], keep: Collection[int] = ()) -> list[GivenUp]:
    """The stock tokens that no text of the languages uses, in the order in which they are to be given up.

    What was merged last goes first, since later merges are rarer; a token always goes before those it is made of, so
    any number of tokens may be given up from the front of the list.

    Args:
        stock: the tokenizer.
        languages: ISO 639-1 codes of the languages to keep.
        keep: ids to keep whatever their script, and with them the tokens that they are made of; see `used_ids`.

    Raises:
        InputError: no language, or one that is not known.
    """
    kept_scripts = scripts_of(languages)
    foreign = {letter: script for letter, script in script_of_letter().items() if script not in kept_scripts}
    untouchable = {token["id"] for token in stock.added} | set(keep)
    characters_stay = not _bytes_replace_characters(stock)
    found: dict[str, GivenUp] = {}
    for token, identifier in stock.data["model"]["vocab"].items():
        raw = stock.spelled[token]
        if identifier in untouchable or len(raw) == 1 or (characters_stay and len(token) == 1):
            continue
        script = foreign_script(raw, foreign)
        if script is not None:
            found[token] = GivenUp(identifier, token, stock.text_of(token), script)
    _keep_parts(stock, found)
    return _ordered(stock, found)


class TooFewUnused(TooFewRows):
    """There are unused tokens for fewer rows."""

    what = "there are unused tokens for"
    remedy = "keep fewer languages (replace_unused)"

    @classmethod
    def check(cls, stock: Stock, rows: int, found: int) -> None:
        """Raise if there are fewer unused tokens than new rows."""
        if rows > found:
            fewer = f"ask for at most {found} (--rows {found}), " if found else ""
            raise cls(
                f"{stock.path}: {rows} units are to replace unused tokens, and there are {found} of these; {fewer}keep "
                "fewer languages, or extend without --replace-unused",
                found,
            )


def used_ids(stock: Stock, texts: Iterable[str]) -> set[int]:
    """Ids of the stock tokens that the texts use, wherever they stand in running text."""
    used: set[int] = set()
    for batch in batches(texts):
        for ids in stock.segment(batch):
            used.update(ids)
    return used


def with_replaced(stock: Stock, units: Units, *, span: Span, given_up: Sequence[GivenUp]) -> dict[str, Any]:
    """The content of tokenizer.json in which units have the ids of tokens given up; `stock.data` stays as it is.

    As many tokens as there are units are given up, from the front of the list; their strings and merges are gone. There
    are as many ids as before (ids that no token had get a placeholder, as in `extended`). The merges of the units stand
    after all that are left of the stock ones.

    Args:
        stock: the tokenizer.
        units: new tokens and their merges.
        span: as for `extended`.
        given_up: what `unused_tokens` gave for this tokenizer.

    Raises:
        InputError: fewer tokens to give up than units; tokens that are not the stock tokenizer's, or that others are
            made of; a unit made of a token given up; and what `extended` raises.
    """
    TooFewUnused.check(stock, len(units.tokens), len(given_up))
    leaving = {one.token: one.id for one in given_up[: len(units.tokens)]}
    ids = dict(zip(units.tokens, leaving.values(), strict=True))
    for token in ids:
        if token in leaving:
            raise InputError(
                f"{stock.path}: the unit {token!r} is a stock token to be given up; drop it or keep its id"
            )
    beyond = max(stock.vocabulary.values()) + 1
    # Fewer stock tokens, then the units at the end, then the units at the ids of what went: `extended` checks all else.
    data = extended(_without(stock, leaving), units, span=span, start=beyond)
    left = {token: id_ for token, id_ in data["model"]["vocab"].items() if id_ < beyond}
    taken = set(ids.values())
    vocabulary = {token: id_ for token, id_ in left.items() if id_ not in taken} | ids
    vocabulary = dict(sorted(vocabulary.items(), key=lambda entry: entry[1]))
    return {**data, "model": {**data["model"], "vocab": vocabulary}}


def given_up_table(given_up: Iterable[GivenUp]) -> pl.DataFrame:
    """The table given_up.parquet: id, token, text (null if it holds part of a character), reason (the script)."""
    rows = [(one.id, one.token, one.text, one.script) for one in given_up]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def given_up_by_script(given_up: Iterable[GivenUp]) -> dict[str, int]:
    """How many tokens of each script are given up, the most first."""
    return dict(sorted(Counter(one.script for one in given_up).items(), key=lambda entry: (-entry[1], entry[0])))


def _bytes_replace_characters(stock: Stock) -> bool:
    """Whether a character without a token of its own is written in bytes, so that its token can be missed."""
    if stock.family is Family.BYTE_LEVEL:
        return True
    vocabulary = stock.data["model"]["vocab"]
    all_bytes = all(f"<0x{byte:02X}>" in vocabulary for byte in range(_BYTES))
    return bool(stock.data["model"].get("byte_fallback")) and all_bytes


def _keep_parts(stock: Stock, found: dict[str, GivenUp]) -> None:
    """Take out of the list what a token that stays is made of, by any merge."""
    parts: defaultdict[str, list[str]] = defaultdict(list)
    for left, right in stock.merges:
        for side in (left, right):
            if side in found:
                parts[left + right].append(side)
    staying = [token for token in parts if token not in found]
    while staying:
        staying += [side for side in parts[staying.pop()] if found.pop(side, None)]


def _ordered(stock: Stock, found: dict[str, GivenUp]) -> list[GivenUp]:
    """Highest rank of the last merge first, then highest id; but a token never before one that is made of it."""
    rank: dict[str, int] = {}
    whole_of: defaultdict[str, set[str]] = defaultdict(set)
    for number, (left, right) in enumerate(stock.merges):
        if left + right in found:
            rank[left + right] = number
            for side in {left, right} & found.keys():
                whole_of[side].add(left + right)
    turn: dict[str, int] = {}
    for token in sorted(found, key=len, reverse=True):  # what a token is part of is longer
        turn[token] = min([rank.get(token, -1), *(turn[whole] for whole in whole_of[token])])
    return sorted(found.values(), key=lambda one: (-turn[one.token], -len(one.token), -one.id))


def _without(stock: Stock, leaving: dict[str, int]) -> Stock:
    """The tokenizer without some tokens and the merges that make them.

    Raises:
        InputError: one of them is not a token of the model, or another token is made of it.
    """
    model = stock.data["model"]
    for token, identifier in leaving.items():
        if model["vocab"].get(token) != identifier:
            raise InputError(
                f"{stock.path}: the token to be given up {token!r} does not have the id {identifier} here; "
                "list the unused tokens of this tokenizer"
            )
    merges = []
    for merge, (left, right) in zip(model["merges"], stock.merges, strict=True):
        if left + right in leaving:
            continue
        for side in (left, right):
            if side in leaving:
                raise InputError(
                    f"{stock.path}: {left + right!r} is made of {side!r}, which is to be given up; give up both or none"
                )
        merges.append(merge)
    vocabulary = {token: identifier for token, identifier in model["vocab"].items() if token not in leaving}
    return replace(stock, data={**stock.data, "model": {**model, "vocab": vocabulary, "merges": merges}})
