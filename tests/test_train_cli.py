"""`hypertok train` and `merge` as commands: their options."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("peft")

from typer.testing import CliRunner

from hypertok.cli.main import app
from hypertok.errors import InputError


def test_the_commands(model: Path, small_corpus: Path, tmp_path: Path) -> None:
    runner = CliRunner()
    output = str(tmp_path / "lora")
    arguments = ["--lora", "r=4,alpha=8", "--characters", "400", "--dtype", "float32", "--context", "24"]
    arguments += ["--batch", "2", "--set", "device=cpu", "--report-to", "tensorboard"]
    made = runner.invoke(app, ["train", str(model), "--data", str(small_corpus), "-o", output, *arguments, "--json"])
    assert made.exit_code == 0, made.output
    assert json.loads(made.stdout)["recipe"]["options"]["lora"]["alpha"] == 8
    assert any((tmp_path / "lora.tensorboard").iterdir())
    assert " characters; checkpoints and log.jsonl in " in made.stderr, "before the first step, outside a terminal too"
    merged = runner.invoke(app, ["merge", output, "-o", str(tmp_path / "merged")])
    assert merged.exit_code == 0, merged.output
    assert (tmp_path / "merged" / "model.safetensors").is_file()
    wrong = runner.invoke(app, ["train", str(model), "--data", str(small_corpus), "-o", output, "--set", "batch"])
    assert isinstance(wrong.exception, InputError)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--set", "dtype=float32", "--dtype", "float32"), "--set dtype: --dtype says it, too"),
        (("--set", "rows_only=true", "--rows-only"), "--set rows_only: --rows-only says it, too"),
        (("--set", "lora=nonsense"), "options: lora=nonsense: "),
        (("--set", "rows=x"), "options: rows=x: Input should be 'flat', "),
        (("--rows-only", "--lora", "r=64"), "rows_only (--rows-only) trains no adapter; leave lora (--lora) out"),
        (("--reading", "--lora", "r=64"), "reading (--reading) trains no adapter; leave lora (--lora) out"),
        (("--rows-only", "--lora", "rank=64"), "lora rank=64"),
    ],
)
def test_options_of_the_command_are_not_overwritten_in_silence(
    model: Path, small_corpus: Path, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    command = ["train", str(model), "--data", str(small_corpus), "-o", str(tmp_path / "x"), *options]
    wrong = CliRunner().invoke(app, command)
    assert isinstance(wrong.exception, InputError)
    assert message in str(wrong.exception)


def test_set_reaches_what_other_options_have_a_default_for(model: Path, small_corpus: Path, tmp_path: Path) -> None:
    command = ["train", str(model), "--data", str(small_corpus), "-o", str(tmp_path / "x"), "--json", "--context", "24"]
    command += ["--characters", "400", "--set", "batch=2", "--set", "dtype=float32", "--set", "rows_only=true"]
    command += ["--set", "device=cpu"]
    made = CliRunner().invoke(app, command)
    assert made.exit_code == 0, made.output
    recipe = json.loads(made.stdout)["recipe"]["options"]
    assert (recipe["dtype"], recipe["rows_only"]) == ("float32", True)
