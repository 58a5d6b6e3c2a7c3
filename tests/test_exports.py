"""Exports give the ids that the exported tokenizer gives: tiktoken, sentencepiece, GGUF in llama.cpp."""

from __future__ import annotations

import functools
import json
import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from conftest import SENTENCES, stock_folder, stock_of

from hypertok.errors import ArtifactError, InputError
from hypertok.tokenizer.export_sentencepiece import export_sentencepiece
from hypertok.tokenizer.export_tiktoken import MergeAgreement, export_tiktoken, load_tiktoken
from hypertok.tokenizer.stock import Stock
from hypertok.tokenizer.surgery import extended
from hypertok.vocabulary.units import Span, Units

WORD = re.compile(" ?[А-Яа-яЁё]++")
PHRASE = re.compile("(?: ?[А-Яа-яЁё]++|,)++")
OTHER = (
    "def f(x: int) -> int:\n    return x + 1  # прибавить один\n",
    "Hello, world! It's 12 o'clock; naïve café.",
    "你好，世界。こんにちは 안녕하세요 مرحبا שלום 🙂👩‍👩‍👧",
    "  два  пробела,\tтабуляция…\n\n— Да? — Нет!.. «Ёлка»",
    "слово" * 50,
)
TEXTS = (*SENTENCES.splitlines(), SENTENCES, *OTHER)


def learned(tokenizer: Stock, texts: Iterable[str], span: Span, *, rounds: int = 6, per_round: int = 40) -> Units:
    """Units by counting neighbours in the stock segmentation, the commonest pairs of a round at once."""
    name = {identifier: token for token, identifier in tokenizer.vocabulary.items()}
    documents = [[name[i] for i in ids] for ids in tokenizer.segment(list(texts))]
    shape = WORD if span == "word" else PHRASE
    merges: dict[tuple[str, str], int] = {}
    made: set[str] = set()

    def may_join(pair: tuple[str, str]) -> bool:
        text = b"".join(map(tokenizer.bytes_of, pair)).decode(errors="replace")
        return "".join(pair) not in tokenizer.vocabulary and bool(shape.fullmatch(text)) and text != ","

    for _ in range(rounds):
        counts = Counter(pair for tokens in documents for pair in pairwise(tokens))
        best = [pair for pair, _ in sorted(counts.items(), key=lambda c: (-c[1], c[0])) if may_join(pair)]
        for pair in best[:per_round]:
            if "".join(pair) not in made:
                merges[pair] = len(merges)
                made.add("".join(pair))
        documents = [merged(tokens, merges) for tokens in documents]
    tokens = tuple(left + right for left, right in merges)
    return Units(tokens, tuple(merges), (1,) * len(tokens))


def merged(tokens: list[str], rank: dict[tuple[str, str], int]) -> list[str]:
    """The tokens after all merges, lowest rank first."""
    while True:
        pairs = [(rank[pair], i) for i, pair in enumerate(pairwise(tokens)) if pair in rank]
        if not pairs:
            return tokens
        _, i = min(pairs)
        tokens = [*tokens[:i], tokens[i] + tokens[i + 1], *tokens[i + 2 :]]


@functools.cache
def units(name: str, span: Span) -> Units:
    return learned(stock_of(name), SENTENCES.splitlines(), span)


def write_folder(folder: Path, data: dict[str, Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
    return folder


def extended_folder(folder: Path, name: str, span: Span, new: Units | None = None, start: int | None = None) -> Path:
    new = units(name, span) if new is None else new
    return write_folder(folder, extended(stock_of(name), new, span=span, start=start))


@functools.lru_cache(maxsize=1)  # a test asks several times for the same one
def read(folder: Path) -> Stock:
    return Stock.load(folder)


def unit_ids(folder: Path, new: Units) -> list[int]:
    vocabulary = read(folder).vocabulary
    return [vocabulary[token] for token in new.tokens]


def ids_of(folder: Path, texts: Sequence[str]) -> list[list[int]]:
    encoded = read(folder).tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
    return [encoding.ids for encoding in encoded]


def corpus_sample(shared_data: Path) -> list[str]:
    """Beginnings of 248 validation documents: technical Markdown, prose, poems, drama; about 1.2M characters."""
    corpora = shared_data / "corpora"
    taken: Counter[str] = Counter()
    texts = []
    for line in (corpora / "splits.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        name, domain, split, _ = line.split("\t")
        if split == "valid" and domain != "gold_lemma" and taken[domain] < 1_000_000:
            text = (corpora / name).read_text(encoding="utf-8", errors="replace")
            texts.append(text[:20_000])
            taken[domain] += len(text)
    return texts


# --- tiktoken


@pytest.mark.parametrize("span", ["word", "phrase"])
@pytest.mark.parametrize("name", ["qwen3", "llama3_1", "gpt4o"])
def test_tiktoken_gives_the_same_ids(tmp_path: Path, name: str, span: Span) -> None:
    folder = extended_folder(tmp_path / name, name, span)
    encoding = load_tiktoken(export_tiktoken(folder, tmp_path / "out.tiktoken"))
    texts = [unicodedata.normalize("NFC", text) for text in TEXTS]
    expected = ids_of(folder, texts)
    assert [encoding.encode(text, allowed_special="all") for text in texts] == expected
    assert [encoding.decode(ids) for ids in expected] == texts
    assert set(unit_ids(folder, units(name, span))) & {i for ids in expected for i in ids}
    for token in stock_of(name).added:
        assert encoding.encode(token["content"], allowed_special="all") == [token["id"]]


def test_tiktoken_leaves_placeholders_out(tmp_path: Path) -> None:
    folder = extended_folder(tmp_path / "qwen3", "qwen3", "word", start=151_936)
    description = export_tiktoken(folder, tmp_path / "out.tiktoken")
    encoding = load_tiktoken(description)
    assert json.loads(description.read_bytes())["left_out"] == 151_936 - 151_669
    text = "<hypertok_unused_id_151700> и слово"
    assert [encoding.encode(text)] == ids_of(folder, [text])
    with pytest.raises(KeyError):
        encoding.decode([151_700])


def test_tiktoken_does_not_replace_a_json_of_others(tmp_path: Path) -> None:
    folder = extended_folder(tmp_path / "qwen3", "qwen3", "word")
    (tmp_path / "package.json").write_text('{"name": "x"}', encoding="utf-8")
    with pytest.raises(InputError, match=r"package\.json: is no export of ours, and would be replaced"):
        export_tiktoken(folder, tmp_path / "package.tiktoken")
    assert not (tmp_path / "package.tiktoken").exists()
    export_tiktoken(folder, tmp_path / "out.tiktoken")
    export_tiktoken(folder, tmp_path / "out.tiktoken")


def test_tiktoken_joins_neighbours_that_are_no_merge(tmp_path: Path) -> None:
    """The one difference there is: « р» + «уковод» make a stock token, and no stock merge says so."""
    alphabet, text = stock_of("llama3_1").alphabet_of, " руководства"
    token, merge = alphabet("уковод"), (alphabet("уков"), alphabet("од"))
    free = (alphabet(" р"), token)
    pairs = []
    for merges, expected in (((merge,), 3), ((merge, free), 2)):
        new = Units((token,), merges, (1,))
        folder = extended_folder(tmp_path / str(expected), "llama3_1", "word", new)
        assert len(ids_of(folder, [text])[0]) == expected
        assert len(load_tiktoken(export_tiktoken(folder, folder / "out.tiktoken")).encode(text)) == 2
        pairs.append(MergeAgreement.of(read(folder), unit_ids(folder, new)).free_pairs)
    assert pairs[0] == pairs[1] + 1


def test_merges_in_another_order_are_counted(tmp_path: Path) -> None:
    new = units("qwen3", "word")
    swapped = Units(tuple(reversed(new.tokens)), new.merges, new.counts)
    for some, expected in ((new, 0), (swapped, len(new.tokens) - 1)):
        folder = extended_folder(tmp_path / str(expected), "qwen3", "word", some)
        assert MergeAgreement.of(read(folder), unit_ids(folder, some)).out_of_order == expected


def test_tiktoken_refuses_what_it_cannot_say(tmp_path: Path) -> None:
    output = tmp_path / "out.tiktoken"
    with pytest.raises(InputError, match=r"one pattern.*4 steps"):
        export_tiktoken(stock_folder("deepseek_v3"), output)
    with pytest.raises(InputError, match="--to sentencepiece"):
        export_tiktoken(stock_folder("llama2"), output)
    with pytest.raises(InputError, match="beside the ranks"):
        export_tiktoken(stock_folder("qwen3"), output.with_suffix(".json"))
    qwen = stock_of("qwen3").data
    broken = {**qwen, "pre_tokenizer": json.loads(json.dumps(qwen["pre_tokenizer"]))}
    broken["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = r"\p{L}+|("
    with pytest.raises(InputError, match="does not take its pattern"):
        export_tiktoken(write_folder(tmp_path / "broken", broken), output)
    assert not list(tmp_path.glob("out*"))


def test_damaged_tiktoken_export_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="cannot be read"):
        load_tiktoken(tmp_path / "out.json")
    ranks = tmp_path / "out.tiktoken"
    description = export_tiktoken(stock_folder("gpt4o"), ranks)
    whole = ranks.read_bytes()
    for damaged in (whole[:-9], whole.replace(b" 500\n", b" 501\n"), b""):
        ranks.write_bytes(damaged)
        with pytest.raises(ArtifactError):
            load_tiktoken(description)


# --- sentencepiece


def processor(path: Path) -> Any:
    import sentencepiece

    return sentencepiece.SentencePieceProcessor(model_file=str(path))


@pytest.mark.parametrize("name", ["gemma3", "llama2"])
def test_sentencepiece_gives_the_same_ids(tmp_path: Path, name: str) -> None:
    folder = extended_folder(tmp_path / name, name, "phrase")
    pieces = processor(export_sentencepiece(folder, folder / "tokenizer.model"))
    expected = ids_of(folder, TEXTS)
    assert [pieces.encode(text) for text in TEXTS] == expected
    assert [pieces.decode(ids) for ids in expected] == list(TEXTS)
    vocabulary = read(folder).vocabulary
    assert all(pieces.id_to_piece(identifier) == token for token, identifier in vocabulary.items())
    assert pieces.get_piece_size() == max(vocabulary.values()) + 1
    assert pieces.is_control(pieces.bos_id())
    assert pieces.unk_id() == vocabulary["<unk>"]
    assert set(unit_ids(folder, units(name, "phrase"))) & {i for ids in expected for i in ids}


def test_sentencepiece_keeps_the_stock_model(tmp_path: Path) -> None:
    from sentencepiece import sentencepiece_model_pb2 as messages

    stock_model = export_sentencepiece(stock_folder("llama2"), tmp_path / "stock.model")
    folder = extended_folder(tmp_path / "llama2", "llama2", "phrase", start=32_064)
    output = export_sentencepiece(folder, tmp_path / "new.model", stock_model=stock_model)
    old, new = messages.ModelProto(), messages.ModelProto()
    old.ParseFromString(stock_model.read_bytes())
    new.ParseFromString(output.read_bytes())
    assert list(new.pieces[: len(old.pieces)]) == list(old.pieces)
    assert new.normalizer_spec == old.normalizer_spec
    added = new.pieces[len(old.pieces) :]
    assert {piece.type for piece in added[:64]} == {messages.ModelProto.SentencePiece.UNUSED}
    assert max(piece.score for piece in added[64:]) < min(piece.score for piece in old.pieces)
    assert [processor(output).encode(text) for text in TEXTS] == ids_of(folder, TEXTS)
    with pytest.raises(InputError, match=r"same stock tokenizer"):
        export_sentencepiece(stock_folder("gemma3"), tmp_path / "no.model", stock_model=stock_model)
    with pytest.raises(InputError, match="not a sentencepiece model"):
        export_sentencepiece(folder, tmp_path / "no.model", stock_model=folder / "tokenizer.json")
    with pytest.raises(InputError, match="--to tiktoken"):
        export_sentencepiece(stock_folder("qwen3"), tmp_path / "no.model")
    assert not (tmp_path / "no.model").exists()


@pytest.mark.parametrize("module", ["tiktoken", "sentencepiece"])
def test_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    folder = stock_folder("gpt4o" if module == "tiktoken" else "llama2")
    export: Any = export_tiktoken if module == "tiktoken" else export_sentencepiece
    with pytest.raises(InputError, match=r"hypertok-concepts\[export\]"):
        export(folder, tmp_path / "out")
    assert not list(tmp_path.iterdir())


# --- real text


@pytest.mark.slow
@pytest.mark.parametrize("name", ["qwen3", "gpt4o", "gemma3", "llama2"])
def test_parity_on_validation_text(tmp_path: Path, shared_data: Path, name: str) -> None:
    texts = [unicodedata.normalize("NFC", text) for text in corpus_sample(shared_data)]
    new = learned(stock_of(name), texts[::8], "phrase", rounds=5, per_round=200)
    folder = extended_folder(tmp_path / name, name, "phrase", new)
    if name in ("gemma3", "llama2"):
        made = processor(export_sentencepiece(folder, folder / "tokenizer.model")).encode(texts)
    else:
        encoding = load_tiktoken(export_tiktoken(folder, folder / "out.tiktoken"))
        made = [encoding.encode(text, allowed_special="all") for text in texts]
    expected = ids_of(folder, texts)
    same = sum(map(list.__eq__, made, expected))
    print(f"{name}: {same} of {len(texts)} documents, {sum(map(len, made))} against {sum(map(len, expected))} tokens")
    assert len(texts) > 100
    assert same == len(texts)
