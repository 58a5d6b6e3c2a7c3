"""Symbol text for tokenizers: lossless whatever the text, and units over it that a real tokenizer makes."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from codec_texts import any_character
from conftest import SENTENCES, stock_folder
from hypothesis import given, settings
from hypothesis import strategies as st
from stock_files import tiny_data
from tokenizers import Tokenizer

from hypertok.codec import marks
from hypertok.errors import InputError
from hypertok.lexicon.lexicon import Lexicon
from hypertok.tokenizer.pretokenizer import symbol_pretokenizer
from hypertok.tokenizer.stock import Family, Stock, built
from hypertok.tokenizer.surgery import extended
from hypertok.tokenizer.tokenizer_json import BYTE_CHARACTERS, added_token
from hypertok.vocabulary.symbol_codec import GLUE, SymbolCodec, restricted_codec, symbol_run_pattern
from hypertok.vocabulary.symbols import SymbolUnits, learn_symbol_units, own_bytes
from hypertok.vocabulary.units import Span, TooFewUnits

ROWS = 300


@pytest.fixture(scope="module")
def runs() -> pl.DataFrame:
    found = re.findall(r" ?[А-ЯЁа-яё]+(?:,? [А-ЯЁа-яё]+)*", SENTENCES)
    weight = pl.Series("weight", np.full(len(found), 20.0, dtype=np.float32))
    return pl.DataFrame({"run": found}).with_columns(count=pl.lit(20, pl.UInt32), weight=weight)


@pytest.fixture(scope="module", params=["qwen3", "gemma3"])
def stock(request: pytest.FixtureRequest) -> Stock:
    return Stock.load(stock_folder(request.param))


@pytest.fixture(scope="module")
def learned(stock: Stock, small_lexicon: Lexicon, runs: pl.DataFrame) -> SymbolUnits:
    return learn_symbol_units(stock, small_lexicon.concepts, small_lexicon.forms, runs, ROWS, "phrase")


@pytest.fixture(scope="module")
def half(small_lexicon: Lexicon) -> SymbolCodec:
    """A codec of every other concept."""
    return _codec(small_lexicon, frozenset(small_lexicon.concepts["symbol"].to_list()[::2]))


def _codec(lexicon: Lexicon, symbols: frozenset[str]) -> SymbolCodec:
    return restricted_codec(lexicon.concepts, lexicon.forms, symbols)


@pytest.fixture(scope="module")
def tokenizer(stock: Stock, learned: SymbolUnits) -> Tokenizer:
    data: dict[str, Any] = extended(stock, learned.units, span="word")
    changed = symbol_pretokenizer(stock, symbol_run_pattern(learned.symbols))
    return built(data if changed is None else {**data, "pre_tokenizer": changed})


def check_lossless(codec: SymbolCodec, text: str) -> None:
    assert codec.decode(codec.encode(text)) == text


def test_only_the_chosen_concepts_are_written(small_lexicon: Lexicon, half: SymbolCodec) -> None:
    symbol = {lemma: symbol for symbol, lemma in small_lexicon.concepts.select("symbol", "lemma").iter_rows()}
    text = "печень и кот"
    codec = _codec(small_lexicon, frozenset({symbol["печень"]}))
    assert codec.encode(text) == f"{symbol['печень']} и кот"
    assert _codec(small_lexicon, frozenset()).encode(text) == text


def test_spaces_before_coded_words_are_implied(small_lexicon: Lexicon) -> None:
    codec = _codec(small_lexicon, frozenset(small_lexicon.concepts["symbol"].to_list()))
    coded = codec.encode("Врач сказал, что печени нужен покой. О печени он говорил долго")
    assert " " not in coded
    assert GLUE not in coded
    assert codec.encode("печень") + codec.encode("печень") == codec.encode("печень печень")


def test_what_touches_a_coded_word_is_glued(small_lexicon: Lexicon) -> None:
    codec = _codec(small_lexicon, frozenset(small_lexicon.concepts["symbol"].to_list()))
    assert GLUE in codec.encode("xпечень,печень")
    for text in (
        "xпечень,печень",
        "печень  печень",
        "печень\nпечень",
        " печень",
        "печень ",
        "печень,  печень . печень",
    ):
        check_lossless(codec, text)


def test_symbols_marks_and_glue_in_text_are_kept(small_lexicon: Lexicon, half: SymbolCodec) -> None:
    for symbol in small_lexicon.concepts["symbol"].to_list():
        for text in (f"печень {symbol} печень", f"{symbol}{symbol} печень", f"печень,{symbol}", f"{GLUE}{symbol}"):
            check_lossless(half, text)
    for mark in (marks.ESCAPE, GLUE, *marks.CASE_MARKS, *marks.VARIANTS, chr(marks.INFLECTION_FIRST)):
        check_lossless(half, f"печень{mark}печень {mark} печень{mark}")


WORDS = st.sampled_from(re.findall(r"\w+", SENTENCES))
PIECES = st.one_of(
    WORDS,
    WORDS.map(str.upper),
    st.sampled_from(
        [" ", " ", " ", ", ", ",", " — ", "-", ".", "\n", "  ", "«", "»", "(", GLUE, marks.ESCAPE, "\ue100"]
    ),
    st.sampled_from(["肝", "∧", "我", "😀", "x", "7", "\ue001", "́"]),
    st.text(any_character, max_size=5),
)


@given(pieces=st.lists(PIECES, max_size=20), data=st.data())
@settings(max_examples=300)
def test_lossless_for_every_text(
    small_lexicon: Lexicon, half: SymbolCodec, pieces: list[str], data: st.DataObject
) -> None:
    symbols = small_lexicon.concepts["symbol"].to_list()
    pieces.insert(len(pieces) // 2, data.draw(st.sampled_from(symbols)))
    check_lossless(half, "".join(pieces))


@given(text=st.text(any_character))
def test_lossless_for_arbitrary_characters(half: SymbolCodec, text: str) -> None:
    check_lossless(half, text)


def test_units_are_new_and_merges_lead_to_them(stock: Stock, learned: SymbolUnits) -> None:
    units = learned.units
    assert len(units.tokens) == len(set(units.tokens)) == len(units.counts) == len(units.constituents) == ROWS
    assert not set(units.tokens) & stock.vocabulary.keys()
    made = {left + right for left, right in units.merges}
    alone = [token for token in units.tokens if token not in made]
    assert all(len(token) == 1 for token in alone), "a unit without a merge must be one character by itself"
    names = stock.token_of
    for token, ids in zip(units.tokens, units.constituents, strict=True):
        assert stock.bytes_of(token) == b"".join(stock.bytes_of(names[number]) for number in ids)
    assert len(learned.units.tokens) == ROWS
    own = own_bytes(learned.symbols)
    assert all(own.search(stock.bytes_of(left + right)) for left, right in units.merges), "made in other text too"


def test_the_tokenizer_makes_marks_and_units(
    stock: Stock, tokenizer: Tokenizer, learned: SymbolUnits, small_lexicon: Lexicon
) -> None:
    codec = _codec(small_lexicon, learned.symbols)
    coded = codec.encode(SENTENCES)
    encoding = tokenizer.encode(coded, add_special_tokens=False)
    assert tokenizer.decode(encoding.ids, skip_special_tokens=False) == coded
    assert len(encoding.ids) < 0.6 * len(stock.segment([SENTENCES])[0])
    mark = next(character for character in coded if "\ue100" <= character <= "\ue4ff")
    assert len(tokenizer.encode(mark, add_special_tokens=False).ids) == 1


def test_units_come_out_of_the_runs_as_often_as_counted(
    tokenizer: Tokenizer, learned: SymbolUnits, small_lexicon: Lexicon, runs: pl.DataFrame
) -> None:
    codec = _codec(small_lexicon, learned.symbols)
    counted = dict(zip(learned.units.tokens, learned.units.counts, strict=True))
    emitted: Counter[str] = Counter()
    for run, count in runs.select("run", "count").iter_rows():
        # A run that begins with a space follows a word: its tokens are those behind «печень».
        before = codec.encode("печень") if run[0] == " " else ""
        ids = tokenizer.encode(codec.encode("печень" + run)[len(before) :] if before else codec.encode(run)).ids
        emitted.update({tokenizer.id_to_token(number): count for number in ids})
    wrong = sum(abs(count - emitted[token]) for token, count in counted.items())
    assert wrong < 0.03 * sum(counted.values())


def test_a_coded_run_is_one_piece(
    stock: Stock, tokenizer: Tokenizer, learned: SymbolUnits, small_lexicon: Lexicon
) -> None:
    codec = _codec(small_lexicon, learned.symbols)
    if stock.family is Family.SENTENCEPIECE:
        pytest.skip("everything is one piece")
    assert tokenizer.pre_tokenizer is not None
    text = codec.encode("старый мост, она печёт хлеб")
    assert len(tokenizer.pre_tokenizer.pre_tokenize_str(text)) == 1
    plain = "for i in range(10): print('日本', \"ok\")\n\t# naïve — ok…"
    assert tokenizer.pre_tokenizer.pre_tokenize_str(plain) == stock.tokenizer.pre_tokenizer.pre_tokenize_str(plain)


def test_word_span_joins_no_words(small_lexicon: Lexicon, runs: pl.DataFrame) -> None:
    stock = Stock.load(stock_folder("qwen3"))
    learned = learn_symbol_units(stock, small_lexicon.concepts, small_lexicon.forms, runs, 150, "word")
    for token in learned.units.tokens:
        text = stock.bytes_of(token).decode("utf-8", "ignore")
        assert sum(character in learned.symbols for character in text) < 2


@pytest.mark.parametrize("span", ["word", "phrase"])
def test_the_same_runs_give_the_same_units(small_lexicon: Lexicon, runs: pl.DataFrame, span: Span) -> None:
    stock = Stock.load(stock_folder("qwen3"))
    tables = small_lexicon.concepts, small_lexicon.forms, runs
    one, two = (learn_symbol_units(stock, *tables, 150, span).units for _ in range(2))
    assert one == two


def test_impossible_numbers_of_rows_are_refused(small_lexicon: Lexicon, runs: pl.DataFrame) -> None:
    stock = Stock.load(stock_folder("qwen3"))
    tables = small_lexicon.concepts, small_lexicon.forms, runs
    with pytest.raises(InputError, match="more than the lexicon's corpus"):
        learn_symbol_units(stock, *tables, 100_000, "phrase")
    with pytest.raises(InputError, match="fewer than the"):
        learn_symbol_units(stock, *tables, 3, "phrase")


@pytest.fixture(scope="module")
def bytes_alone() -> Stock:
    """A tokenizer of the 256 bytes, which merges nothing."""
    data = tiny_data(vocab={character: number for number, character in enumerate(BYTE_CHARACTERS)}, merges=[])
    return Stock(Path("small.json"), data, Family.BYTE_LEVEL)


def test_the_number_of_rows_named_for_too_many_can_be_had(
    bytes_alone: Stock, small_lexicon: Lexicon, runs: pl.DataFrame
) -> None:
    """Many merges are of bytes that other text has too: they take no row, but room."""
    tables = small_lexicon.concepts, small_lexicon.forms, runs
    with pytest.raises(TooFewUnits) as refused:
        learn_symbol_units(bytes_alone, *tables, 100_000, "phrase")
    units = learn_symbol_units(bytes_alone, *tables, refused.value.found, "phrase").units
    assert len(units.tokens) == refused.value.found


def test_an_added_token_is_joined_to_nothing(bytes_alone: Stock, small_lexicon: Lexicon, runs: pl.DataFrame) -> None:
    """Text is cut at it before anything is merged."""
    codec = _codec(small_lexicon, frozenset(small_lexicon.concepts["symbol"]))
    symbol = codec.encode("печень")
    added = added_token(symbol, 256, special=False)
    stock = replace(bytes_alone, data={**bytes_alone.data, "added_tokens": [added]})
    tables = small_lexicon.concepts, small_lexicon.forms, runs
    units = learn_symbol_units(stock, *tables, 150, "phrase").units
    assert not any(symbol in token for token in units.tokens)
    assert built(extended(stock, units, span="word")).encode(codec.encode("печени и печень")).ids.count(256) == 2
