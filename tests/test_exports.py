"""Exports give the ids that the exported tokenizer gives: tiktoken, sentencepiece, GGUF in llama.cpp."""

from __future__ import annotations

import json
import sys
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from conftest import stock_folder, stock_of
from counted_units import TEXTS, extended_folder, ids_of, learned, read, unit_ids, units, write_folder
from held_out_texts import corpus_sample
from proofs import artefact

from hypertok.errors import ArtifactError, InputError
from hypertok.tokenizer.export_common import MergeAgreement
from hypertok.tokenizer.export_sentencepiece import export_sentencepiece
from hypertok.tokenizer.export_tiktoken import export_tiktoken, load_tiktoken
from hypertok.tokenizer.hyper import HyperTokenizer
from hypertok.tokenizer.stock import Stock
from hypertok.vocabulary.units import Span, Units

# --- tiktoken


@pytest.mark.parametrize(("name", "span"), [("qwen3", "word"), ("llama3_1", "phrase"), ("gpt4o", "phrase")])
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


def test_tiktoken_files_may_be_named_as_models_are(sound_extension: Path, small_stock: Path, tmp_path: Path) -> None:
    folders = (sound_extension, "v1.1"), (small_stock, "v1.2")
    first, second = (export_tiktoken(folder, tmp_path / name) for folder, name in folders)
    assert [path.name for path in (first, second)] == ["v1.1.json", "v1.2.json"]
    for path in (first, tmp_path / "v1.1"):
        assert load_tiktoken(path).name == "v1.1"


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


def test_scores_follow_merges_whatever_ids_units_have(small_stock: Path, tmp_path: Path) -> None:
    """tiktoken ranks by ids, so there units at given-up ids of stock tokens come before most stock merges."""
    new = units("gemma3", "word")
    swapped = Units(tuple(reversed(new.tokens)), new.merges, new.counts)
    folder = extended_folder(tmp_path / "gemma3", "gemma3", "word", swapped)
    assert MergeAgreement.of(read(folder), unit_ids(folder, swapped)).out_of_order == 0
    folder = artefact(tmp_path / "among", Stock.load(small_stock), "phrase", ("ru", "en"))
    ids = HyperTokenizer.from_pretrained(folder).new_ids
    assert MergeAgreement.of(read(folder), ids).out_of_order > 0


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
    with pytest.raises(InputError, match="is the stock model; name another file"):
        export_sentencepiece(folder, stock_model, stock_model=stock_model)
    with pytest.raises(InputError, match=r"none\.model: cannot be read .*; name the stock model's tokenizer\.model"):
        export_sentencepiece(folder, output, stock_model=tmp_path / "none.model")
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
@pytest.mark.parametrize("name", ["qwen3", "gemma3"])
def test_parity_on_validation_text(tmp_path: Path, shared_data: Path, name: str) -> None:
    texts = [unicodedata.normalize("NFC", text) for text in corpus_sample(shared_data)]
    new = learned(stock_of(name), texts[::8], "phrase", rounds=5, per_round=200)
    folder = extended_folder(tmp_path / name, name, "phrase", new)
    if name == "gemma3":
        made = processor(export_sentencepiece(folder, folder / "tokenizer.model")).encode(texts)
    else:
        encoding = load_tiktoken(export_tiktoken(folder, folder / "out.tiktoken"))
        made = [encoding.encode(text, allowed_special="all") for text in texts]
    expected = ids_of(folder, texts)
    same = sum(map(list.__eq__, made, expected))
    print(f"{name}: {same} of {len(texts)} documents, {sum(map(len, made))} against {sum(map(len, expected))} tokens")
    assert len(texts) > 100
    assert same == len(texts)
