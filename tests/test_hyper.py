"""HyperTokenizer: every text comes back, ids are those of the raw tokenizer, and each token can say why it is one."""

from __future__ import annotations

import os
import shutil
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pytest
from conftest import SENTENCES, stock_folder, stock_of
from extended_by_hand import WRITTEN
from hypothesis import example, given, settings
from hypothesis import strategies as st
from proofs import resealed
from tokenizers import Tokenizer

from hypertok import artifact
from hypertok.artifact import sha256_of
from hypertok.errors import ArtifactError, InputError
from hypertok.lexicon.lexicon import Lexicon
from hypertok.tokenizer.hyper import HyperTokenizer
from hypertok.tokenizer.plain import PlainTokenizer
from hypertok.tokenizer.verify import verify

SURFACE = [
    ("qwen3", "surface"),
    ("llama2", "surface"),
    pytest.param(("gemma3", "surface"), marks=pytest.mark.slow),
]
SYMBOLS = [("qwen3", "symbols"), ("llama2", "symbols")]
SPECIAL = {
    "qwen3": ("<|im_start|>", "<|im_end|>", "<think>"),
    "llama2": ("<s>", "</s>"),
    "gemma3": ("<bos>", "\n\n", "  "),
}


class Made(NamedTuple):
    """An extended tokenizer, and the name of the stock one."""

    name: str
    tokenizer: HyperTokenizer


@pytest.fixture(params=[*SURFACE, *SYMBOLS], scope="session", ids="-".join)
def made(request: pytest.FixtureRequest, extended_folder: Callable[..., Path]) -> Made:
    name, text = request.param
    return Made(name, HyperTokenizer.from_pretrained(extended_folder(name, text)))


on_surface = pytest.mark.parametrize("made", SURFACE, indirect=True, ids="-".join)
on_symbols = pytest.mark.parametrize("made", SYMBOLS, indirect=True, ids="-".join)


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
    st.sampled_from([*WRITTEN, *SENTENCES.split()]),
    st.sampled_from([" ", "  ", "\n", " \n\n", "▁", "肝", "\ue000", "\ue005", "\ue101"]),
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
@example(text="肝 и печень\ue005. Печени\u0338 ПЕЧЕНЬ 肝печень")
@example(text=" a</s> печень</s>печени</s></s>  c<s>")
@example(text="Печень▁печени мир▁Печень")
@example(text=" печень")
def test_text_comes_back(made: Made, text: str) -> None:
    assert_round_trip(*made, text)


@on_surface
def test_every_character_comes_back(made: Made) -> None:
    name, tokenizer = made
    characters = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    texts = ["".join(f"{character}\n" for character in characters[at : at + 4096]) for at in range(0, 0x10F800, 4096)]
    for text, ids in zip(texts, tokenizer.encode_batch(texts), strict=True):
        assert tokenizer.decode(ids) == kept(name, text)


@on_surface
def test_ids_are_those_of_the_raw_tokenizer(made: Made) -> None:
    name, tokenizer = made
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


@on_surface
def test_special_tokens_that_are_left_out_leave_no_space_behind(made: Made) -> None:
    name, tokenizer = made
    torch = pytest.importorskip("torch")
    for special in SPECIAL[name]:
        ids = tokenizer.encode(f"Печень{special}кот", add_special_tokens=True)
        found = tokenizer.decode(ids, skip_special_tokens=True)
        assert found in ("Печенькот", f"Печень{special}кот")
        assert tokenizer.decode(torch.tensor(ids), skip_special_tokens=True) == found


@on_symbols
def test_a_special_token_that_is_left_out_of_symbol_text_implies_no_space(made: Made) -> None:
    name, tokenizer = made
    for special in SPECIAL[name]:
        ids = tokenizer.encode(f"Печень{special}кот", add_special_tokens=True)
        assert tokenizer.decode(ids, skip_special_tokens=True) in ("Печенькот", f"Печень{special}кот")
    assert tokenizer.decode(tokenizer.encode("Печень и кот"), skip_special_tokens=True) == "Печень и кот"


@on_surface
def test_decoding_equals_the_library_on_stock_and_new_text(made: Made) -> None:
    _, tokenizer = made
    raw = Tokenizer.from_file(str(tokenizer.folder / "tokenizer.json"))
    for text in (SENTENCES, *SENTENCES.splitlines(), "Hello, world!\n\n  def f(x): return x  # 你好 🙂"):
        ids = tokenizer.encode(text)
        assert tokenizer.decode(ids) == raw.decode(ids, skip_special_tokens=False) == text


def test_sizes(made: Made) -> None:
    name, tokenizer = made
    stock = stock_of(name)
    assert tokenizer.vocab_size == stock.first_free_id + len(tokenizer.new_ids)
    assert tokenizer.rows % 64 == 0
    assert 0 <= tokenizer.rows - tokenizer.vocab_size < 64
    assert min(tokenizer.new_ids) == stock.first_free_id


def test_any_ids_give_a_text(made: Made) -> None:
    _, tokenizer = made
    assert tokenizer.decode([]) == ""
    assert tokenizer.decode([tokenizer.rows + 5]) == ""
    ids = list(range(0, tokenizer.vocab_size, 97)) + sorted(tokenizer.new_ids)
    assert tokenizer.decode(ids)
    assert tokenizer.decode(ids[::-1], skip_special_tokens=True)
    for wrong in (-1, -100, 1 << 32):
        with pytest.raises(InputError, match=f"{wrong} is no token id"):
            tokenizer.decode([wrong])


@on_surface
def test_a_lone_surrogate_is_named(made: Made) -> None:
    with pytest.raises(InputError, match=r"character 3 .*U\+D800"):
        made.tokenizer.encode("abc\ud800")


def test_one_text_is_no_batch(made: Made) -> None:
    with pytest.raises(InputError, match=r"give \[text\]"):
        made.tokenizer.encode_batch("abc")


@on_surface
def test_tokens_know_their_place(made: Made) -> None:
    name, tokenizer = made
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


@on_surface
def test_a_unit_explains_itself(made: Made) -> None:
    name, tokenizer = made
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
def test_any_word_can_be_asked(made: Made, word: str) -> None:
    _, tokenizer = made
    found = tokenizer.explain(word)
    assert [one.id for one in found] == tokenizer.encode(word) + tokenizer.encode(f" {word}")
    for one in found:
        assert one.is_new == bool(one.constituents)
        assert one.is_new or "stock token" in str(one)


def test_symbols_are_tokens_and_say_what_they_mean(
    extended_folder: Callable[..., Path], small_lexicon: Lexicon
) -> None:
    tokenizer = HyperTokenizer.from_pretrained(extended_folder("qwen3", "symbols"))
    codec = small_lexicon.codec
    rows = set(pl.read_parquet(tokenizer.folder / "delta.parquet")["text"])
    word = next(word for word in SENTENCES.split() if word.isalpha() and codec.encode(word) in rows)
    tokens = tokenizer.tokens(word)
    assert [(token.text, token.is_new, token.start, token.end) for token in tokens] == [(word, True, 0, len(word))]
    assert tokenizer.explain(word)[0].text == codec.encode(word)


@on_symbols
def test_symbol_text_that_is_none_is_read_as_far_as_it_goes(made: Made) -> None:
    _, tokenizer = made
    plain = tokenizer.plain.encode_batch(["да \ue101\ue001 нет \ue000"])[0]
    # Between a mark that ends a word and one that begins a word the codec reads a space.
    assert tokenizer.decode(plain) == "да \ufffd \ufffd нет \ufffd"


@on_surface
def test_a_foreign_lexicon_is_refused(made: Made, small_lexicon: Lexicon, vault_lexicon: Lexicon) -> None:
    folder = made.tokenizer.folder
    assert HyperTokenizer.from_pretrained(folder, lexicon=small_lexicon.folder).vocab_size
    with pytest.raises(ArtifactError, match="made with another lexicon"):
        HyperTokenizer.from_pretrained(folder, lexicon=vault_lexicon.folder)
    with pytest.raises(ArtifactError, match="lexicon"):
        HyperTokenizer.from_pretrained(folder, lexicon=folder)


@on_surface
@pytest.mark.parametrize("name", ["tokenizer.json", "delta.parquet", "concepts.parquet", "tokenizer_config.json"])
def test_a_damaged_folder_is_refused(made: Made, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "damaged"
    folder.mkdir()
    for path in made.tokenizer.folder.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(bytes(content))
    with pytest.raises(ArtifactError, match=name):
        HyperTokenizer.from_pretrained(folder)


def test_what_no_id_hangs_on_may_be_changed(sound_extension: Path, tmp_path: Path) -> None:
    """Building a model again for one setting of generation would throw its training away."""
    folder = shutil.copytree(sound_extension, tmp_path / "model")
    for name in ("generation_config.json", "Readme.md", "LICENSE"):
        (folder / name).write_text("{}", encoding="utf-8")
    resealed(folder)
    for name in ("generation_config.json", "Readme.md", "LICENSE"):
        (folder / name).write_text('{"temperature": 0.5}', encoding="utf-8")
    assert HyperTokenizer.from_pretrained(folder).vocab_size
    (folder / "tokenizer_config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"changed or damaged since .*; restore it or undo the change, or build"):
        HyperTokenizer.from_pretrained(folder)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_folder_may_have_a_name_that_is_not_utf8(sound_extension: Path, tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode("заметки".encode("cp1251"))
    shutil.copytree(sound_extension, folder)
    tokenizer = HyperTokenizer.from_pretrained(folder)
    assert [tokenizer.explain(f"в {text}") for text in ("Москве", "печени")]
    assert len(tokenizer.new_ids) < tokenizer.vocab_size


def test_weights_beside_a_tokenizer_are_not_read(
    sound_extension: Path, small_stock: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gigabytes; what reads them checks them, and so does the proof."""
    folder = tmp_path / "model"
    shutil.copytree(sound_extension, folder)
    (folder / "model.safetensors").write_bytes(b"rows")
    resealed(folder)
    read: list[str] = []
    monkeypatch.setattr(artifact, "sha256_of", lambda path: read.append(path.name) or sha256_of(path))
    assert HyperTokenizer.from_pretrained(folder).vocab_size
    assert "tokenizer.json" in read
    assert "model.safetensors" not in read
    (folder / "model.safetensors").write_bytes(b"mice")
    with pytest.raises(ArtifactError, match=r"model\.safetensors: changed or damaged"):
        verify(folder, small_stock)


def test_a_plain_tokenizer_folder_is_refused() -> None:
    with pytest.raises(ArtifactError, match="hypertok extend"):
        HyperTokenizer.from_pretrained(stock_folder("qwen3"))
