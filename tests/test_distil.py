"""Training with a share of distillation: resumed to the same bits, counted as compute, refused for symbol text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("peft")

from safetensors.torch import load_file
from tiny_models import put_model, tiny_model
from trained_models import QUICK, Interrupt, held_out, model_folder

from hypertok.errors import InputError
from hypertok.experiment.training import deciding, equal_compute, spent
from hypertok.model.pair import Pair
from hypertok.tokenizer.hyper import HyperTokenizer
from hypertok.training.checks import estimate
from hypertok.training.data import read_texts
from hypertok.training.options import LoraOptions
from hypertok.training.train import train

TAUGHT = QUICK.model_copy(update={"distil": 0.5})


@pytest.fixture(scope="module")
def model(sound_extension: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model_folder(sound_extension, tmp_path_factory.mktemp("models") / "llama")


ROWS_ONLY = {"rows_only": True, "lora": LoraOptions(), "recompute": True}


@pytest.mark.parametrize("changed", [{}, {"cut_head": True, "rows": "flat"}, ROWS_ONLY])
def test_a_resumed_run_gives_the_same_bits(
    model: Path, small_corpus: Path, tmp_path: Path, changed: dict[str, object]
) -> None:
    options = TAUGHT.model_copy(update=changed)
    whole = train(model, small_corpus, tmp_path / "whole", options)
    with pytest.raises(KeyboardInterrupt):
        train(model, small_corpus, tmp_path / "run", options, callbacks=[Interrupt(5)])
    train(model, small_corpus, tmp_path / "run", options, resume=True)
    names = ["new_rows.safetensors", *([] if options.rows_only else ["adapter_model.safetensors"])]
    for name in names:
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    plain = train(model, small_corpus, tmp_path / "plain", options.model_copy(update={"distil": 0.0}))
    rows = [load_file(folder / names[0])["input"] for folder in (tmp_path / "whole", tmp_path / "plain")]
    assert not rows[0].equal(rows[1])
    assert "taught" not in plain.manifest.facts
    stock = [len(Pair.open(model).plain.tokenizer.encode(text.text).ids) for text in read_texts(small_corpus)]
    assert whole.manifest.facts["taught"] > plain.manifest.facts["tokens"]
    assert whole.manifest.facts["taught"] < sum(stock) * 2


def test_it_keeps_a_model_from_learning_a_small_text_by_heart(model: Path, small_corpus: Path, tmp_path: Path) -> None:
    many = {"epochs": 6, "rows": "flat", "lora_lr": 1e-2}
    found = {}
    for distil in (0.0, 0.9):
        options = TAUGHT.model_copy(update={**many, "distil": distil})
        found[distil] = train(
            model, small_corpus, tmp_path / f"run-{distil}", options, held_out=held_out(tmp_path)
        ).eval_bpc
    assert found[0.9] < found[0.0]


def test_a_stock_model_is_trained_as_without(small_stock: Path, small_corpus: Path, tmp_path: Path) -> None:
    folder = put_model(small_stock, tmp_path / "stock", tiny_model("llama", tied=True, rows=640))
    for name, options in (("plain", QUICK), ("taught", TAUGHT)):
        train(folder, small_corpus, tmp_path / name, options)
    name = "adapter_model.safetensors"
    assert (tmp_path / "plain" / name).read_bytes() == (tmp_path / "taught" / name).read_bytes()


def test_symbol_text_has_no_teacher(extended_folder: Callable[..., Path], small_corpus: Path, tmp_path: Path) -> None:
    tokenizer = extended_folder("qwen3", "symbols")
    rows = HyperTokenizer.from_pretrained(tokenizer).rows
    folder = put_model(tokenizer, tmp_path / "model", tiny_model("qwen3", tied=True, rows=rows))
    with pytest.raises(InputError, match="leave distil out"):
        train(folder, small_corpus, tmp_path / "run", TAUGHT)


def test_what_a_teacher_reads_is_compute(model: Path, small_corpus: Path) -> None:
    once = spent(model, small_corpus, 300, 0)
    taught = spent(model, small_corpus, 300, 0, epochs=2, distil=True)
    assert taught.tokens == 2 * once.tokens
    assert taught.taught > taught.tokens, "stock tokens are more"
    assert taught.compute == (taught.tokens + taught.taught // 3) * once.parameters
    plain = replace(taught, taught=0)
    assert equal_compute("ours", taught, plain, 10_000) < equal_compute("ours", plain, plain, 10_000) == 300


def test_keys_of_results_without_it_are_as_they_were_and_memory_is_asked_for(model: Path) -> None:
    assert "distil" not in deciding(QUICK)
    assert deciding(TAUGHT) == {**deciding(QUICK), "distil": 0.5}
    pair = Pair.open(model)
    assert estimate(pair, TAUGHT, cpu=True).logits > estimate(pair, QUICK, cpu=True).logits
