"""`hypertok train` and `merge` as commands: their options."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("peft")

from tiny_models import put_model, tiny_model
from transformers import AutoModelForCausalLM
from typer.testing import CliRunner

from hypertok.cli.main import app
from hypertok.errors import InputError
from hypertok.model.merge import merge


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


def test_a_trained_folder_is_loaded_by_nothing_else_in_silence(model: Path, small_corpus: Path, tmp_path: Path) -> None:
    """Its adapter names no model: transformers would put it onto that one without the new rows."""
    command = ["train", str(model), "--data", str(small_corpus), "-o", str(tmp_path / "run"), "--set", "device=cpu"]
    command += ["--characters", "400", "--dtype", "float32", "--context", "24", "--batch", "2"]
    made = CliRunner().invoke(app, command)
    assert made.exit_code == 0, made.output
    assert "PEFT and others would read its adapter alone" in made.output
    said = json.loads((tmp_path / "run" / "adapter_config.json").read_bytes())
    assert said["base_model_name_or_path"] is None
    with pytest.raises((OSError, ValueError, TypeError)):
        AutoModelForCausalLM.from_pretrained(tmp_path / "run")
    merge(tmp_path / "run", tmp_path / "merged")
    AutoModelForCausalLM.from_pretrained(tmp_path / "merged")


def test_an_adapter_without_new_rows_is_one_for_others_too(
    small_stock: Path, small_corpus: Path, tmp_path: Path
) -> None:
    stock = put_model(small_stock, tmp_path / "stock", tiny_model("llama", tied=True, rows=640))
    command = ["train", str(stock), "--data", str(small_corpus), "-o", str(tmp_path / "run"), "--set", "device=cpu"]
    command += ["--characters", "400", "--dtype", "float32", "--context", "24", "--batch", "2"]
    made = CliRunner().invoke(app, command)
    assert made.exit_code == 0, made.output
    assert "PEFT" not in made.output
    AutoModelForCausalLM.from_pretrained(tmp_path / "run")


def test_merging_tells_who_passes_over_units_that_are_only_read(read: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["merge", str(read), "-o", str(tmp_path / "merged")])
    assert done.exit_code == 0, done.output
    assert "allowed_token_ids" in done.output


def test_set_reaches_what_other_options_have_a_default_for(model: Path, small_corpus: Path, tmp_path: Path) -> None:
    command = ["train", str(model), "--data", str(small_corpus), "-o", str(tmp_path / "x"), "--json", "--context", "24"]
    command += ["--characters", "400", "--set", "batch=2", "--set", "dtype=float32", "--set", "rows_only=true"]
    command += ["--set", "device=cpu"]
    made = CliRunner().invoke(app, command)
    assert made.exit_code == 0, made.output
    recipe = json.loads(made.stdout)["recipe"]["options"]
    assert (recipe["dtype"], recipe["rows_only"]) == ("float32", True)
