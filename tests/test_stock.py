"""Stock tokenizers: the real ones load and keep their ids, conversions give the same ids, others are refused."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import importlib.util
import io
import json
import random
import struct
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
import tiktoken
from conftest import STOCK, VAULT, stock_folder
from hypothesis import given, settings
from hypothesis import strategies as st
from mistral_common.tokens.tokenizers.tekken import Tekkenizer
from tokenizers import Tokenizer, models, trainers

from hypertok.errors import InputError
from hypertok.tokenizer import stock as stock_module
from hypertok.tokenizer.from_sentencepiece import convert_sentencepiece
from hypertok.tokenizer.from_tiktoken import convert_tiktoken
from hypertok.tokenizer.stock import Family, Stock

MISTRAL = Path(str(importlib.util.find_spec("mistral_common").submodule_search_locations[0])) / "data"  # type: ignore[union-attr, index]
#: family, tokens, first free id (no config.json lies beside them)
FACTS = {
    "qwen3": (Family.BYTE_LEVEL, 151_669, 151_669),
    "gemma3": (Family.SENTENCEPIECE, 262_145, 262_145),
    "llama3_1": (Family.BYTE_LEVEL, 128_256, 128_256),
    "gpt4o": (Family.BYTE_LEVEL, 200_000, 200_019),
    "llama2": (Family.SENTENCEPIECE, 32_000, 32_000),
    "deepseek_v3": (Family.BYTE_LEVEL, 128_815, 128_815),
}
RUSSIAN = "Цикл Кребса происходит в митохондриях.  О нём, «как водится», говорят ещё в 9-м классе…\n\n\tЁлка, ёж!"
SAMPLES = (
    RUSSIAN,
    "The quick brown fox doesn't jump over 1234567 dogs — it's tired.",
    "def f(x: int) -> str:\n    return {'a': x}['a']  # комментарий\n\n\nif __name__ == '__main__':\r\n\tf(1)",
    "😀 👩‍👩‍👧 🇷🇺 é e\u0301 ñ 中文字符 العربية हिन्दी",
    "",
    " ",
    "\n",
    " " * 37 + "x" + " " * 19,
    " митохондрия",
    *(path.read_text(encoding="utf-8") for path in sorted(VAULT.rglob("*.md"))[:8]),
)
TEXT = st.text(
    st.sampled_from("абвемностиЁАБ  \n\t.,a1é😀中▁’'\u00ad\u0301e<>[]") | st.characters(exclude_categories=["Cs"])
)


@pytest.fixture(scope="module", params=STOCK)
def stock(request: pytest.FixtureRequest) -> Stock:
    """Each real tokenizer in turn, loaded once."""
    return Stock.load(stock_folder(request.param))


@pytest.fixture(scope="module")
def qwen() -> Stock:
    return Stock.load(stock_folder("qwen3"))


@pytest.fixture(scope="module")
def llama2() -> Stock:
    return Stock.load(stock_folder("llama2"))


def name_of(stock: Stock) -> str:
    return stock.folder.parent.name.removeprefix("tokenizer-")


def ids(stock: Stock, text: str) -> list[int]:
    """Ids of a text at its beginning, nothing put around."""
    return list(stock.tokenizer.encode(text, add_special_tokens=False).ids)


# --- the real ones ----------------------------------------------------------------------------------------------------


def test_real_tokenizers_load(stock: Stock) -> None:
    family, size, free = FACTS[name_of(stock)]
    assert (stock.family, len(stock.vocabulary), stock.first_free_id) == (family, size, free)
    assert stock.config
    assert stock.model_config == {}
    assert stock.path.name == "tokenizer.json"
    assert len(stock.merges) == len(stock.data["model"]["merges"])
    assert all(left + right in stock.vocabulary for left, right in stock.merges[:1000])
    text = json.dumps(stock.data, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    assert stock.sha256 == hashlib.sha256(text.encode()).hexdigest()


def test_tokenizer_is_that_of_the_file(stock: Stock) -> None:
    """Every token has the id that the file gives it, and texts have the ids of the plain library."""
    plain = Tokenizer.from_file(str(stock.path))
    assert {token: stock.tokenizer.token_to_id(token) for token in stock.vocabulary} == stock.vocabulary
    for text in SAMPLES:
        assert stock.tokenizer.encode(text).ids == plain.encode(text).ids


def test_segments_are_those_of_running_text(stock: Stock) -> None:
    """A text that begins with a space has the same ids after a line break as alone, and nothing is put before it."""
    texts = [" митохондрия", " цикл", " word", " которые", " что"] * 3
    for text, segment in zip(texts, stock.segment(texts), strict=True):
        before = ids(stock, "слово.")
        assert ids(stock, "слово." + text) == before + segment
    assert stock.segment(["митохондрия"])[0] != stock.segment([" митохондрия"])[0]
    assert stock.segment([]) == []
    assert stock.segment([""]) == [[]]


def test_segments_spell_the_text(stock: Stock) -> None:
    token_of = {number: token for token, number in stock.vocabulary.items()}
    for text, segment in zip(SAMPLES, stock.segment(SAMPLES), strict=True):
        normal = unicodedata.normalize("NFC", text) if name_of(stock) == "qwen3" else text
        assert b"".join(stock.bytes_of(token_of[number]) for number in segment).decode() == normal


def test_alphabet_and_bytes_are_inverse(stock: Stock) -> None:
    for text in SAMPLES:
        assert stock.bytes_of(stock.alphabet_of(text)).decode() == text
    for token in random.Random(3).sample(sorted(stock.vocabulary), 2000):
        raw = stock.bytes_of(token)
        if token not in {added["content"] for added in stock.added} and not token.startswith("<0x"):
            assert raw.decode("utf-8", "ignore").encode() != raw or stock.alphabet_of(raw.decode()) == token


def test_alphabets(qwen: Stock, llama2: Stock) -> None:
    assert qwen.alphabet_of(" мит") == "ĠÐ¼Ð¸ÑĤ"
    assert llama2.alphabet_of(" мит") == "▁мит"
    assert qwen.bytes_of("Ð") == b"\xd0"
    assert llama2.bytes_of("<0xE2>") == b"\xe2"
    assert qwen.bytes_of("<0xE2>") == b"<0xE2>"
    assert qwen.bytes_of("<|im_end|>") == b"<|im_end|>"


@settings(max_examples=200)
@given(TEXT)
def test_byte_alphabet(text: str) -> None:
    tiny = Stock(Path("tiny"), {"model": {"vocab": {}}}, Family.BYTE_LEVEL)
    assert tiny.bytes_of(tiny.alphabet_of(text)) == text.encode()
    assert len(tiny.alphabet_of(text)) == len(text.encode())


def test_batches_change_nothing(qwen: Stock, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [*SAMPLES, *RUSSIAN.split()]
    whole = qwen.segment(texts)
    monkeypatch.setattr(stock_module, "BATCH", 3)
    monkeypatch.setattr(stock_module, "CHARACTERS", 40)
    assert qwen.segment(texts) == whole


# --- small ones made here ---------------------------------------------------------------------------------------------


def tiny_data(**model: Any) -> dict[str, Any]:
    """tokenizer.json of a byte-level BPE in the manner of GPT-2."""
    settled = {"type": "BPE", "vocab": {"a": 0, "b": 1, "Ġ": 2, "ab": 3, "Ġab": 4}, "merges": ["a b", "Ġ ab"]}
    return {
        "version": "1.0",
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": settled | model,
    }


def written(folder: Path, data: Any, name: str = "tokenizer.json") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf-8")
    return folder


def test_gpt2_manner(tmp_path: Path) -> None:
    data = tiny_data()
    data["pre_tokenizer"]["add_prefix_space"] = True
    stock = Stock.load(written(tmp_path, data))
    assert stock.family is Family.BYTE_LEVEL
    assert stock.merges == [("a", "b"), ("Ġ", "ab")]
    assert ids(stock, "ab") == [4]
    assert stock.segment(["ab", " ab"]) == [[3], [4]]
    data["model"]["merges"] = [["a", "b"], ["Ġ", "ab"]]
    del data["model"]["type"]  # old files leave it out
    again = Stock.load(written(tmp_path, data) / "tokenizer.json")
    assert (again.merges, again.segment(["ab"])) == (stock.merges, [[3]])


def test_added_tokens_keep_their_ids(tmp_path: Path) -> None:
    """The library alone would number the second token 6; padding and truncation of the file are left out."""
    data = tiny_data() | {"padding": {"strategy": {"Fixed": 8}, "direction": "Right", "pad_to_multiple_of": None}}
    data["padding"] |= {"pad_id": 0, "pad_type_id": 0, "pad_token": "a"}
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False) | {"special": True}
    data["added_tokens"] = [{"id": 5, "content": "<x>", **flags}, {"id": 9, "content": "<y>", **flags}]
    stock = Stock.load(written(tmp_path, data))
    assert ids(stock, "<y>ab<x>") == [9, 3, 5]
    assert stock.first_free_id == 10
    assert "<y>" not in stock.data["model"]["vocab"]


@pytest.mark.parametrize(
    ("config", "free"), [({"vocab_size": 64}, 64), ({"text_config": {"vocab_size": 128}}, 128), ({"vocab_size": 3}, 5)]
)
def test_rows_of_the_model_are_not_free(tmp_path: Path, config: dict[str, Any], free: int) -> None:
    written(tmp_path, config, "config.json")
    assert Stock.load(written(tmp_path, tiny_data())).first_free_id == free


@pytest.mark.parametrize(
    "metaspace",
    [
        {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False},
        {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
        {"type": "Metaspace", "replacement": "▁", "add_prefix_space": True},
    ],
)
def test_metaspace(tmp_path: Path, metaspace: dict[str, Any]) -> None:
    data = tiny_data(
        vocab={"<unk>": 0, "а": 1, "б": 2, "▁": 3, "аб": 4, "▁аб": 5}, merges=["а б", "▁ аб"], unk_token="<unk>"
    )
    stock = Stock.load(written(tmp_path, data | {"pre_tokenizer": metaspace, "decoder": metaspace}))
    assert stock.family is Family.SENTENCEPIECE
    assert ids(stock, "аб") == [5]
    assert stock.segment(["аб", " аб", " аб аб"]) == [[4], [5], [5, 5]]


# --- refusals ---------------------------------------------------------------------------------------------------------


def refused(path: Path, *words: str) -> None:
    with pytest.raises(InputError) as caught:
        Stock.load(path)
    for word in (path.name, *words):
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "model", "trainer"),
    [
        ("WordPiece", models.WordPiece(unk_token="[UNK]"), trainers.WordPieceTrainer(special_tokens=["[UNK]"])),
        ("Unigram", models.Unigram(), trainers.UnigramTrainer(unk_token="<unk>", special_tokens=["<unk>"])),
        ("WordLevel", models.WordLevel(unk_token="<unk>"), trainers.WordLevelTrainer(special_tokens=["<unk>"])),
    ],
)
def test_other_models_are_refused(tmp_path: Path, kind: str, model: Any, trainer: Any) -> None:
    tokenizer = Tokenizer(model)
    tokenizer.train_from_iterator(["мама мыла раму", "a b c"], trainer)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    refused(tmp_path / "tokenizer.json", kind, "supported are", "Qwen", "Gemma")


@pytest.mark.parametrize(
    ("option", "value"), [("continuing_subword_prefix", "##"), ("end_of_word_suffix", "</w>"), ("dropout", 0.1)]
)
def test_other_bpe_is_refused(tmp_path: Path, option: str, value: Any) -> None:
    refused(written(tmp_path, tiny_data(**{option: value})) / "tokenizer.json", option, str(value), "supported are")


def broken(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    data = tiny_data()
    change(data)
    return data


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"model": {\n"type": "BPE",,', (":2:", "broken JSON")),
        ("{}", ("no field model",)),
        ("", ("not a tokenizer",)),
        ("[1]", ("not a tokenizer",)),
        ("просто текст", ("not a tokenizer", "tokenizer.json")),
        ("\nпросто текст", ("damaged",)),
        (broken(lambda data: data.update(pre_tokenizer=None)), ("neither byte-level",)),
        (broken(lambda data: data["model"].update(vocab={})), ("model.vocab",)),
        (broken(lambda data: data["model"].update(merges=None)), ("model.merges",)),
        (broken(lambda data: data["model"]["merges"].append("b я")), ("model.merges[2]", "'я'")),
        (broken(lambda data: data["model"]["merges"].append("b b")), ("model.merges[2]", "'bb'")),
        (broken(lambda data: data["model"]["merges"].append("abb")), ("model.merges[2]", "'abb'")),
        (broken(lambda data: data["model"]["merges"].append(["a", ["b"]])), ("model.merges[2]",)),
        (broken(lambda data: data["model"]["vocab"].update(b=0)), ("id 0", "'a'", "'b'")),
        (broken(lambda data: data["model"]["vocab"].update(b="1")), ("'b'", "'1'")),
        (broken(lambda data: data.update(added_tokens=[{"id": 7}])), ("added_tokens[0]",)),
        (broken(lambda data: data.update(added_tokens=[{"id": 7, "content": "b"}])), ("'b'", "1", "7")),
    ],
)
def test_broken_files_are_refused(tmp_path: Path, content: Any, words: tuple[str, ...]) -> None:
    refused(written(tmp_path, content) / "tokenizer.json", *words)


def test_bad_bytes_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "tokenizer.json"
    file.write_bytes(b'{"model":\n"\xff"}')
    refused(file, ":2:", "UTF-8")


def test_what_the_library_cannot_read_is_refused(tmp_path: Path) -> None:
    stock = Stock.load(written(tmp_path, tiny_data() | {"normalizer": {"type": "Unheard"}}))
    with pytest.raises(InputError, match=r"tokenizer\.json: the tokenizers library cannot read it"):
        _ = stock.tokenizer


def test_nothing_there_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / "absent", "cannot be read", "check the name")
    refused(tmp_path, "no tokenizer here", "tokenizer.json")
    written(tmp_path, {"a": 0}, "vocab.json")
    refused(tmp_path, "vocabulary but no tokenizer.json", "save_pretrained")
    for name in ("a.tiktoken", "b.tiktoken"):
        written(tmp_path, "", name)
    refused(tmp_path, "several", "a.tiktoken, b.tiktoken")


# --- sentencepiece ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["tokenizer.model.v1", "mistral_instruct_tokenizer_240323.model.v3"])
def test_mistral_models(name: str) -> None:
    """Same ids as sentencepiece on real text, runs of spaces and random text."""
    stock = Stock.load(MISTRAL / name)
    processor = sentencepiece.SentencePieceProcessor(model_file=str(MISTRAL / name))
    assert stock.family is Family.SENTENCEPIECE
    assert stock.first_free_id == len(stock.vocabulary) == processor.vocab_size()
    spaces = [" " * before + "мит" + " " * after + "\n" for before in range(40) for after in (0, 1, 7, 19)]
    for text in (*SAMPLES, *spaces):
        assert ids(stock, text) == processor.encode(text)
        assert stock.tokenizer.decode(ids(stock, text)) == processor.decode(processor.encode(text))
    assert stock.tokenizer.encode("мит").ids == [1, *processor.encode("мит")]
    assert stock.segment([" мит"]) == [processor.encode("мит")]

    @settings(max_examples=100)
    @given(TEXT)
    def same(text: str) -> None:
        assert ids(stock, text) == processor.encode(text)

    same()


def test_sentencepiece_folder(tmp_path: Path) -> None:
    """A folder with only tokenizer.model; tokenizer_config.json says what stands around a text."""
    (tmp_path / "tokenizer.model").write_bytes((MISTRAL / "tokenizer.model.v1").read_bytes())
    config = {"add_bos_token": False, "add_eos_token": True}
    stock = Stock.load(written(tmp_path, config, "tokenizer_config.json"))
    assert (stock.path.name, stock.config) == ("tokenizer.model", config)
    assert stock.tokenizer.encode("мит").ids == [*ids(stock, "мит"), 2]


def test_merges_of_llama2(llama2: Stock) -> None:
    """The merges of Llama 2's own tokenizer.json are what the rule gives: its scores follow its ids."""
    kinds = {number: 2 if number == 0 else 3 if number < 3 else 6 if number < 259 else 1 for number in range(32_000)}
    pieces = [
        field(1, token.encode()) + b"\x15" + struct.pack("<f", -number) + field(3, kinds[number])
        for token, number in sorted(llama2.data["model"]["vocab"].items(), key=lambda item: item[1])
    ]
    raw = b"".join(field(1, piece) for piece in pieces) + field(2, field(3, 2) + field(35, 1)) + field(3, field(4, 0))
    made = convert_sentencepiece(Path("llama2.model"), raw, {})
    mine = [tuple(pair) for pair in made["model"]["merges"]]
    runs = {pair for pair in llama2.merges if set("".join(pair)) == {"▁"}}  # these have one and the same score
    assert [pair for pair in mine if pair not in runs] == [pair for pair in llama2.merges if pair not in runs]


def varint(value: int) -> bytes:
    return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + varint(value >> 7)


def field(number: int, value: int | bytes) -> bytes:
    """One field of a protocol buffer message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def trained(**options: Any) -> bytes:
    """A small sentencepiece model."""
    lines = [line.strip() for text in SAMPLES for line in text.splitlines() if line.strip()]
    output = io.BytesIO()
    settled = {
        "model_type": "bpe",
        "vocab_size": 700,
        "normalization_rule_name": "identity",
        "remove_extra_whitespaces": False,
        "byte_fallback": True,
        "character_coverage": 0.99,
        "minloglevel": 3,
        "num_threads": 1,
    }
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(lines), model_writer=output, **(settled | options))
    return output.getvalue()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"add_dummy_prefix": False},
        {"user_defined_symbols": ["[x]", "мит", "▁▁", "\n"], "add_dummy_prefix": False},
        {"user_defined_symbols": ["[x]", "мит", "▁▁", "a.b"]},
        {"byte_fallback": False, "control_symbols": ["<c>"]},
        {"bos_id": -1, "eos_id": 0, "unk_id": 3},
    ],
)
def test_options_of_sentencepiece(tmp_path: Path, options: dict[str, Any]) -> None:
    (tmp_path / "m.model").write_bytes(trained(**options))
    stock = Stock.load(tmp_path)
    processor = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "m.model"))
    symbols = options.get("user_defined_symbols", [])
    special = [token["content"] for token in stock.added if token["special"]]
    pieces = st.lists(TEXT | st.sampled_from(["[x]", "мит", "  ", "a.b", "axb", " мит", "ст"])).map("".join)

    @settings(max_examples=100)
    @given(pieces)
    def same(text: str) -> None:
        if text not in symbols and not any(token in text for token in special):
            assert ids(stock, text) == processor.encode(text)

    same()
    for text in SAMPLES:
        assert ids(stock, text) == processor.encode(text)
    assert not processor.id_to_piece(stock.segment(["мит"])[0][0]).startswith("▁")
    beginning = [] if options.get("bos_id") == -1 else [1]
    assert stock.tokenizer.encode("а").ids == beginning + ids(stock, "а")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"model_type": "unigram", "vocab_size": 500}, ("unigram", "only type BPE")),
        ({"model_type": "char"}, ("char", "only type BPE")),
        ({"normalization_rule_name": "nmt_nfkc"}, ("nmt_nfkc", "normalization_rule_name=identity")),
        ({"remove_extra_whitespaces": True}, ("remove_extra_whitespaces",)),
        ({"treat_whitespace_as_suffix": True}, ("treat_whitespace_as_suffix",)),
    ],
)
def test_other_sentencepiece_is_refused(tmp_path: Path, options: dict[str, Any], words: tuple[str, ...]) -> None:
    (tmp_path / "m.model").write_bytes(trained(**options))
    refused(tmp_path / "m.model", *words)


def test_damaged_sentencepiece_is_refused(tmp_path: Path) -> None:
    """Cut anywhere, or with any byte changed, it is refused with a clear error or still a tokenizer."""
    raw = trained()
    for length in (1, 2, 10, len(raw) // 2, len(raw) - 300):
        (tmp_path / "m.model").write_bytes(raw[:length])
        refused(tmp_path / "m.model")
    chance = random.Random(5)
    for _ in range(200):
        place = chance.randrange(len(raw))
        changed = raw[:place] + bytes([chance.randrange(256)]) + raw[place + 1 :]
        with contextlib.suppress(InputError):
            convert_sentencepiece(Path("m.model"), changed, {})


# --- tiktoken and tekken ----------------------------------------------------------------------------------------------


def ranks_of(stock: Stock) -> dict[bytes, int]:
    added = {token["content"] for token in stock.added}
    return {stock.bytes_of(token): number for token, number in stock.vocabulary.items() if token not in added}


def tiktoken_lines(ranks: dict[bytes, int]) -> bytes:
    return b"".join(base64.b64encode(token) + b" %d\n" % rank for token, rank in ranks.items())


@pytest.mark.parametrize("name", ["gpt4o", "llama3_1", "qwen3"])
def test_tiktoken_files(name: str, tmp_path: Path) -> None:
    """A tiktoken file of the real ranks gives the ids of the real tokenizer.json and of the tiktoken library."""
    real = Stock.load(stock_folder(name))
    ranks = ranks_of(real)
    file = tmp_path / "ranks.tiktoken"
    file.write_bytes(tiktoken_lines(ranks))
    stock = Stock.load(tmp_path)
    assert (stock.path, stock.family) == (file, Family.BYTE_LEVEL)
    pattern = stock.data["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"]
    assert pattern == real.data["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"]
    encoding = tiktoken.Encoding(name, pat_str=pattern, mergeable_ranks=ranks, special_tokens={})

    @settings(max_examples=100)
    @given(TEXT)
    def same(text: str) -> None:
        normal = unicodedata.normalize("NFC", text) if name == "qwen3" else text
        assert ids(stock, text) == ids(real, text) == encoding.encode(normal, disallowed_special=())

    same()
    for text in SAMPLES:
        assert stock.tokenizer.encode(text).ids == real.tokenizer.encode(text).ids
    if name == "qwen3":  # the file belongs to the first Qwen, which named the later ids otherwise
        assert (stock.vocabulary["<|im_end|>"], stock.vocabulary["<|extra_204|>"]) == (151_645, 151_850)
    else:
        assert stock.vocabulary == real.vocabulary
    if name == "llama3_1":
        assert stock.merges == real.merges


def test_unknown_tiktoken_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "ranks.tiktoken"
    file.write_bytes(tiktoken_lines({bytes([byte]): byte for byte in range(256)} | {b"ab": 256}))
    refused(file, "257 ranks", "o200k_base", "tokenizer.json")


@pytest.mark.parametrize(
    ("line", "words"),
    [(b"YWI= x", ("'YWI= x'",)), (b"YWI", ("'YWI'",)), (b"Y!I= 9", (":3:",)), (b"YQ== 9", ("second",))],
)
def test_broken_tiktoken_file_is_refused(line: bytes, words: tuple[str, ...]) -> None:
    with pytest.raises(InputError) as caught:
        convert_tiktoken(Path("ranks.tiktoken"), b"YQ== 0\nYg== 1\n" + line + b"\n")
    for word in ("ranks.tiktoken:3:", *words):
        assert word in str(caught.value)


def test_tekken(tmp_path: Path) -> None:
    """Mistral's tekken file: ids, special tokens and fillers are those of Mistral's own tokenizer."""
    file = MISTRAL / "tekken_240911.json"
    stock = Stock.load(file)
    own = Tekkenizer.from_file(file)
    assert stock.first_free_id == own.n_words
    assert [stock.tokenizer.id_to_token(number) for number in range(1000)] == own._vocab[:1000]
    for text in SAMPLES:
        assert ids(stock, text) == own.encode(text, bos=False, eos=False)
        assert stock.tokenizer.encode(text).ids == own.encode(text, bos=True, eos=False)

    @settings(max_examples=100)
    @given(TEXT)
    def same(text: str) -> None:
        assert ids(stock, text) == own.encode(text, bos=False, eos=False)

    same()


def test_broken_tekken_is_refused(tmp_path: Path) -> None:
    config = {"pattern": ".", "default_vocab_size": 12, "default_num_special_tokens": 10}
    refused(written(tmp_path, {"config": {}, "vocab": []}, "tekken.json") / "tekken.json", "pattern")
    vocab = [{"rank": 0, "token_bytes": "YQ=="}]
    refused(written(tmp_path, {"config": config, "vocab": vocab}, "tekken.json") / "tekken.json", "ranks 0 to 1")
    vocab.append({"rank": 1, "token_bytes": "Yg=="})
    refused(written(tmp_path, {"config": config, "vocab": vocab}, "tekken.json") / "tekken.json", "below 10")
    special = {"special_tokens": [{"rank": 0, "token_str": "<unk>"}]}
    refused(written(tmp_path, {"config": config, "vocab": vocab} | special, "tekken.json") / "tekken.json", "byte 0x00")
