"""Extended tokenizers in a folder, of units counted in a few sentences: for tests of what extends and exports them."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
from conftest import SENTENCES, stock_of
from pydantic_core import to_json

from hypertok.tokenizer.kind import DELTA
from hypertok.tokenizer.stock import Stock
from hypertok.tokenizer.surgery import extended
from hypertok.vocabulary.units import Span, Units

WORD = re.compile(" ?[А-Яа-яЁё]++")
PHRASE = re.compile("(?: ?[А-Яа-яЁё]++|,)++")
OTHER = (
    "def f(x: int) -> int:\n    return x + 1  # прибавить один\n",
    "Hello, world! It's 12 o'clock; naïve café.",
    "你好，世界。こんにちは 안녕하세요 مرحبا שלום 🙂👩‍👩‍👧",
    "  два  пробела,\tтабуляция…\n\n— Да? — Нет!.. «Ёлка»",
    "слово" * 50,
)
TEXTS = (*SENTENCES.splitlines(), SENTENCES, *OTHER)


def learned(tokenizer: Stock, texts: Iterable[str], span: Span, *, rounds: int = 6, per_round: int = 40) -> Units:
    """Units by counting neighbours in the stock segmentation, the commonest pairs of a round at once."""
    name = {identifier: token for token, identifier in tokenizer.vocabulary.items()}
    documents = [[name[i] for i in ids] for ids in tokenizer.segment(list(texts))]
    shape = WORD if span == "word" else PHRASE
    merges: dict[tuple[str, str], int] = {}
    made: set[str] = set()

    def may_join(pair: tuple[str, str]) -> bool:
        text = b"".join(map(tokenizer.bytes_of, pair)).decode(errors="replace")
        return "".join(pair) not in tokenizer.vocabulary and bool(shape.fullmatch(text)) and text != ","

    for _ in range(rounds):
        counts = Counter(pair for tokens in documents for pair in pairwise(tokens))
        best = [pair for pair, _ in sorted(counts.items(), key=lambda c: (-c[1], c[0])) if may_join(pair)]
        for pair in best[:per_round]:
            if "".join(pair) not in made:
                merges[pair] = len(merges)
                made.add("".join(pair))
        documents = [merged(tokens, merges) for tokens in documents]
    tokens = tuple(left + right for left, right in merges)
    return Units(tokens, tuple(merges), (1,) * len(tokens))


def merged(tokens: list[str], merges: Iterable[tuple[str, str]]) -> list[str]:
    """The tokens after all merges, one after the other: what a merge makes is met by later ones alone."""
    text = "".join(f"\0{token}\1" for token in tokens)  # as one text: replacing is many times faster than a loop
    for left, right in merges:
        text = text.replace(f"\0{left}\1\0{right}\1", f"\0{left}{right}\1")
    return text[1:-1].split("\1\0") if tokens else []


@functools.cache
def units(name: str, span: Span) -> Units:
    return learned(stock_of(name), SENTENCES.splitlines(), span)


def write_folder(folder: Path, data: dict[str, Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_bytes(to_json(data))
    return folder


def extended_folder(folder: Path, name: str, span: Span, new: Units | None = None, start: int | None = None) -> Path:
    new = units(name, span) if new is None else new
    data = extended(stock_of(name), new, span=span, start=start)
    write_folder(folder, data)
    made = constituents(stock_of(name), new)
    table = {
        "id": [data["model"]["vocab"][token] for token in new.tokens],
        "token": list(new.tokens),
        "constituents": [made[token] for token in new.tokens],
        "lengths": [[0] * len(made[token]) for token in new.tokens],  # all weigh the same
    }
    pl.DataFrame(table).write_parquet(folder / DELTA)
    return folder


def constituents(stock: Stock, new: Units) -> dict[str, list[int]]:
    """Stock ids of each unit by the first merges that make it."""
    made: dict[str, list[int]] = {}
    for left, right in new.merges:
        parts = ([stock.vocabulary[side]] if side in stock.vocabulary else made[side] for side in (left, right))
        made.setdefault(left + right, [one for part in parts for one in part])
    return made


@functools.lru_cache(maxsize=1)  # a test asks several times for the same one
def read(folder: Path) -> Stock:
    return Stock.load(folder)


def unit_ids(folder: Path, new: Units) -> list[int]:
    vocabulary = read(folder).vocabulary
    return [vocabulary[token] for token in new.tokens]


def ids_of(folder: Path, texts: Sequence[str]) -> list[list[int]]:
    encoded = read(folder).tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
    return [encoding.ids for encoding in encoded]
