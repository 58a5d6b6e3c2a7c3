"""Equal compute: how much an arm may read for it, which parameters count, and the seconds of a run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("peft")

import torch
from safetensors.torch import save_file
from small_experiments import STOCK_AND_CONTROL, Inputs, definition

from hypertok.errors import InputError
from hypertok.experiment.inputs import Read
from hypertok.experiment.run import Experiment
from hypertok.experiment.runner import Runner
from hypertok.experiment.training import Spent, _seconds, equal_compute, product_parameters, spent
from hypertok.model.checkpoint import Checkpoint


def test_equal_compute_counts_every_pass(inputs: Inputs) -> None:
    stock, ours = Spent(1000, 400, 10), Spent(1000, 250, 10)
    assert equal_compute("ours", ours, stock, 10_000) == 1600
    assert equal_compute("ours", replace(ours, tokens=2 * ours.tokens), stock, 10_000) == 800
    assert equal_compute("ours", ours, replace(stock, tokens=3 * stock.tokens), 10_000) == 4800
    model, corpus = inputs["model"], inputs["corpus"]
    assert model is not None
    assert corpus is not None
    once = spent(model, corpus, 300, 0)
    assert spent(model, corpus, 300, 0, times=2) == replace(once, tokens=2 * once.tokens)


def test_equal_compute_is_counted_on_all_that_is_read(
    inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the 900th character on the arm's tokens are shorter; by the first 900 it would read 1,800."""

    def counted(folder: Path, corpus: Path, characters: int, seed: int, epochs: int = 1) -> Spent:
        if folder == inputs["model"]:
            return Spent(characters, characters // 2, 10)
        return Spent(characters, characters // 4 + max(0, characters - 900) // 20, 10)

    monkeypatch.setattr("hypertok.experiment.runner.spent", counted)
    experiment = Experiment.from_toml(definition(tmp_path / "experiments", "ab", STOCK_AND_CONTROL), inputs=inputs)
    read = Read(10_000, (), (), {}, {}, {}, "")
    runner = Runner(experiment.definition, experiment.output, experiment.work, read, lambda text: None, False)
    runner._budget({"control": tmp_path / "control"})
    assert counted(tmp_path, tmp_path, 900, 0).tokens * 2 == counted(runner.model, tmp_path, 900, 0).tokens
    assert runner.budgets == {("control", "compute"): 1800 * 450 // 495}


def test_equal_compute_counts_what_was_read_to_make_rows() -> None:
    stock, ours = Spent(1000, 400, 10), Spent(1000, 250, 10, before=50)
    assert (stock.compute, ours.compute) == (4000, 3000)
    assert equal_compute("ours", ours, stock, 10_000) == 1400
    with pytest.raises(InputError, match=r"arms\.ours: making its rows took more compute than training stock"):
        equal_compute("ours", replace(ours, before=400), stock, 10_000)


def test_seconds_are_those_of_all_starts(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text("".join(f'{{"seconds": {one}}}\n' for one in (10, 20, 5, 15)), encoding="utf-8")
    assert _seconds(log) == 20 + 15
    log.write_text("", encoding="utf-8")
    assert _seconds(log) == 0


@pytest.mark.parametrize("fused", [False, True])
def test_of_experts_as_many_count_as_a_token_meets(tmp_path: Path, fused: bool) -> None:
    """And nothing of what reads pictures."""
    tensors = {
        "model.embed_tokens.weight": torch.zeros(10, 4), "lm_head.weight": torch.ones(10, 4),
        "model.layers.0.mlp.shared_experts.up_proj.weight": torch.zeros(6, 4),
        "model.layers.0.mlp.gate.weight": torch.zeros(8, 4), "visual.blocks.0.experts.weight": torch.zeros(99, 4),
    }  # fmt: skip
    if fused:
        tensors["model.layers.0.block_sparse_moe.input_linear.weight"] = torch.zeros(8, 6, 4)
    else:
        tensors |= {f"model.layers.0.mlp.experts.{number}.up_proj.weight": torch.zeros(6, 4) for number in range(8)}
    save_file(tensors, tmp_path / "model.safetensors")

    def counted(strict: bool = True, **config: Any) -> int:
        (tmp_path / "config.json").write_text(json.dumps({"tie_word_embeddings": False, **config}), encoding="utf-8")
        return product_parameters(Checkpoint.open(tmp_path), strict=strict)

    shared, each = 10 * 4 + 6 * 4 + 8 * 4, 6 * 4
    assert counted(num_local_experts=8, num_experts_per_tok=2) == shared + 2 * each
    assert counted(text_config={"n_routed_experts": 8, "num_experts_per_tok": 3}) == shared + 3 * each
    assert counted(num_experts=8, strict=False) == shared + 8 * each
    with pytest.raises(
        InputError, match=r"config\.json: does not tell how many of its experts .* leave the line compute"
    ):
        counted(num_experts=8)
