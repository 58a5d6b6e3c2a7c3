"""--replace-unused: what goes is of scripts that nobody kept, and everything else keeps its ids."""

from __future__ import annotations

import copy
import json
import sysconfig
import unicodedata
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from conftest import SENTENCES, stock_folder
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from hypertok.errors import InputError
from hypertok.tokenizer.scripts import LANGUAGES, foreign_script, script_of_letter, scripts_of
from hypertok.tokenizer.stock import Family, Stock
from hypertok.tokenizer.surgery import extended, unreachable
from hypertok.tokenizer.unused import (
    SCHEMA,
    GivenUp,
    given_up_by_script,
    given_up_table,
    unused_tokens,
    used_ids,
    with_replaced,
)
from hypertok.vocabulary.units import Units

NAMES = ["qwen3", "llama2", *(pytest.param(name, marks=pytest.mark.slow) for name in ("llama3_1", "gemma3"))]
LEAST = {"qwen3": 42_000, "llama3_1": 14_000, "llama2": 2_300, "gemma3": 79_000}
WORDS = ("митохондрия", "синхрофазотрон", "автомобилестроение", "достопримечательность", "мультивибратор")
#: Of scripts that Russian and English are not written in, with what stands between.
FOREIGN = "中国人民共和国 すべての人間は 대한민국의 العربية עברית ไทย हिन्दी ქართული հայերեն 。「」、ー１２abc\n"
KEPT = (
    *SENTENCES.splitlines(),
    "def f(x: int) -> str:\n\treturn f'{x:>10}'  # naïve café, Å ∑ α²β → π/2 № § « » … —",
    "😀👩‍👩‍👧‍👦🇷🇺 。「」（）ー ００ ٣٤ ✓ ㎏ ☭",
    "Ёжик, подъезд, е́ж: їжак, ґанок, ћирилица, қазақ",
)
BLANK = Units((), (), ())


@cache
def stock_of(name: str) -> Stock:
    return Stock.load(stock_folder(name))


@cache
def given_up_of(name: str, languages: tuple[str, ...] = ("ru", "en")) -> tuple[GivenUp, ...]:
    return tuple(unused_tokens(stock_of(name), languages))


def units_of(stock: Stock) -> Units:
    """The longest first pieces of the words, then all of the words."""
    token_of = {identifier: token for token, identifier in stock.vocabulary.items()}
    tokens: list[str] = []
    merges: list[tuple[str, str]] = []
    for ids in stock.segment([f" {word}" for word in WORDS]):
        made = token_of[ids[0]]
        for identifier in ids[1:]:
            merges.append((made, token_of[identifier]))
            made += token_of[identifier]
            if made not in stock.vocabulary:
                tokens.append(made)
    return Units(tuple(tokens), tuple(merges), (1,) * len(tokens))


@cache
def without(name: str, languages: tuple[str, ...] = ("ru", "en")) -> Tokenizer:
    """The tokenizer in which every token that can be given up is given to a unit that is never made."""
    stock, given_up = stock_of(name), given_up_of(name, languages)
    never = tuple(f"<never {number}>" for number in range(len(given_up)))
    data = with_replaced(stock, Units(never, (), (0,) * len(never)), span="word", given_up=given_up)
    return Tokenizer.from_str(json.dumps(data))


def ids_of(tokenizer: Tokenizer, text: str) -> list[int]:
    return list(tokenizer.encode(text, add_special_tokens=False).ids)


def assert_read_back(name: str, tokenizer: Tokenizer, text: str) -> None:
    stock = stock_of(name).tokenizer
    ids, before = ids_of(tokenizer, text), ids_of(stock, text)
    assert tokenizer.decode(ids, skip_special_tokens=False) == stock.decode(before, skip_special_tokens=False)
    assert {one.id for one in given_up_of(name)}.isdisjoint(ids)


def assert_merges_fit(data: dict[str, Any]) -> None:
    vocabulary = data["model"]["vocab"]
    for merge in data["model"]["merges"]:
        left, right = merge.split(" ") if isinstance(merge, str) else merge
        assert left in vocabulary
        assert right in vocabulary
        assert left + right in vocabulary


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
def test_kept_tokens_keep_their_merges(name: str) -> None:
    stock, given_up = stock_of(name), given_up_of(name)
    gone = {one.token for one in given_up}
    model, stock_model = without(name).model, stock.tokenizer.model
    alone = [token for token in stock.data["model"]["vocab"] if token not in gone]
    for token in alone if stock.family is Family.BYTE_LEVEL or name == "llama2" else alone[::41]:
        assert [one.id for one in model.tokenize(token)] == [one.id for one in stock_model.tokenize(token)]
    for left, right in stock.merges:
        assert left + right in gone or not gone & {left, right}


@pytest.mark.parametrize("name", NAMES)
def test_a_token_goes_before_its_parts(name: str) -> None:
    turn = {one.token: number for number, one in enumerate(given_up_of(name))}
    for left, right in stock_of(name).merges:
        if left + right in turn:
            assert all(turn.get(side, len(turn)) > turn[left + right] for side in (left, right))


@pytest.mark.parametrize("name", NAMES)
def test_kept_text_has_the_same_ids(name: str) -> None:
    for text in KEPT:
        assert ids_of(without(name), text) == ids_of(stock_of(name).tokenizer, text)
    assert_read_back(name, without(name), FOREIGN)


FOREIGN_LETTERS = "".join(one for one, script in script_of_letter().items() if script not in ("Latin", "Cyrillic"))
any_text = st.text(st.one_of(st.sampled_from(FOREIGN + KEPT[0] + KEPT[-2]), st.characters(exclude_categories=["Cs"])))
kept_text = st.text(
    st.one_of(
        st.sampled_from("".join(KEPT)),
        st.characters(exclude_categories=["Cs"]).filter(
            lambda letter: script_of_letter().get(letter, "Latin") in ("Latin", "Cyrillic")
        ),
    )
)


@pytest.mark.parametrize("name", ["qwen3", "llama2", "llama3_1"])
@given(data=st.data())
def test_any_text_is_read_back(name: str, data: st.DataObject) -> None:
    text = data.draw(any_text)
    assert_read_back(name, without(name), text)
    before = ids_of(stock_of(name).tokenizer, text)
    if not {one.id for one in given_up_of(name)} & set(before):
        assert ids_of(without(name), text) == before


@pytest.mark.parametrize("name", ["qwen3", "llama2", "llama3_1"])
@given(data=st.data())
def test_text_of_kept_letters_has_the_same_ids(name: str, data: st.DataObject) -> None:
    text = data.draw(kept_text)
    assert ids_of(without(name), text) == ids_of(stock_of(name).tokenizer, text)


@pytest.mark.slow
@settings(max_examples=300)
@given(any_text, kept_text)
def test_gemma_text(any_one: str, kept: str) -> None:
    assert_read_back("gemma3", without("gemma3"), any_one)
    assert ids_of(without("gemma3"), kept) == ids_of(stock_of("gemma3").tokenizer, kept)


def test_every_foreign_letter_is_read_back() -> None:
    for name in ("qwen3", "llama2"):
        for text in ("".join(FOREIGN_LETTERS[begin : begin + 500]) for begin in range(0, len(FOREIGN_LETTERS), 500)):
            assert_read_back(name, without(name), text)


def test_composition_makes_no_foreign_letter() -> None:
    """Qwen3 makes NFC of the text; kept letters must stay kept ones."""
    script_of = script_of_letter()
    for point in (*range(0xD800), *range(0xE000, 0x110000)):
        letter = chr(point)
        if script_of.get(letter, "Latin") in ("Latin", "Cyrillic"):
            assert {script_of.get(one, "Latin") for one in unicodedata.normalize("NFC", letter)} <= {
                "Latin",
                "Cyrillic",
            }


@pytest.mark.parametrize("span", ["word", "phrase"])
@pytest.mark.parametrize("name", NAMES)
def test_units_take_the_ids(name: str, span: Any) -> None:
    stock, given_up, units = stock_of(name), given_up_of(name), units_of(stock_of(name))
    before = copy.deepcopy({key: value for key, value in stock.data.items() if key != "model"})
    sizes = len(stock.data["model"]["vocab"]), len(stock.data["model"]["merges"])
    data = with_replaced(stock, units, span=span, given_up=given_up)
    assert {key: value for key, value in stock.data.items() if key != "model"} == before
    assert sizes == (len(stock.data["model"]["vocab"]), len(stock.data["model"]["merges"]))
    beyond = max(stock.vocabulary.values()) + 1
    blank = extended(stock, BLANK, span=span, start=beyond)
    vocabulary, gone = data["model"]["vocab"], given_up[: len(units.tokens)]
    assert sorted(vocabulary.values()) == list(range(beyond))
    assert [vocabulary[token] for token in units.tokens] == [one.id for one in gone]
    assert blank["model"]["vocab"].items() - vocabulary.items() == {(one.token, one.id) for one in gone}
    assert list(vocabulary.values()) == sorted(vocabulary.values())
    assert_merges_fit(data)
    new = [
        " ".join(merge) if isinstance(stock.data["model"]["merges"][0], str) else list(merge) for merge in units.merges
    ]
    assert data["model"]["merges"][-len(new) :] == new
    left = iter(stock.data["model"]["merges"])
    assert all(any(merge == other for other in left) for merge in data["model"]["merges"][: -len(new)])
    assert data.get("pre_tokenizer") == blank.get("pre_tokenizer")
    assert unreachable(data, units) == []
    tokenizer = Tokenizer.from_str(json.dumps(data))
    assert tokenizer.get_vocab(with_added_tokens=True) == vocabulary
    text = f"Вот {WORDS[0]} и {WORDS[1]}."
    assert {vocabulary[token] for token in units.tokens} & set(ids_of(tokenizer, text))
    assert tokenizer.decode(ids_of(tokenizer, text)) == stock.tokenizer.decode(ids_of(stock.tokenizer, text))
    for token in stock.added:
        assert ids_of(tokenizer, token["content"]) == ids_of(stock.tokenizer, token["content"])


def test_any_number_of_tokens_may_go() -> None:
    stock, given_up = stock_of("llama2"), given_up_of("llama2")
    for number in (0, 1, 2, 100, 1000, len(given_up)):
        never = tuple(f"<never {one}>" for one in range(number))
        assert_merges_fit(with_replaced(stock, Units(never, (), (0,) * number), span="word", given_up=given_up))


@pytest.mark.parametrize("name", ["qwen3", "llama2", "llama3_1"])
def test_what_the_corpus_uses_stays(name: str) -> None:
    stock, texts = stock_of(name), ["Иероглифы 中国人民 и 東京, 大学生。", "слово קבלה"]
    used = used_ids(stock, texts)
    given_up = unused_tokens(stock, ["ru", "en"], keep=used)
    assert used.isdisjoint(one.id for one in given_up)
    assert len(given_up) > 0.95 * len(given_up_of(name))
    never = tuple(f"<never {number}>" for number in range(len(given_up)))
    data = with_replaced(stock, Units(never, (), (0,) * len(never)), span="word", given_up=given_up)
    kept = replace(stock, data=data)
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


@pytest.mark.parametrize(
    ("raw", "script"),
    [
        ("中".encode(), "Han"),
        ("мир 中".encode(), "Han"),
        ("。".encode(), None),
        ("мир".encode(), None),
        (b"\xe4\xb8", "Han"),
        (b" \xe5", "Han"),
        (b" \xe4", None),  # the Yijing hexagrams begin so too
        (b"\xb8\xad", None),
        (b"\xb8\xad\xe5\x9b", "Han"),
        (b"\xea\xb0", "Hangul"),
        (b"\xe0\xb8", None),  # the sign of the baht
        (b"\xf0\xa0", "Han"),
        (b"\xf0\x9f\x98", None),
        (b"\xed", None),
        (b"\xe4\xb8a", None),
        (b"\xff\xe4\xb8", None),
        (b"\xd0", None),
        (b"", None),
    ],
)
def test_parts_of_characters(raw: bytes, script: str | None) -> None:
    foreign = {letter: of for letter, of in script_of_letter().items() if of not in ("Latin", "Cyrillic")}
    assert foreign_script(raw, foreign) == script


@given(st.text(), st.integers(0, 8), st.integers(0, 8))
def test_parts_are_foreign_only_if_the_whole_is(text: str, front: int, back: int) -> None:
    foreign = {letter: of for letter, of in script_of_letter().items() if of not in ("Latin", "Cyrillic")}
    raw = text.encode()
    if foreign_script(raw[front : len(raw) - back], foreign):
        assert foreign_script(raw, foreign)


def test_languages() -> None:
    assert scripts_of(["ru", " EN "]) == {"Cyrillic", "Latin"}
    assert scripts_of(["ja"]) == {"Han", "Hiragana", "Katakana"}
    assert {script for one, script in script_of_letter().items()} <= {*LANGUAGES, "Other"}
    for wrong in (["ru", "xx"], ["rus"], [""], []):
        with pytest.raises(InputError, match=r"ISO 639-1.* ja .* ru "):
            scripts_of(wrong)
    assert not any(one.script in ("Han", "Hiragana") for one in given_up_of("qwen3", ("ru", "ja")))
    russian = {one.id: one.text for one in given_up_of("qwen3", ("ru",))}
    assert {one.id for one in given_up_of("qwen3")} < russian.keys()
    assert stock_of("qwen3").vocabulary["Ã©"] in russian  # é
    assert any(text == "мир" for text in (one.text for one in given_up_of("qwen3", ("en",))))


def test_what_cannot_be_replaced_is_refused() -> None:
    stock, given_up, units = stock_of("llama2"), given_up_of("llama2"), units_of(stock_of("llama2"))
    with pytest.raises(InputError, match=r"and there are 3 of these.*--rows"):
        with_replaced(stock, units, span="word", given_up=given_up[:3])
    han = Units(("▁一个一个",), (("▁一个", "一个"),), (1,))
    two = [one for one in given_up if one.text in ("一个",)]
    with pytest.raises(InputError, match="一个"):
        with_replaced(stock, han, span="word", given_up=two)
    with pytest.raises(InputError, match="is a stock token to be given up"):
        with_replaced(stock, Units((two[0].token,), (), (1,)), span="word", given_up=two)
    part = next(
        one for one in given_up if any(one.token in pair and "".join(pair) != one.token for pair in stock.merges)
    )
    with pytest.raises(InputError, match="is made of"):
        with_replaced(stock, Units(("<never>",), (), (0,)), span="word", given_up=[part])
    with pytest.raises(InputError, match="does not have the id"):
        with_replaced(stock, Units(("<never>",), (), (0,)), span="word", given_up=given_up_of("qwen3"))


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


@pytest.mark.slow
def test_source_code_has_the_same_ids() -> None:
    folder = Path(sysconfig.get_paths()["stdlib"])
    texts = [path.read_text("utf-8", "ignore") for path in sorted(folder.glob("*.py"))]
    assert len(texts) > 50
    assert_same_ids("qwen3", texts)


@pytest.mark.slow
def test_real_text_has_the_same_ids(shared_data: Path) -> None:
    splits = pl.read_csv(shared_data / "corpora" / "splits.tsv", separator="\t").filter(pl.col("split") != "train")
    assert splits.height
    assert_same_ids(
        "qwen3", [(shared_data / "corpora" / path).read_text("utf-8", "ignore") for path in splits["path"].head(200)]
    )


def assert_same_ids(name: str, texts: list[str]) -> None:
    """Texts without foreign letters keep their ids; those with some are read back."""
    checked = 0
    for text in texts:
        before = ids_of(stock_of(name).tokenizer, text)
        if any(script_of_letter().get(letter, "Latin") not in ("Latin", "Cyrillic") for letter in set(text)):
            assert_read_back(name, without(name), text)
        else:
            assert ids_of(without(name), text) == before
            checked += 1
    assert checked > 0.9 * len(texts)
