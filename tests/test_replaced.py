"""--replace-unused: units take the ids of what goes, and text of the kept scripts keeps its ids."""

from __future__ import annotations

import copy
import sysconfig
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from conftest import stock_of
from given_up import FOREIGN, KEPT, NAMES, assert_read_back, given_up_of, ids_given_up, ids_of, never, without
from held_out_texts import held_out_texts
from hypothesis import given, settings
from hypothesis import strategies as st
from reachability import unreachable

from hypertok.errors import InputError
from hypertok.tokenizer.scripts import script_of_letter
from hypertok.tokenizer.stock import Family, Stock, built
from hypertok.tokenizer.surgery import extended
from hypertok.tokenizer.unused import with_replaced
from hypertok.vocabulary.units import Span, Units

WORDS = ("митохондрия", "синхрофазотрон", "автомобилестроение", "достопримечательность", "мультивибратор")
BLANK = Units((), (), ())
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


def units_of(stock: Stock) -> Units:
    """The longest first pieces of the words, then all of the words."""
    token_of = stock.token_of
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


def assert_merges_fit(data: dict[str, Any]) -> None:
    vocabulary = data["model"]["vocab"]
    for merge in data["model"]["merges"]:
        left, right = merge.split(" ") if isinstance(merge, str) else merge
        assert left in vocabulary
        assert right in vocabulary
        assert left + right in vocabulary


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
def test_kept_text_has_the_same_ids(name: str) -> None:
    for text in KEPT:
        assert ids_of(without(name), text) == ids_of(stock_of(name).tokenizer, text)
    assert_read_back(name, without(name), FOREIGN)


@pytest.mark.parametrize("name", ["qwen3", "llama2", "llama3_1"])
@given(data=st.data())
def test_any_text_is_read_back(name: str, data: st.DataObject) -> None:
    text = data.draw(any_text)
    assert_read_back(name, without(name), text)
    before = ids_of(stock_of(name).tokenizer, text)
    if ids_given_up(name).isdisjoint(before):
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


@pytest.mark.slow
@pytest.mark.parametrize(("name", "span"), [("qwen3", "word"), ("llama2", "word"), ("llama3_1", "phrase")])
def test_units_take_the_ids(name: str, span: Span) -> None:
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
    tokenizer = built(data)
    assert tokenizer.get_vocab(with_added_tokens=True) == vocabulary
    text = f"Вот {WORDS[0]} и {WORDS[1]}."
    assert {vocabulary[token] for token in units.tokens} & set(ids_of(tokenizer, text))
    assert tokenizer.decode(ids_of(tokenizer, text)) == stock.tokenizer.decode(ids_of(stock.tokenizer, text))
    for token in stock.added:
        assert ids_of(tokenizer, token["content"]) == ids_of(stock.tokenizer, token["content"])


def test_any_number_of_tokens_may_go() -> None:
    stock, given_up = stock_of("llama2"), given_up_of("llama2")
    for number in (0, 1, 2, 100, 1000, len(given_up)):
        assert_merges_fit(with_replaced(stock, never(number), span="word", given_up=given_up))


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


@pytest.mark.slow
def test_source_code_has_the_same_ids() -> None:
    folder = Path(sysconfig.get_paths()["stdlib"])
    texts = [path.read_text("utf-8", "ignore") for path in sorted(folder.glob("*.py"))[::3]]
    assert len(texts) > 50
    assert_same_ids("qwen3", texts)


@pytest.mark.slow
def test_real_text_has_the_same_ids(shared_data: Path) -> None:
    texts = [text for _, text in islice(held_out_texts(shared_data), 200)]
    assert texts
    assert_same_ids("qwen3", texts)


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
