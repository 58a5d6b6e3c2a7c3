"""HyperTokenizer: every text comes back, ids are those of the raw tokenizer, and each token can say why it is one."""

from __future__ import annotations

import unicodedata
from functools import cache
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from conftest import SENTENCES, stock_folder
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from hypertok.artifact import seal
from hypertok.corpus.words import form_of
from hypertok.errors import ArtifactError, InputError
from hypertok.lexicon.lexicon import Lexicon
from hypertok.tokenizer.folder import write_tokenizer
from hypertok.tokenizer.hyper import HyperTokenizer, PlainTokenizer
from hypertok.tokenizer.stock import Family, Stock
from hypertok.tokenizer.surgery import extended
from hypertok.vocabulary.units import Units

SURFACE = ["qwen3", "llama2", pytest.param("gemma3", marks=pytest.mark.slow)]
SYMBOLS = ["qwen3", "llama2"]
#: Words and runs of the sample sentences that become units in the folders made here.
WRITTEN = (
    " митохондриях", "Цикл", " Кребса", " цикла Кребса", " в Москве", ", что", " печень", " печени", "Печень",
    " оперативной памяти", " кислород", " стекло", " по воскресеньям",
)  # fmt: skip
SPECIAL = {
    "qwen3": ("<|im_start|>", "<|im_end|>", "<think>"),
    "llama2": ("<s>", "</s>"),
    "gemma3": ("<bos>", "\n\n", "  "),
}


@cache
def stock_of(name: str) -> Stock:
    return Stock.load(stock_folder(name))


def units_of(stock: Stock, written: tuple[str, ...]) -> Units:
    """Units for these strings, each made from the left out of its stock tokens."""
    name = {identifier: token for token, identifier in stock.vocabulary.items()}
    made: dict[str, tuple[int, ...]] = {}
    merges: dict[tuple[str, str], None] = {}
    for text in sorted(written, key=len):
        parts = stock.segment([text])[0]
        if stock.family is Family.SENTENCEPIECE and len(text) == 1:  # a character is looked up, not merged of bytes
            made |= {text: tuple(parts)} if len(parts) > 1 else {}
            continue
        token = name[parts[0]]
        for number, part in enumerate(parts[1:], 2):
            merges[token, name[part]] = None
            token += name[part]
            if token not in stock.vocabulary:
                made.setdefault(token, tuple(parts[:number]))
    known = set(stock.merges)
    return Units(
        tuple(made), tuple(merge for merge in merges if merge not in known), (7,) * len(made), tuple(made.values())
    )


def make(folder: Path, stock: Stock, units: Units, lexicon: Lexicon, text: str = "surface") -> Path:
    """The folder of an extended tokenizer, as `extend` leaves it."""
    folder.mkdir()
    first = stock.first_free_id
    write_tokenizer(folder, stock, extended(stock, units, span="phrase"))
    name = {identifier: token for token, identifier in stock.vocabulary.items()}
    rows = []
    for number, (token, parts) in enumerate(zip(units.tokens, units.constituents, strict=True)):
        shape = stock.bytes_of(token).decode("utf-8", "ignore")
        whole = shape if shape.encode() == stock.bytes_of(token) else None
        found = lexicon.book.main_row(form_of(shape.strip()))
        concepts = [] if found is None else [lexicon.forms["concept"][found]]
        inflections = [] if found is None else [lexicon.forms["inflection"][found]]
        joined, ends = b"", [0]
        for part in parts:
            joined += stock.bytes_of(name[part])
            ends.append(len(joined.decode("utf-8", "ignore")))
        lengths = [b - a for a, b in pairwise(ends)]
        saved = 7 * (len(parts) - 1)
        rows.append((first + number, token, whole, list(parts), lengths, concepts, inflections, 7, saved))
    schema = {
        "id": pl.UInt32, "token": pl.String, "text": pl.String, "constituents": pl.List(pl.UInt32),
        "lengths": pl.List(pl.UInt16), "concepts": pl.List(pl.UInt32), "inflections": pl.List(pl.UInt16),
        "count": pl.Int64, "saved": pl.Int64,
    }  # fmt: skip
    pl.DataFrame(rows, schema=schema, orient="row").write_parquet(folder / "delta.parquet")
    for table in ("concepts", "forms") if text == "symbols" else ("concepts",):
        (folder / f"{table}.parquet").write_bytes((lexicon.folder / f"{table}.parquet").read_bytes())
    if text == "symbols":
        symbols = set(lexicon.concepts["symbol"])
        pl.DataFrame({"symbol": [row[2] for row in rows if row[2] in symbols]}).write_parquet(
            folder / "symbols.parquet"
        )
    rows_of_model = -(-(first + len(units.tokens)) // 64) * 64
    seal(
        folder,
        kind="tokenizer",
        schema_version=1,
        parents={"stock": stock.sha256, "lexicon": lexicon.sha256},
        recipe={"text": text, "span": "phrase"},
        facts={"family": stock.family.value, "units": len(units.tokens), "first_id": first, "rows": rows_of_model},
    )
    return folder


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory, small_lexicon: Lexicon) -> dict[tuple[str, str], Path]:
    """Folders made so far, by stock and kind of text; see `folder_of`."""
    return {}


def folder_of(
    folders: dict[tuple[str, str], Path], factory: pytest.TempPathFactory, lexicon: Lexicon, name: str, text: str
) -> Path:
    if (name, text) not in folders:
        stock = stock_of(name)
        symbols = lexicon.concepts["symbol"].to_list()[:300]
        written = WRITTEN if text == "surface" else (*WRITTEN, *symbols)
        place = factory.mktemp(f"{name}-{text}") / f"{name}-notes"
        folders[name, text] = make(place, stock, units_of(stock, written), lexicon, text)
    return folders[name, text]


@pytest.fixture(params=SURFACE, scope="session")
def surface(
    request: pytest.FixtureRequest,
    folders: dict[tuple[str, str], Path],
    tmp_path_factory: pytest.TempPathFactory,
    small_lexicon: Lexicon,
) -> tuple[str, HyperTokenizer]:
    folder = folder_of(folders, tmp_path_factory, small_lexicon, request.param, "surface")
    return request.param, HyperTokenizer.from_pretrained(folder)


@pytest.fixture(params=SYMBOLS, scope="session")
def symbols(
    request: pytest.FixtureRequest,
    folders: dict[tuple[str, str], Path],
    tmp_path_factory: pytest.TempPathFactory,
    small_lexicon: Lexicon,
) -> tuple[str, HyperTokenizer]:
    folder = folder_of(folders, tmp_path_factory, small_lexicon, request.param, "symbols")
    return request.param, HyperTokenizer.from_pretrained(folder)


def kept(name: str, text: str) -> str:
    """What the stock tokenizer keeps of a text."""
    return unicodedata.normalize("NFC", text) if name == "qwen3" else text.replace("▁", " ")


def assert_round_trip(name: str, tokenizer: HyperTokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == kept(name, text)
    tokens = tokenizer.tokens(text)
    assert [token.id for token in tokens] == ids
    read = kept(name, text)
    assert all(0 <= token.start <= token.end <= len(read) for token in tokens)
    covered = {place for token in tokens for place in range(token.start, token.end)}
    assert covered == set(range(len(read))), "a character belongs to no token"


PIECES = st.one_of(
    st.text(max_size=8),
    st.sampled_from([*WRITTEN, *SENTENCES.split(), " ", "  ", "\n", " \n\n", "▁", "肝", "\ue000", "\ue005", "\ue101"]),
    st.sampled_from([token for tokens in SPECIAL.values() for token in tokens]),
)
TEXTS = st.lists(PIECES, max_size=12).map("".join)


@settings(max_examples=150)
@given(text=TEXTS)
@example(text=SENTENCES)
@example(text=" a</s> b</s></s>  c<s>")
@example(text="  два  пробела в начале")
@example(text="\ufffd🙂👩‍👩‍👧\0\x1b[31m<0x41>")
@example(text="<|im_start|>user\nи\u0306 е\u0301<|im_end|>")
def test_surface_text_comes_back(surface: tuple[str, HyperTokenizer], text: str) -> None:
    assert_round_trip(*surface, text)


@settings(max_examples=150)
@given(text=TEXTS)
@example(text=SENTENCES)
@example(text="肝 и печень\ue005. Печени\u0338 ПЕЧЕНЬ 肝печень")
@example(text=" a</s> печень</s>печени</s></s>  c<s>")
def test_symbol_text_comes_back(symbols: tuple[str, HyperTokenizer], text: str) -> None:
    assert_round_trip(*symbols, text)


def test_every_character_comes_back(surface: tuple[str, HyperTokenizer]) -> None:
    name, tokenizer = surface
    characters = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    texts = ["".join(f"{character}\n" for character in characters[at : at + 4096]) for at in range(0, 0x10F800, 4096)]
    for text, ids in zip(texts, tokenizer.encode_batch(texts), strict=True):
        assert tokenizer.decode(ids) == kept(name, text)


def test_ids_are_those_of_the_raw_tokenizer(surface: tuple[str, HyperTokenizer]) -> None:
    name, tokenizer = surface
    raw = Tokenizer.from_file(str(tokenizer.folder / "tokenizer.json"))
    for text in (SENTENCES, "", " ", "".join(SPECIAL[name]), "Hello, мир! 123"):
        assert tokenizer.encode(text) == raw.encode(text, add_special_tokens=False).ids
        with_special = raw.encode(text).ids
        assert tokenizer.encode(text, add_special_tokens=True) == with_special
        assert tokenizer.decode(with_special, skip_special_tokens=True) == raw.decode(with_special)
    batch = SENTENCES.splitlines()
    assert tokenizer.encode_batch(batch) == [tokenizer.encode(line) for line in batch]
    assert tokenizer.decode_batch(tokenizer.encode_batch(batch)) == batch
    assert max(tokenizer.encode(SENTENCES)) >= stock_of(name).first_free_id


def test_decoding_equals_the_library_on_stock_and_new_text(surface: tuple[str, HyperTokenizer]) -> None:
    _, tokenizer = surface
    raw = Tokenizer.from_file(str(tokenizer.folder / "tokenizer.json"))
    for text in (SENTENCES, *SENTENCES.splitlines(), "Hello, world!\n\n  def f(x): return x  # 你好 🙂"):
        ids = tokenizer.encode(text)
        assert tokenizer.decode(ids) == raw.decode(ids, skip_special_tokens=False) == text


def test_sizes(surface: tuple[str, HyperTokenizer]) -> None:
    name, tokenizer = surface
    stock = stock_of(name)
    assert tokenizer.vocab_size == stock.first_free_id + len(tokenizer.new_ids)
    assert tokenizer.rows % 64 == 0
    assert 0 <= tokenizer.rows - tokenizer.vocab_size < 64
    assert min(tokenizer.new_ids) == stock.first_free_id


def test_any_ids_give_a_text(surface: tuple[str, HyperTokenizer], symbols: tuple[str, HyperTokenizer]) -> None:
    for _, tokenizer in (surface, symbols):
        assert tokenizer.decode([]) == ""
        assert tokenizer.decode([tokenizer.rows + 5]) == ""
        ids = list(range(0, tokenizer.vocab_size, 97)) + sorted(tokenizer.new_ids)
        assert tokenizer.decode(ids)
        assert tokenizer.decode(ids[::-1], skip_special_tokens=True)
        with pytest.raises(InputError, match="-1"):
            tokenizer.decode([-1])


def test_a_lone_surrogate_is_named(surface: tuple[str, HyperTokenizer]) -> None:
    with pytest.raises(InputError, match=r"character 3 .*U\+D800"):
        surface[1].encode("abc\ud800")


def test_tokens_know_their_place(surface: tuple[str, HyperTokenizer]) -> None:
    name, tokenizer = surface
    tokens = tokenizer.tokens("Весной в Москве 🙂 хорошо")
    new = [token for token in tokens if token.is_new]
    assert [token.text for token in new if token.text == " в Москве"] == [" в Москве"]
    assert all(token.is_new == (token.id >= stock_of(name).first_free_id) for token in tokens)
    text = "Весной в Москве 🙂 хорошо"
    whole = [token for token in tokens if "\\x" not in token.text]
    assert all(text[token.start : token.end] == token.text for token in whole)


def test_parts_of_a_character_share_it() -> None:
    plain = PlainTokenizer.of(stock_of("llama2"))
    tokens = plain.tokens(plain.encode_batch(["a🫠b"])[0])
    assert [(token.text, token.start, token.end) for token in tokens] == [
        ("a", 0, 1), ("\\xf0", 1, 2), ("\\x9f", 1, 2), ("\\xab", 1, 2), ("\\xa0", 1, 2), ("b", 2, 3),
    ]  # fmt: skip


def test_a_unit_explains_itself(surface: tuple[str, HyperTokenizer]) -> None:
    name, tokenizer = surface
    found = [one for one in tokenizer.explain("печени") if one.is_new and one.text == " печени"]
    assert len(found) == 1
    unit = found[0]
    assert unit.written == " печени"
    assert [(concept.lemma, concept.pos) for concept in unit.concepts] == [("печень", "NOUN")]
    assert unit.inflections
    assert unit.inflections[0].startswith(("sing", "plur"))
    assert [one.id for one in unit.constituents] == stock_of(name).segment([" печени"])[0]
    assert sum(one.characters for one in unit.constituents) == len(" печени")
    assert unit.count == 7
    assert unit.saved == 7 * (len(unit.constituents) - 1)
    assert "печень NOUN" in str(unit)
    assert "new unit" in str(unit)


@pytest.mark.parametrize("word", ["и", "the", "\ufffd\0", "", " ", "ъъщ", "</s>", "🫠", "肝", "\ue101", "слово " * 50])
def test_any_word_can_be_asked(
    surface: tuple[str, HyperTokenizer], symbols: tuple[str, HyperTokenizer], word: str
) -> None:
    for _, tokenizer in (surface, symbols):
        found = tokenizer.explain(word)
        assert [one.id for one in found] == tokenizer.encode(word) + tokenizer.encode(f" {word}")
        for one in found:
            assert one.is_new == bool(one.constituents)
            assert one.is_new or "stock token" in str(one)


def test_symbols_are_tokens_and_say_what_they_mean(
    folders: dict[tuple[str, str], Path], tmp_path_factory: pytest.TempPathFactory, small_lexicon: Lexicon
) -> None:
    tokenizer = HyperTokenizer.from_pretrained(folder_of(folders, tmp_path_factory, small_lexicon, "qwen3", "symbols"))
    codec = small_lexicon.codec
    rows = set(pl.read_parquet(tokenizer.folder / "delta.parquet")["text"])
    word = next(word for word in SENTENCES.split() if word.isalpha() and codec.encode(word) in rows)
    tokens = tokenizer.tokens(word)
    assert [(token.text, token.is_new, token.start, token.end) for token in tokens] == [(word, True, 0, len(word))]
    assert tokenizer.explain(word)[0].text == codec.encode(word)


def test_symbol_text_that_is_none_is_read_as_far_as_it_goes(symbols: tuple[str, HyperTokenizer]) -> None:
    _, tokenizer = symbols
    plain = tokenizer.plain.encode_batch(["да \ue101\ue001 нет \ue000"])[0]
    # Between a mark that ends a word and one that begins a word the codec reads a space.
    assert tokenizer.decode(plain) == "да \ufffd \ufffd нет \ufffd"


def test_a_foreign_lexicon_is_refused(
    surface: tuple[str, HyperTokenizer], small_lexicon: Lexicon, vault_lexicon: Lexicon
) -> None:
    folder = surface[1].folder
    assert HyperTokenizer.from_pretrained(folder, lexicon=small_lexicon.folder).vocab_size
    with pytest.raises(ArtifactError, match="foreign lexicon"):
        HyperTokenizer.from_pretrained(folder, lexicon=vault_lexicon.folder)
    with pytest.raises(ArtifactError, match="lexicon"):
        HyperTokenizer.from_pretrained(folder, lexicon=folder)


@pytest.mark.parametrize("name", ["tokenizer.json", "delta.parquet", "concepts.parquet", "tokenizer_config.json"])
def test_a_damaged_folder_is_refused(surface: tuple[str, HyperTokenizer], tmp_path: Path, name: str) -> None:
    folder = tmp_path / "damaged"
    folder.mkdir()
    for path in surface[1].folder.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(bytes(content))
    with pytest.raises(ArtifactError, match=name):
        HyperTokenizer.from_pretrained(folder)


def test_a_plain_tokenizer_folder_is_refused() -> None:
    with pytest.raises(ArtifactError, match="hypertok extend"):
        HyperTokenizer.from_pretrained(stock_folder("qwen3"))
