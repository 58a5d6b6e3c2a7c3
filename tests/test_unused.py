"""--replace-unused: only tokens of scripts that nobody kept go, in an order that merges allow."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from conftest import stock_of
from given_up import NAMES, given_up_of, never

from hypertok.tokenizer.unused import SCHEMA, given_up_by_script, given_up_table, unused_tokens, used_ids, with_replaced

LEAST = {"qwen3": 42_000, "llama3_1": 14_000, "llama2": 2_300, "gemma3": 79_000}


@pytest.mark.parametrize("name", NAMES)
def test_only_letters_of_other_scripts_go(name: str) -> None:
    stock, given_up = stock_of(name), given_up_of(name)
    assert len(given_up) > LEAST[name]
    assert {stock.vocabulary[token["content"]] for token in stock.added}.isdisjoint(one.id for one in given_up)
    for one in given_up:
        raw = stock.bytes_of(one.token)
        assert stock.vocabulary[one.token] == one.id
        assert len(raw) > 1
        assert not raw.isascii()
        assert raw.decode("utf-8", "replace") == (one.text or raw.decode("utf-8", "replace"))
        letters = [letter for letter in one.text or "" if letter.isalpha() or unicodedata.category(letter)[0] == "M"]
        kept = ("LATIN", "CYRILLIC", "GREEK", "COMBINING")
        assert not letters or any(not unicodedata.name(letter, "?").startswith(kept) for letter in letters)
        assert letters or one.text is None
    assert sum(given_up_by_script(given_up).values()) == len(given_up)


@pytest.mark.parametrize("name", NAMES)
def test_a_token_goes_before_its_parts(name: str) -> None:
    turn = {one.token: number for number, one in enumerate(given_up_of(name))}
    for left, right in stock_of(name).merges:
        if left + right in turn:
            assert all(turn.get(side, len(turn)) > turn[left + right] for side in (left, right))


@pytest.mark.parametrize("name", ["qwen3", "llama2", "llama3_1"])
def test_what_the_corpus_uses_stays(name: str) -> None:
    stock, texts = stock_of(name), ["Иероглифы 中国人民 и 東京, 大学生。", "слово קבלה"]
    used = used_ids(stock, texts)
    given_up = unused_tokens(stock, ["ru", "en"], keep=used)
    assert used.isdisjoint(one.id for one in given_up)
    assert len(given_up) > 0.95 * len(given_up_of(name))
    kept = replace(stock, data=with_replaced(stock, never(len(given_up)), span="word", given_up=given_up))
    assert kept.segment(texts) == stock.segment(texts)
    assert used_ids(stock, []) == set()


def test_parts_of_a_kept_token_stay() -> None:
    stock = stock_of("qwen3")
    whole = stock.alphabet_of("中国人民")
    given_up = {one.token for one in unused_tokens(stock, ["ru"], keep={stock.vocabulary[whole]})}
    inside = [stock.alphabet_of(text) for text in ("中国", "人民", "中", "国", "人", "民")]
    assert given_up.isdisjoint(inside)
    assert set(inside) < {one.token for one in given_up_of("qwen3")}


def test_characters_stay_where_bytes_cannot_replace_them() -> None:
    stock = stock_of("llama2")
    data = {**stock.data, "model": {**stock.data["model"], "byte_fallback": False}}
    given_up = unused_tokens(replace(stock, data=data), ["ru", "en"])
    assert given_up
    assert all(len(one.token) > 1 for one in given_up)


def test_languages_decide_what_goes() -> None:
    assert not any(one.script in ("Han", "Hiragana") for one in given_up_of("qwen3", ("ru", "ja")))
    russian = {one.id: one.text for one in given_up_of("qwen3", ("ru",))}
    assert {one.id for one in given_up_of("qwen3")} < russian.keys()
    assert stock_of("qwen3").vocabulary["Ã©"] in russian  # é
    assert any(text == "мир" for text in (one.text for one in given_up_of("qwen3", ("en",))))


def test_table_says_what_was_given_up(tmp_path: Path) -> None:
    given_up = given_up_of("qwen3")
    table = given_up_table(given_up)
    assert dict(table.schema) == SCHEMA
    assert table.height == len(given_up)
    assert table.row(0) == (given_up[0].id, given_up[0].token, given_up[0].text, given_up[0].script)
    assert table["text"].null_count() == sum(one.text is None for one in given_up) > 0
    assert given_up_table([]).schema == table.schema
    by_script = given_up_by_script(given_up)
    assert next(iter(by_script)) == "Han"
    assert all(more >= less for more, less in pairwise(by_script.values()))
    assert dict(table["reason"].value_counts().iter_rows()) == by_script
    table.write_parquet(tmp_path / "given_up.parquet")
    assert pl.read_parquet(tmp_path / "given_up.parquet").equals(table)
