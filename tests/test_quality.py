"""Bits per character: windows, chunks and batches change nothing, and every token is charged once."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from math import log2
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import SENTENCES, stock_folder, stock_of
from hypothesis import given
from hypothesis import strategies as st
from measured_models import KINDS, tiny_folder, tiny_model, tiny_subject
from transformers import AutoTokenizer

from hypertok.errors import ArtifactError, InputError
from hypertok.measure.coding import load_coding
from hypertok.measure.generate import generate
from hypertok.measure.quality import measure_quality, windows
from hypertok.measure.scoring import Window, token_bits
from hypertok.measure.subject import Subject, load_subject
from hypertok.model.pair import Pair
from hypertok.tokenizer.hyper import HyperTokenizer

TEXTS = [*SENTENCES.splitlines()[:6], SENTENCES[:900], "да", "12 cats ran; это И\u0306 не NFC"]


@pytest.fixture(scope="module")
def subject(small_stock: Path, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    return tiny_subject(tmp_path_factory.mktemp("tiny") / "model", small_stock)


def whole_logits(model: Any, ids: list[int]) -> np.ndarray:
    """Bits of every id but the first by one forward and one log_softmax over everything."""
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([ids])).logits[0].double()
    probabilities = torch.log_softmax(logits, dim=-1)[:-1]
    return -probabilities.gather(1, torch.tensor(ids[1:])[:, None])[:, 0].numpy() / np.log(2)


@pytest.mark.parametrize("kind", KINDS)
def test_bits_equal_a_direct_log_softmax(kind: str) -> None:
    model = tiny_model(kind)
    generator = np.random.default_rng(1)
    rows = [generator.integers(640, size=size) for size in (2, 40, 7, 40, 23)]
    found = token_bits(model, [Window(row, len(row) - 1) for row in rows], chunk=11, batch_tokens=64)
    for row, bits in zip(rows, found, strict=True):
        expected = whole_logits(model, row.tolist())
        assert bits.shape == expected.shape
        np.testing.assert_allclose(bits, expected, rtol=1e-4, atol=1e-4)
    assert np.ptp(np.concatenate(found)) > 1e-2, "a model that finds all ids alike shows nothing"
    assert "forward" not in model.base_model.__dict__


def test_large_windows_are_one_forward(subject: Subject) -> None:
    start = subject.coding.start
    assert start == (600,), (
        "the small tokenizer puts nothing before a text, so the text end of config.json stands there"
    )
    quality = measure_quality(subject.model, subject.coding.encode, TEXTS, start=start, context=2000)
    for text, document in zip(TEXTS, quality.documents, strict=True):
        ids = subject.coding.encode(text)
        assert (document.tokens, document.characters) == (len(ids), len(text))
        assert document.bits == pytest.approx(whole_logits(subject.model, [*start, *ids]).sum(), rel=1e-5)
    assert quality.bits == pytest.approx(sum(document.bits for document in quality.documents))
    assert quality.bits_per_character == pytest.approx(quality.bits / sum(map(len, TEXTS)))
    assert quality.perplexity_per_token == pytest.approx(2 ** (quality.bits / quality.tokens))
    bits, characters = quality.sums
    assert bits.sum() / characters.sum() == pytest.approx(quality.bits_per_character)


def test_windows_equal_a_forward_of_each(subject: Subject) -> None:
    context, overlap = 32, 5
    quality = measure_quality(
        subject.model, subject.coding.encode, TEXTS, start=(600,), context=context, overlap=overlap
    )
    for text, document in zip(TEXTS, quality.documents, strict=True):
        ids, done, bits = subject.coding.encode(text), 0, 0.0
        while done < len(ids):
            begin = max(0, done - overlap)
            part = ids[begin : begin + context - 1]
            bits += whole_logits(subject.model, [600, *part])[done - begin :].sum()
            done = begin + len(part)
        assert document.bits == pytest.approx(bits, rel=1e-5)


@given(size=st.integers(0, 60), start=st.integers(0, 2), context=st.integers(5, 30), overlap=st.integers(1, 4))
def test_every_id_is_scored_once_with_something_before_it(size: int, start: int, context: int, overlap: int) -> None:
    overlap = min(overlap, context - start - 1)
    ids, prefix = np.arange(100, 100 + size), [7] * start
    found = list(windows(ids, prefix, context=context, overlap=overlap))
    scored = [one for window in found for one in window.ids[-window.scored :].tolist()]
    assert scored == ids[0 if start else 1 :].tolist()
    for number, window in enumerate(found):
        assert len(window.ids) <= context
        assert window.ids[:start].tolist() == prefix
        assert len(window.ids) - window.scored >= (start + overlap if number else max(start, 1))


@pytest.mark.parametrize(("chunk", "batch_tokens"), [(1, 4096), (7, 4096), (100_000, 4096), (7, 1), (7, 100)])
def test_chunks_and_batches_change_nothing(subject: Subject, chunk: int, batch_tokens: int) -> None:
    def measured(**given: int) -> np.ndarray:
        quality = measure_quality(subject.model, subject.coding.encode, TEXTS, start=(600,), context=64, **given)
        return quality.sums[0]

    np.testing.assert_allclose(measured(chunk=chunk, batch_tokens=batch_tokens), measured(), rtol=1e-5)


def test_float64_is_made_on_the_cpu_alone(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    """MPS has none."""
    calls: list[str] = []
    for name in ("cpu", "double"):
        own = getattr(torch.Tensor, name)
        monkeypatch.setattr(torch.Tensor, name, lambda one, name=name, own=own: calls.append(name) or own(one))
    token_bits(subject.model, [Window(np.arange(5), 4)], chunk=2)
    assert calls == ["cpu", "double"] * 2


def test_the_whole_logits_never_exist(subject: Subject) -> None:
    seen: list[int] = []
    hook = subject.model.get_output_embeddings().register_forward_hook(
        lambda module, inputs, output: seen.append(output.numel())
    )
    quality = measure_quality(subject.model, subject.coding.encode, TEXTS, start=(600,), context=512, chunk=13)
    hook.remove()
    assert max(seen) == 13 * subject.rows
    assert sum(seen) == quality.tokens * subject.rows


def test_without_a_start_the_first_token_costs_what_is_known_of_it(subject: Subject) -> None:
    quality = measure_quality(subject.model, subject.coding.encode, [SENTENCES[:300], "", " "], context=400)
    ids = subject.coding.encode(SENTENCES[:300])
    expected = log2(subject.rows) + whole_logits(subject.model, ids).sum()
    assert quality.documents[0].bits == pytest.approx(expected, rel=1e-5)
    assert quality.documents[1].bits == quality.documents[1].tokens == 0
    assert quality.documents[2].bits == log2(subject.rows)


def test_all_characters_of_the_raw_text_count(subject: Subject) -> None:
    text = "И\u0306 кот"
    quality = measure_quality(subject.model, subject.coding.encode, [text], start=(600,))
    assert quality.characters == len(text) == 6


def test_an_adapter_of_peft_is_measured_as_it_computes(subject: Subject) -> None:
    peft = pytest.importorskip("peft")
    model = tiny_model()
    before = measure_quality(model, subject.coding.encode, TEXTS, start=(600,)).sums[0]
    wrapped = peft.get_peft_model(model, peft.LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=True)).eval()
    after = measure_quality(wrapped, subject.coding.encode, TEXTS, start=(600,)).sums[0]
    np.testing.assert_allclose(after, before, rtol=1e-6)
    for name, parameter in wrapped.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter)
    changed = measure_quality(wrapped, subject.coding.encode, TEXTS, start=(600,)).sums[0]
    assert np.abs(changed - before).max() > 1e-3


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ({"context": 4096}, "2048 positions"),
        ({"context": 8, "overlap": 7}, "from 1 to 6"),
        ({"context": 8, "overlap": 0}, "overlap 0"),
    ],
)
def test_unusable_windows_are_refused(subject: Subject, given_: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        measure_quality(subject.model, subject.coding.encode, TEXTS, start=(600,), **given_)


def test_logits_that_are_no_numbers_are_refused(subject: Subject) -> None:
    """As float16 gives where a hidden state is too large; the mean of the others would hide it."""
    matrix = subject.model.get_input_embeddings().weight
    row = subject.coding.encode(TEXTS[1])[0]
    before = matrix.data[row].clone()
    matrix.data[row] = float("nan")
    try:
        with pytest.raises(InputError, match="the model gives no probabilities"):
            measure_quality(subject.model, subject.coding.encode, TEXTS, start=(600,))
        with pytest.raises(InputError, match="the model gives no probabilities"):
            generate(subject, [[600, row]], tokens=2, seed=0)
    finally:
        matrix.data[row] = before


def test_nothing_to_measure_is_refused(subject: Subject) -> None:
    with pytest.raises(InputError, match="all documents are empty"):
        measure_quality(subject.model, subject.coding.encode, ["", ""], start=(600,))
    with pytest.raises(InputError, match=r"token 640 of the text has no row, .*do not belong together; take"):
        measure_quality(subject.model, lambda text: [640], ["а"], start=(600,))
    with pytest.raises(InputError, match="at least one before it"):
        token_bits(subject.model, [Window(np.array([1]), 1)])
    with pytest.raises(InputError, match="no body"):
        token_bits(subject.model.model, [Window(np.array([1, 2]), 1)])


@pytest.mark.parametrize(
    ("name", "config", "expected"),
    [
        ("llama2", {}, "<s>"),
        ("qwen3", {"bos_token_id": None, "eos_token_id": [151645, 151643]}, "<|im_end|>"),
        pytest.param("llama3_1", {}, "<|begin_of_text|>", marks=pytest.mark.slow),
        pytest.param("gemma3", {"bos_token_id": 2}, "<bos>", marks=pytest.mark.slow),
    ],
)
def test_the_start_is_what_the_tokenizer_puts_there(
    name: str, config: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(stock_folder(name) / file, tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(config))
    coding = load_coding(tmp_path)
    assert [stock_of(name).tokenizer.id_to_token(one) for one in coding.start] == [expected]
    text = "Весной вода в реке поднялась."
    ids = coding.encode(text)
    assert not set(ids) & set(coding.start)
    assert coding.continuation([*coding.start, *ids[:2]], ids[2:]) == text[len(coding.decode(ids[:2])) :]


def test_training_and_measuring_begin_a_text_alike(small_stock: Path, tmp_path: Path) -> None:
    """As AutoTokenizer does: beside a tokenizer.json transformers 5 does not look at `add_bos_token` (DeepSeek)."""
    folder = tiny_folder(tmp_path / "model", small_stock, eos_token_id=None)
    (folder / "tokenizer_config.json").write_text(json.dumps({"add_bos_token": True, "bos_token": "<|end|>"}))
    coding = load_coding(folder)
    assert AutoTokenizer.from_pretrained(folder)("да")["input_ids"] == coding.encode("да")
    assert coding.start == Pair.open(folder).start == ()


def test_an_extended_folder_for_symbols_is_read_by_its_codec(
    extended_folder: Callable[..., Path], tmp_path: Path
) -> None:
    folder = tiny_folder(tmp_path / "model", extended_folder("qwen3", "symbols"), eos_token_id=151643)
    subject, hyper = load_subject(folder, device="cpu"), HyperTokenizer.from_pretrained(folder)
    text = SENTENCES[:400]
    assert subject.coding.encode(text) == hyper.encode(text)
    assert subject.coding.decode(hyper.encode(text)) == text
    assert subject.coding.new_ids == hyper.new_ids
    assert set(subject.coding.encode(text)) & hyper.new_ids
    quality = measure_quality(subject.model, subject.coding.encode, [text], start=subject.coding.start)
    expected = whole_logits(subject.model, [*subject.coding.start, *hyper.encode(text)]).sum()
    assert quality.bits == pytest.approx(expected, rel=1e-5)
    assert quality.characters == 400


def test_folders_that_cannot_be_measured_are_refused(sound_extension: Path, small_stock: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no config\.json"):
        load_subject(sound_extension)
    folder = tiny_folder(tmp_path / "model", sound_extension)
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match="no model that transformers loads"):
        load_subject(folder)
    tiny_model(rows=640).save_pretrained(folder)
    with pytest.raises(InputError, match="do not belong together"):
        load_subject(folder)
    (tmp_path / "bare").mkdir()
    tiny_model().save_pretrained(tmp_path / "bare")
    with pytest.raises(InputError, match="no tokenizer"):
        load_subject(tmp_path / "bare")
    with pytest.raises((ArtifactError, InputError)):
        load_subject(small_stock)
