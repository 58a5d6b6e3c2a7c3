"""Learning units: merges, weights, general words; and the control against PyPI `bpe-continue`."""

from __future__ import annotations

import copy
import json
import re
from itertools import product
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from conftest import stock_folder
from reachability import unreachable
from stock_files import tiny_data

from hypertok.errors import InputError
from hypertok.lexicon.lexicon import Lexicon
from hypertok.tokenizer.stock import Family, Stock, built
from hypertok.tokenizer.surgery import extended
from hypertok.tokenizer.tokenizer_json import BYTE_CHARACTERS, added_token
from hypertok.vocabulary.general import general_words
from hypertok.vocabulary.learn import learn_units
from hypertok.vocabulary.merges import all_merges, learn_merges
from hypertok.vocabulary.texts import Texts, concept_texts, seen_texts, weighted_texts, word_table
from hypertok.vocabulary.units import Span, TooFewUnits


@pytest.fixture(scope="module", params=["qwen3", "llama2"])
def stock(request: pytest.FixtureRequest) -> Stock:
    return Stock.load(stock_folder(request.param))


def test_merges_are_those_of_byte_pair_encoding() -> None:
    # By hand: «аб» 5 times, then «аб»+«в» 3 times, then «вв» twice.
    assert learn_merges(["абв", "абв", "вв"], [2, 3, 2], 3) == [("а", "б"), ("аб", "в"), ("в", "в")]


def test_a_number_of_merges_beyond_all_words_takes_no_memory() -> None:
    assert learn_merges(["абв", "вв"], [2, 2], 10**15) == learn_merges(["абв", "вв"], [2, 2], 5)


def test_counts_weigh_as_much_as_repeats() -> None:
    words, counts = ["абаб", "бвб", "аабв"], [7, 3, 2]
    repeated = [word for word, count in zip(words, counts, strict=True) for _ in range(count)]
    assert learn_merges(words, counts, 5) == learn_merges(repeated, [1] * len(repeated), 5)


def test_all_merges() -> None:
    assert all_merges(["абв"], ["а", "б", "в", "аб", "бв"]) == [("а", "бв"), ("аб", "в")]


def test_a_sign_alone_is_no_unit(stock: Stock) -> None:
    """« —» stands in text of any language; here the stock has it in two tokens."""
    data = copy.deepcopy(stock.data)
    sign = "ĠâĢĶ" if stock.family is Family.BYTE_LEVEL else "▁—"
    pairs = [pair.split(" ") if isinstance(pair, str) else pair for pair in data["model"]["merges"]]
    data["model"]["merges"] = [pair for pair in pairs if "".join(pair) != sign and sign not in pair]
    del data["model"]["vocab"][sign]
    poorer = Stock(stock.path, data, stock.family)
    said = [f" — {word}" for word in ("сказал", "он", "мы", "кот", "дом")]
    texts = Texts(said, np.full(5, 100), np.full(5, 100))
    learned = learn_units(poorer, texts, 1, every_path=False)
    assert all(re.search("[а-я]", poorer.bytes_of(token).decode()) for token in learned.tokens)


@pytest.mark.parametrize("every_path", [False, True])
def test_bytes_of_a_letter_without_a_token_are_joined_to_nothing(tmp_path: Path, every_path: bool) -> None:
    """SentencePiece writes «ё» in two byte tokens then; a unit of theirs would be read back as «<0xD1><0x91>»."""
    letters = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", *"абвгдежзийклмнопрстуфхцчшщъыьэюя"]
    replace = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    back = {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}
    model = {"type": "BPE", "vocab": {token: number for number, token in enumerate(letters)}, "merges": []}
    model |= {"byte_fallback": True, "fuse_unk": True, "unk_token": "<unk>"}
    decoder = {"type": "Sequence", "decoders": [back, {"type": "ByteFallback"}, {"type": "Fuse"}]}
    data = {"normalizer": replace, "pre_tokenizer": None, "decoder": decoder, "added_tokens": [], "model": model}
    (tmp_path / "tokenizer.json").write_text(json.dumps(data), encoding="utf-8")
    stock = Stock.load(tmp_path)
    texts = [" ёлка", " берёза", " елка", " рёв"]
    units = learn_units(stock, Texts(texts, np.full(4, 50), np.full(4, 50)), 6, every_path=every_path)
    tokenizer = built(extended(stock, units, span="word"))
    assert not any("<0x" in token for token in units.tokens)
    for text in texts:
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        assert len(ids) <= len(stock.tokenizer.encode(text, add_special_tokens=False).ids)
        assert tokenizer.decode(ids, skip_special_tokens=False) == text
    assert "лка" in units.tokens
    many = [f" {one}ё{two}{three}" for one, two, three in product("абвгдежз", "лмнопрст", "абвгдежз")]
    counts = np.arange(1000, 1000 - len(many), -1)
    units = learn_units(stock, Texts(many, counts, counts), 72, every_path=every_path)
    assert len(units.tokens) == 72, "8 beginnings and 64 endings: what cannot be joined takes the place of none"


@pytest.mark.parametrize("every_path", [False, True])
def test_an_added_token_is_joined_to_nothing(every_path: bool) -> None:
    """Text is cut at it before anything is merged, and it need not be in model.vocab (`add_tokens` puts it beside)."""
    data = tiny_data(vocab={character: number for number, character in enumerate(BYTE_CHARACTERS)}, merges=[])
    data["added_tokens"] = [added_token("печень", 256, special=False)]
    stock = Stock(Path("small.json"), data, Family.BYTE_LEVEL)
    texts = [" печень", " печенью", " чай"]
    units = learn_units(stock, Texts(texts, np.full(3, 50), np.full(3, 50)), 3, every_path=every_path)
    assert len(units.tokens) == 3
    assert not any("печень" in token for token in units.tokens)
    tokenizer = built(extended(stock, units, span="word"))
    assert tokenizer.encode(" печенью").ids[:2] == [stock.vocabulary["Ġ"], 256]


def sentencepiece(tokens: list[str], **model: object) -> Stock:
    """A tokenizer of these tokens that merges nothing."""
    replace = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    model = {"type": "BPE", "vocab": {token: number for number, token in enumerate(tokens)}, "merges": [], **model}
    return Stock(Path("small.json"), {"normalizer": replace, "added_tokens": [], "model": model}, Family.SENTENCEPIECE)


@pytest.mark.parametrize("every_path", [False, True])
def test_an_added_token_is_made_of_nothing(every_path: bool) -> None:
    """One that is found as a whole word alone."""
    stock = sentencepiece(["▁", *"печньюка", "печень"])
    stock.data["added_tokens"] = [added_token("печень", 9, special=False) | {"single_word": True}]
    texts = [" печенью", " печенька", "печенька"]
    units = learn_units(stock, Texts(texts, np.full(3, 50), np.full(3, 50)), 4, every_path=every_path)
    assert all("печень" not in (left, right, left + right) for left, right in units.merges)
    assert 9 not in built(extended(stock, units, span="word")).encode(" печенью").ids


@pytest.mark.parametrize("every_path", [False, True])
def test_the_unknown_token_is_joined_to_nothing(every_path: bool) -> None:
    """It may be any character: here the dash, elsewhere «😀»."""
    stock = sentencepiece(["<unk>", "▁", *"домэт"], unk_token="<unk>", fuse_unk=True)
    texts = [" дом — это", " это — дом"]
    units = learn_units(stock, Texts(texts, np.full(2, 50), np.full(2, 50)), 6, every_path=every_path)
    assert set(units.tokens) >= {"▁дом", "▁это"}
    assert not any("<unk>" in token for token in units.tokens)


@pytest.mark.parametrize("span", ["word", "phrase"])
@pytest.mark.parametrize("every_path", [False, True])
def test_units_are_reachable_and_save_tokens(
    stock: Stock, vault_lexicon: Lexicon, span: Span, every_path: bool
) -> None:
    texts = seen_texts(vault_lexicon.runs, span)
    units = learn_units(stock, texts, 600, every_path=every_path)
    assert len(units.tokens) == len(set(units.tokens)) == 600
    assert not set(units.tokens) & stock.vocabulary.keys()
    data = extended(stock, units, span=span)
    assert unreachable(data, units) == []
    tokenizer = Stock(stock.path, data, stock.family)
    before = sum(map(len, stock.segment(texts.texts)))
    after = sum(map(len, tokenizer.segment(texts.texts)))
    assert after < 0.9 * before


def test_constituents_are_the_stock_tokens_of_the_unit(stock: Stock, vault_lexicon: Lexicon) -> None:
    string_of = {number: token for token, number in stock.vocabulary.items()}
    units = learn_units(stock, seen_texts(vault_lexicon.runs, "phrase"), 300, every_path=True)
    for token, parts in zip(units.tokens, units.constituents, strict=True):
        assert "".join(string_of[part] for part in parts) == token
        assert len(parts) > 1


def test_first_units_are_those_learned_for_fewer_rows(stock: Stock, vault_lexicon: Lexicon) -> None:
    texts = seen_texts(vault_lexicon.runs, "phrase")
    many, few = (learn_units(stock, texts, rows, every_path=True) for rows in (400, 150))
    first = many.first(150)
    assert first.tokens == few.tokens
    assert set(first.merges) == set(few.merges)
    assert many.first(0).merges == ()


def test_too_many_rows_are_refused(stock: Stock, vault_lexicon: Lexicon) -> None:
    with pytest.raises(InputError, match="ask for at most"):
        learn_units(stock, seen_texts(vault_lexicon.runs.head(50), "phrase"), 5000, every_path=True)


def test_the_number_of_rows_named_for_too_many_can_be_had() -> None:
    """Half of all merges make stock tokens, which take no row: more than there is room for at first."""
    pairs = ["".join(pair) for pair in product("абвгдежзик", "лмнопрстуф")]
    stock = sentencepiece(["▁", *"абвгдежзиклмнопрстуф", *pairs])
    texts = Texts([2 * pair for pair in pairs], np.full(100, 50), np.full(100, 50))
    with pytest.raises(TooFewUnits) as refused:
        learn_units(stock, texts, 10_000, every_path=True)
    assert refused.value.found == 100
    assert len(learn_units(stock, texts, 100, every_path=True).tokens) == 100


def test_span_word_never_crosses_a_space(stock: Stock, vault_lexicon: Lexicon) -> None:
    units = learn_units(stock, seen_texts(vault_lexicon.runs, "word"), 500, every_path=True)
    texts = [stock.bytes_of(token).decode("utf-8", "replace") for token in units.tokens]
    assert not [text for text in texts if " " in text[1:] or "," in text]


def test_words_apart_cut_runs() -> None:
    runs = pl.DataFrame({"run": ["Все, даже он, ждут"], "count": [3], "weight": [3.0]})
    assert sorted(seen_texts(runs, "phrase", [" даже"]).texts) == [" он, ждут", "Все,"]


@pytest.mark.parametrize(
    ("run", "apart", "left"),
    [
        (" она появилась в доме", ["илась", "по"], [" она появилась в доме"]),  # no word, the end or beginning of one
        ("илась дома", ["илась"], [" дома"]),
        (" для развития культуры и спорта", [" развития", " культуры"], [" для", " и спорта"]),
        (" а б в г", [" а", " б", " в"], [" г"]),
        (" а если б", ["(если", " если"], [" а", " б"]),
    ],
)
def test_words_apart_are_whole_words(run: str, apart: list[str], left: list[str]) -> None:
    runs = pl.DataFrame({"run": [run], "count": [3], "weight": [3.0]})
    assert sorted(seen_texts(runs, "phrase", apart).texts) == left


def test_weights_change_what_is_learned_first() -> None:
    runs = pl.DataFrame({"run": ["аа", "бб"], "count": [10, 5], "weight": [1.0, 8.0]})
    none = pl.DataFrame(schema={"run": pl.String, "weight": pl.Float64})
    assert seen_texts(runs, "phrase").texts[0] == "аа"
    assert weighted_texts(runs, "phrase", none).texts[0] == "бб"


def test_words_added_weigh_with_the_runs_that_are_the_same() -> None:
    runs = pl.DataFrame({"run": [" лес", " да"], "count": [2, 5], "weight": [2.0, 5.0]})
    added = pl.DataFrame({"run": [" мох", " лес", " редкий"], "weight": [1.0, 4.0, 0.0]})
    found = weighted_texts(runs, "phrase", added)
    assert found.texts == [" лес", " да", " мох"]
    assert [round(count / found.counts[-1]) for count in found.counts.tolist()] == [6, 5, 1]
    assert found.frequency.tolist() == [2, 5, 0]


def test_general_words_know_what_the_corpus_lacks(vault_lexicon: Lexicon) -> None:
    words = word_table(vault_lexicon.runs)
    general = general_words(words)
    assert general["share"].sum() == pytest.approx(1)
    share = dict(general.iter_rows())
    assert " правительство" in share
    assert share[" который"] > share[" аметист"] > 0


@pytest.mark.usefixtures("common_words")
def test_the_order_of_the_words_changes_no_bit_of_general_ones(vault_lexicon: Lexicon) -> None:
    words = word_table(vault_lexicon.runs).sort("run")
    general = general_words(words)
    assert general["run"].is_unique().all(), "or weighted_texts would have a text twice"
    for seed in range(8):
        assert general_words(words.sample(fraction=1.0, shuffle=True, seed=seed)).equals(general)


def test_without_general_words_there_are_those_of_the_corpus_alone(vault_lexicon: Lexicon) -> None:
    none = pl.DataFrame(schema={"run": pl.String, "weight": pl.Float64})
    expected = weighted_texts(vault_lexicon.runs, "word", none)
    found = concept_texts(vault_lexicon, "word", general=0.0)
    assert found.texts == expected.texts
    assert found.counts.tolist() == expected.counts.tolist()


@pytest.mark.usefixtures("common_words")
def test_general_words_weigh_as_asked_beside_the_corpus(vault_lexicon: Lexicon) -> None:
    none, little, much = (concept_texts(vault_lexicon, "word", general=general) for general in (0.0, 0.05, 0.5))
    assert little.counts.sum() / none.counts.sum() == pytest.approx(1.05, rel=0.01)
    assert much.counts.sum() / none.counts.sum() == pytest.approx(1.5, rel=0.01)
    unseen = [found.counts[found.frequency == 0].sum() for found in (little, much)]
    assert unseen[1] / unseen[0] == pytest.approx(10, rel=0.05)


def test_concept_texts_hold_the_corpus_and_more(vault_lexicon: Lexicon) -> None:
    plain = set(seen_texts(vault_lexicon.runs, "phrase").texts)
    texts = concept_texts(vault_lexicon, "phrase", general=0.5).texts
    more = set(texts)
    assert len(more) == len(texts)
    assert len(plain - more) / len(plain) < 0.2  # what weighs nearly nothing is left out
    assert more - plain


def test_a_stock_token_made_anew_brings_no_stock_merge_again() -> None:
    """«абвг» is a stock token that stock never makes of this word; its own last merge must not stand twice."""
    merges = [["б", "в"], ["а", "б"], ["аб", "в"], ["абв", "г"]]
    tokens = ["▁", *"абвгд", *("".join(pair) for pair in merges)]
    data = {
        "model": {"type": "BPE", "vocab": {token: place for place, token in enumerate(tokens)}, "merges": merges},
        "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        "added_tokens": [],
    }
    stock = Stock(Path("small.json"), data, Family.SENTENCEPIECE)
    assert len(stock.segment(["абвгд"])[0]) == 4
    counts = np.array([9, 7, 5], np.int64)
    for every_path in (False, True):
        units = learn_units(stock, Texts(["абв", "абвг", "абвгд"], counts, counts), 1, every_path=every_path)
        assert units.tokens == ("абвгд",)
        new = extended(stock, units, span="word")  # refuses merges that stand twice
        assert Stock(stock.path, new, stock.family).segment(["абвгд"]) == [[new["model"]["vocab"]["абвгд"]]]


def test_control_is_continued_bpe(vault_lexicon: Lexicon) -> None:
    """Merge for merge what PyPI bpe-continue learns from the same words, each a text of its own.

    Words are given different frequencies, so that little order among equals is left to either program.
    """
    from bpe_continue import continue_training

    stock = Stock.load(stock_folder("qwen3"))
    seen = seen_texts(vault_lexicon.runs, "word").texts
    ids = dict(zip(seen, map(tuple, stock.segment(seen)), strict=True))
    two = [word for word in seen if len(ids[word]) == 2][:200]
    pairs = {ids[word] for word in two}
    # In a longer word two pairs are equally frequent unless one is a word of its own as well.
    words = two + [word for word in seen if len(ids[word]) == 3 and ids[word][:2] in pairs]
    counts = np.array([37 + 11 * place for place in range(len(words))], np.int64)
    ours = learn_units(stock, Texts(words, counts, counts), 120, every_path=False)
    base = built(stock.data)
    corpus = [word for word, count in zip(words, counts.tolist(), strict=True) for _ in range(count)]
    size = base.get_vocab_size(with_added_tokens=True)
    theirs = continue_training(base, texts=corpus, vocab_size=size + 120, show_progress=False)
    merges = [tuple(pair) for pair in json.loads(theirs.to_str())["model"]["merges"]][len(stock.merges) :]
    assert sum(len(ids[word]) == 3 for word in words) > 10
    assert merges == list(ours.merges)
