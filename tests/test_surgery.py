"""The extended tokenizer.json: no stock id moves, no id is missing, every unit is made."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
from conftest import SENTENCES, stock_of
from counted_units import units
from reachability import unreachable
from tokenizers import Tokenizer

from hypertok.errors import InputError
from hypertok.tokenizer.stock import built
from hypertok.tokenizer.surgery import extended
from hypertok.vocabulary.units import Span, Units


@pytest.mark.parametrize(
    ("name", "span"),
    [("qwen3", "word"), ("llama3_1", "phrase"), ("llama2", "phrase")],  # all, loaded in other ways too: test_verify.py
)
def test_extension_keeps_all_that_was_there(name: str, span: Span, tmp_path: Path) -> None:
    stock, new = stock_of(name), units(name, "word")
    before = copy.deepcopy({key: value for key, value in stock.data.items() if key != "model"})
    data = extended(stock, new, span=span)
    assert {key: value for key, value in stock.data.items() if key != "model"} == before
    assert len(new.tokens) > 50
    vocabulary = data["model"]["vocab"]
    assert sorted(vocabulary.values()) == list(range(stock.first_free_id + len(new.tokens)))
    assert stock.vocabulary.items() <= vocabulary.items()
    assert data["model"]["merges"][: len(stock.merges)] == stock.data["model"]["merges"]
    assert data["model"].get("ignore_merges") == stock.data["model"].get("ignore_merges")
    assert unreachable(data, new) == []
    tokenizer = built(data)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    again = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    for loaded in (tokenizer, again):
        assert loaded.get_vocab(with_added_tokens=True) == vocabulary
        assert loaded.encode(SENTENCES).ids == tokenizer.encode(SENTENCES).ids
        assert len(loaded.encode(SENTENCES).ids) < 0.9 * len(stock.tokenizer.encode(SENTENCES).ids)
        assert loaded.decode(loaded.encode(SENTENCES).ids) == stock.tokenizer.decode(
            stock.tokenizer.encode(SENTENCES).ids
        )


@pytest.mark.parametrize("name", ["qwen3", "llama2"])  # all: test_pretokenizer.py
def test_without_units_nothing_changes(name: str) -> None:
    stock = stock_of(name)
    tokenizer = built(extended(stock, Units((), (), ()), span="phrase"))
    specials = "".join(token["content"] for token in stock.added[:300])
    for text in (SENTENCES, specials, "Hello, мир! 123 <hypertok_unused_id_5>"):
        assert tokenizer.encode(text).ids == stock.tokenizer.encode(text).ids


def test_holes_are_filled_up_to_the_start() -> None:
    stock = stock_of("qwen3")
    data = extended(stock, Units((), (), ()), span="word", start=151936)
    assert data["model"]["vocab"]["<hypertok_unused_id_151669>"] == 151669
    assert sorted(data["model"]["vocab"].values()) == list(range(151936))
    with pytest.raises(InputError, match="151643"):
        extended(stock, Units((), (), ()), span="word", start=151643)


@pytest.mark.parametrize(
    ("tokens", "merges", "named"),
    [
        (("Ġt",), (), "Ġt"),
        (("ĠtĠt", "ĠtĠt"), (("Ġt", "Ġt"),), "twice"),
        (("ĠtĠt",), (("Ġt", "ĠtĠtĠt"),), "ĠtĠtĠt"),
        ((), (("Ġt", "Ġt"),), "ĠtĠt"),
        (("ĠtĠt",), (("Ġt", "Ġt"), ("Ġt", "Ġt")), "there already"),
        ((), (("Ġ", "t"),), "there already"),
    ],
)
def test_wrong_units_are_refused(tokens: tuple[str, ...], merges: tuple[tuple[str, str], ...], named: str) -> None:
    with pytest.raises(InputError, match=named):
        extended(stock_of("qwen3"), Units(tokens, merges, (1,) * len(tokens)), span="word")


def test_units_that_are_never_made_are_told() -> None:
    stock = stock_of("qwen3")
    decomposed = stock.alphabet_of(" чи\u0306")  # Qwen composes the two characters before it cuts text
    apart = stock.alphabet_of("x1")  # the pre-tokenizer cuts it
    pathless = stock.alphabet_of(" митохондрия")
    ids = stock.vocabulary
    parts = stock.tokenizer.model.tokenize(decomposed)
    merges, made = [], parts[0].value
    units = []
    for part in parts[1:]:
        merges.append((made, part.value))
        made += part.value
        if made not in ids:
            units.append(made)
    tokens = (*units, apart, pathless)
    assert decomposed in tokens
    found = Units(tokens, (*[merge for merge in merges if merge not in stock.merges], ("x", "1")), (1,) * len(tokens))
    lost = unreachable(extended(stock, found, span="word"), found)
    assert {decomposed, apart, pathless} <= set(lost)
