"""Tokenizers of which every token that can be given up is given up, and what is asked of their ids."""

from __future__ import annotations

from functools import cache

import pytest
from conftest import SENTENCES, stock_of
from tokenizers import Tokenizer

from hypertok.tokenizer.stock import built
from hypertok.tokenizer.unused import GivenUp, unused_tokens, with_replaced
from hypertok.vocabulary.units import Units

NAMES = ["qwen3", "llama2", *(pytest.param(name, marks=pytest.mark.slow) for name in ("llama3_1", "gemma3"))]
#: Of scripts that Russian and English are not written in, with what stands between.
FOREIGN = "中国人民共和国 すべての人間は 대한민국의 العربية עברית ไทย हिन्दी ქართული հայերեն 。「」、ー１２abc\n"
KEPT = (
    *SENTENCES.splitlines(),
    "def f(x: int) -> str:\n\treturn f'{x:>10}'  # naïve café, Å ∑ α²β → π/2 № § « » … —",
    "😀👩‍👩‍👧‍👦🇷🇺 。「」（）ー ００ ٣٤ ✓ ㎏ ☭",
    "Ёжик, подъезд, е́ж: їжак, ґанок, ћирилица, қазақ",
)


@cache
def given_up_of(name: str, languages: tuple[str, ...] = ("ru", "en")) -> tuple[GivenUp, ...]:
    return tuple(unused_tokens(stock_of(name), languages))


@cache
def ids_given_up(name: str) -> frozenset[int]:
    return frozenset(one.id for one in given_up_of(name))


def never(number: int) -> Units:
    """Units that no text ever has."""
    return Units(tuple(f"<never {one}>" for one in range(number)), (), (0,) * number)


@cache
def without(name: str) -> Tokenizer:
    """The tokenizer in which every token that can be given up is given to a unit that is never made."""
    stock, given_up = stock_of(name), given_up_of(name)
    data = with_replaced(stock, never(len(given_up)), span="word", given_up=given_up)
    return built(data)


def ids_of(tokenizer: Tokenizer, text: str) -> list[int]:
    return list(tokenizer.encode(text, add_special_tokens=False).ids)


def assert_read_back(name: str, tokenizer: Tokenizer, text: str) -> None:
    stock = stock_of(name).tokenizer
    ids, before = ids_of(tokenizer, text), ids_of(stock, text)
    assert tokenizer.decode(ids, skip_special_tokens=False) == stock.decode(before, skip_special_tokens=False)
    assert ids_given_up(name).isdisjoint(ids)
