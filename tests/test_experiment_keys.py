"""Keys of results and of trained folders: what decides a figure is in them, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("peft")

from small_experiments import Inputs

from hypertok.artifact import seal
from hypertok.experiment.definition import Arm, Definition
from hypertok.experiment.inputs import Read
from hypertok.experiment.run import Experiment
from hypertok.experiment.runner import Planned
from hypertok.experiment.training import deciding, trained_folder
from hypertok.tokenizer.kind import KIND
from hypertok.training.options import TrainOptions


def test_the_seed_that_made_rows_is_part_of_a_results_key(inputs: Inputs, tmp_path: Path) -> None:
    """Rows that are trained before training are those of the first seed, for all seeds."""
    read = Read(0, (), (), {}, {}, {}, "")
    keys = set()
    for seeds, init in (((0, 1), "composer"), ((1, 2), "composer"), ((0, 1), "mean"), ((1, 2), "mean")):
        arm = Arm(name="ours", init=init)
        made = Experiment(Definition(name="x", kind="init", inits=(init,), seeds=seeds, arms=(arm,)), tmp_path / "x")
        keys.add(made._key(Planned(arm, "characters", 1), read))
    assert len(keys) == 3


def test_what_made_the_rows_of_an_untrained_arm_is_part_of_its_key(tmp_path: Path) -> None:
    read, keys = Read(0, (), (), {}, {}, {}, ""), set()
    for train in (TrainOptions(), TrainOptions(bos=False), TrainOptions(dtype="float32")):
        arm = Arm(name="ours", init="composer", untrained=True, train=train)
        made = Experiment(Definition(name="x", arms=(Arm(name="stock", stock=True), arm)), tmp_path / "x")
        keys.add(made._key(Planned(arm, "characters", 0), read))
    assert len(keys) == 3


def test_looking_at_held_out_text_on_the_way_decides_nothing() -> None:
    assert deciding(TrainOptions(evaluate_every=50)) == deciding(TrainOptions())
    assert "evaluate_every" in deciding(TrainOptions()), "keys of committed results have it"
    assert deciding(TrainOptions(compile=True)) == deciding(TrainOptions()), "nor do compiled layers, but by rounding"


def test_what_was_trained_on_another_tokenizer_of_the_same_name_is_not_taken(tmp_path: Path) -> None:
    """Made from the same inputs by other code of this version, or on another machine."""
    read, arm, found = (
        Read(0, (), (), {}, {}, dict.fromkeys(("model", "tokenizer", "corpus"), "x"), ""),
        Arm(name="ours"),
        [],
    )
    for where, tokenizer in (("here", "{}"), ("there", "{}"), ("older", '{"a": 1}')):
        model = tmp_path / where / "key"
        model.mkdir(parents=True)
        (model / "tokenizer.json").write_text(tokenizer, encoding="utf-8")
        seal(model, KIND)
        found.append(trained_folder(tmp_path, arm, model, read, characters=1, seed=0))
    assert found[0] == found[1] != found[2]


def test_passes_of_stock_are_part_of_a_key_at_equal_compute(tmp_path: Path) -> None:
    """They decide how much the others may read, though these are trained with options of their own."""
    read, keys = Read(0, (), (), {}, {}, {}, ""), {}
    for epochs in (1, 2):
        stock, ours = Arm(name="stock", stock=True, train=TrainOptions(epochs=epochs)), Arm(name="ours")
        made = Definition(name="x", lines=("characters", "compute"), arms=(stock, ours))
        experiment = Experiment(made, tmp_path / "x")
        keys[epochs] = {one.name: experiment._key(one, read) for one in experiment.planned()}
    changed = {name for name, key in keys[1].items() if key != keys[2][name]}
    assert changed == {f"{arm}-s{seed}" for arm in ("stock-characters", "ours-compute") for seed in (0, 1, 2)}


def test_what_was_trained_before_blocks_began_with_bos_keeps_its_key() -> None:
    before, now = deciding(TrainOptions(bos=False)), deciding(TrainOptions())
    assert now == {**before, "bos": True}
    assert before["context"] == 512
    assert not {"device", "keep"} & set(before), "what decides no figure is in no key"
