"""The surface of units of symbol text: the words that they stand for, as the stock tokenizer cuts them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from conftest import stock_of

from hypertok.codec import marks
from hypertok.lexicon.lexicon import Lexicon
from hypertok.tokenizer.delta import delta_table
from hypertok.tokenizer.kind import DELTA
from hypertok.tokenizer.stock import Stock
from hypertok.tokenizer.surface import row_columns, with_surface
from hypertok.vocabulary.symbol_codec import GLUE, restricted_codec
from hypertok.vocabulary.symbols import learn_symbol_units
from hypertok.vocabulary.units import Units


@pytest.fixture(scope="module", params=["qwen3", "gemma3", "llama2"])
def stock(request: pytest.FixtureRequest) -> Stock:
    return stock_of(request.param)


def delta_of(stock: Stock, lexicon: Lexicon, texts: list[str]) -> pl.DataFrame:
    """A delta of units with these texts."""
    tokens = tuple(map(stock.alphabet_of, texts))
    units = Units(tokens, (), (1,) * len(texts), tuple(map(tuple, stock.segment(texts))))
    symbols = frozenset(lexicon.concepts["symbol"])
    return with_surface(delta_table(stock, units, list(range(len(texts))), lexicon), stock, lexicon, symbols)


def test_a_phrase_is_words_joined_by_a_space(stock: Stock, small_lexicon: Lexicon) -> None:
    """As the codec reads; «цикл, кребса» is two words."""
    concepts = dict(zip(small_lexicon.concepts["lemma"], range(small_lexicon.concepts.height), strict=True))
    delta = delta_of(stock, small_lexicon, [" цикл Кребса", " цикл, Кребса", " врач — цикл Кребса"])
    one, apart, both = delta["concepts"].to_list()
    assert one == [concepts["цикл кребса"]]
    assert concepts["цикл кребса"] not in apart
    assert both == [concepts["врач"], *one]


def written(stock: Stock, rows: list[list[int]]) -> list[str]:
    """What rows of stock ids say, as they stand inside running text."""
    names = stock.token_of
    return [b"".join(stock.bytes_of(names[number]) for number in ids).decode() for ids in rows]


def example_texts(stock: Stock, lexicon: Lexicon, mark: str) -> str:
    return written(stock, delta_of(stock, lexicon, [mark])["surface_constituents"].to_list())[0]


def test_a_symbol_with_its_marks_is_its_form(stock: Stock, small_lexicon: Lexicon) -> None:
    """Every form of the small lexicon, as the table of forms has it: no codec is asked."""
    concepts = small_lexicon.concepts.with_row_index("concept").select("concept", "symbol", "base", "cases")
    forms = small_lexicon.forms.filter("main").join(concepts, on="concept", maintain_order="left")
    texts, wanted = [], []
    for form, symbol, base, cases, inflection, variant in forms.select(
        "form", "symbol", "base", "cases", "inflection", "variant"
    ).iter_rows():
        marked = marks.inflection_mark(0 if inflection == base else inflection) + marks.variant_mark(variant)
        texts.append(symbol + marked)
        wanted.append(f" {marks.apply_case(form, tuple(map(int, cases)))}")
    assert len(texts) > 1_000
    delta = delta_of(stock, small_lexicon, texts)
    assert delta["surface"].to_list() == wanted
    assert delta["surface_constituents"].to_list() == stock.segment(wanted)
    assert written(stock, delta["surface_constituents"].to_list()) == wanted
    assert delta["surface_lengths"].list.sum().to_list() == list(map(len, wanted))


@pytest.mark.parametrize("name", ["qwen3", "gemma3"])
def test_learned_units_are_what_the_codec_decodes(name: str, vault_lexicon: Lexicon) -> None:
    stock, lexicon = stock_of(name), vault_lexicon
    learned = learn_symbol_units(stock, lexicon.concepts, lexicon.forms, lexicon.runs, 400, "phrase")
    plain = delta_table(stock, learned.units, list(range(400)), lexicon)
    delta = with_surface(plain, stock, lexicon, learned.symbols)
    assert delta.select(plain.columns).equals(plain)
    whole = delta.filter(pl.col("surface").is_not_null())
    marked = delta.filter(pl.col("text").is_not_null() & pl.col("surface").is_null())["text"]
    assert len(whole) > 200
    assert all(marks.BLOCK_FIRST <= ord(text[0]) <= marks.BLOCK_LAST or text[-1] in marks.CASE_MARKS for text in marked)
    codec = restricted_codec(lexicon.concepts, lexicon.forms, learned.symbols)
    for text, surface in whole.select("text", "surface").iter_rows():
        assert codec.decode(f"а{text}") == f"а{surface}"
    assert written(stock, whole["surface_constituents"].to_list()) == whole["surface"].to_list()


def test_spaces_are_those_of_running_text(stock: Stock, small_lexicon: Lexicon) -> None:
    liver = small_lexicon.encode("печень")
    texts = [liver, f"{GLUE}{liver}", f"{liver},{liver}", f", {GLUE}", f" - {liver}", f"не{liver}", " слово", "слово"]
    surfaces = [" печень", "печень", " печень, печень", None, " - печень", "не печень", " слово", "слово"]
    assert delta_of(stock, small_lexicon, texts)["surface"].to_list() == surfaces


def test_case_marks_write_the_word_so(stock: Stock, small_lexicon: Lexicon) -> None:
    texts = [small_lexicon.encode(text) for text in ("Печени", "ПЕЧЕНЬ", "Цикла Кребса", "Москву", "москва")]
    surfaces = delta_of(stock, small_lexicon, texts)["surface"].to_list()
    assert surfaces == [" Печени", " ПЕЧЕНЬ", " Цикла Кребса", " Москву", " москва"]


def test_a_lone_inflection_stands_for_its_endings(stock: Stock, small_lexicon: Lexicon) -> None:
    liver, of_liver = (small_lexicon.encode(text) for text in ("печень", "печени"))
    mark = of_liver[len(liver) :]
    assert len(mark) == 1
    delta = delta_of(stock, small_lexicon, [mark, f"{mark},", of_liver])
    assert delta["surface"].to_list() == [None, None, " печени"]
    endings = example_texts(stock, small_lexicon, mark)
    assert {"а", "и"} <= set(endings)  # of the genitive
    assert set(endings) <= set("аяиыоейгмн")
    lone, joined = delta["surface_constituents"].to_list()[:2]
    assert written(stock, [joined]) == [f"{endings},"]
    assert joined[: len(lone)] == lone
    past = small_lexicon.encode("сказал")[-1]
    assert "л" in example_texts(stock, small_lexicon, past)


def test_a_lone_case_mark_stands_for_beginnings(stock: Stock, small_lexicon: Lexicon) -> None:
    lower, title, upper, _ = (example_texts(stock, small_lexicon, mark) for mark in marks.CASE_MARKS)
    assert title.lower() == upper.lower() == lower
    assert all(word.istitle() for word in title.split())
    assert (lower.islower(), upper.isupper()) == (True, True)
    assert title[0] == " "
    assert "  " not in title
    liver = small_lexicon.encode("печень")
    row = delta_of(stock, small_lexicon, [liver + marks.CASE_TITLE]).row(0, named=True)
    assert row["surface"] is None
    assert written(stock, [row["surface_constituents"]]) == [f" печень{title}"]


def test_what_nothing_can_be_read_of_keeps_what_merges_make(small_lexicon: Lexicon) -> None:
    stock = stock_of("qwen3")
    symbol = next(one for one in small_lexicon.concepts["symbol"] if len(stock.segment([one])[0]) == 3)
    names = stock.token_of
    ids = tuple(stock.segment([symbol])[0])
    title = tuple(stock.segment([marks.CASE_TITLE])[0])
    made = [ids[:2], (*ids, *title[:1]), (*ids[2:], *stock.segment([","])[0]), tuple(stock.segment([GLUE])[0])]
    units = Units(tuple("".join(names[one] for one in part) for part in made), (), (1,) * len(made), tuple(made))
    plain = delta_table(stock, units, list(range(len(made))), small_lexicon)
    delta = with_surface(plain, stock, small_lexicon, frozenset(small_lexicon.concepts["symbol"]))
    assert delta["surface"].null_count() == len(made)
    word = f" {small_lexicon.decode(symbol)}"
    cut = delta["surface_constituents"].to_list()
    assert cut == [list(ids[:2]), *stock.segment([word, ","]), list(made[3])]
    assert delta["surface_lengths"].list.len().to_list() == list(map(len, cut))


def test_rows_are_made_of_the_surface_where_there_is_one(extended_folder: Callable[..., Path]) -> None:
    of_symbols, of_text = (pl.read_parquet(extended_folder("qwen3", text) / DELTA) for text in ("symbols", "surface"))
    assert row_columns(of_symbols.columns) == ("surface", "surface_constituents", "surface_lengths")
    assert row_columns(of_text.columns) == ("text", "constituents", "lengths")
