"""Training over processes: killed from outside and resumed, and spread over two by accelerate, whole or by FSDP."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("peft")

import torch
from safetensors.torch import load_file
from tiny_models import put_model, tiny_model

from hypertok.artifact import read_manifest
from hypertok.model.config import TRAINED
from hypertok.tokenizer.hyper import HyperTokenizer

pytestmark = pytest.mark.slow
REPOSITORY = Path(__file__).resolve().parents[1]
ARGUMENTS = ["--characters", "960", "--dtype", "float32", "--context", "24", "--batch", "2"]
ARGUMENTS += ["--set", "device=cpu", "--set", "save_every=2", "--set", "log_every=1"]

# With --cpu accelerate starts one process unless mpirun is there; this way torchrun starts two. A precision that a
# user's configuration of accelerate names is not ours.
LAUNCH = ["-m", "accelerate.commands.accelerate_cli", "launch", "--multi_gpu", "--num_processes", "2"]
LAUNCH += ["--num_machines", "1", "--mixed_precision", "bf16", "--dynamo_backend", "no", "--main_process_port", "0"]
FSDP = ["-m", "accelerate.commands.accelerate_cli", "launch", "--num_processes", "2", "--main_process_port", "0"]
FSDP += ["--config_file", str(REPOSITORY / "experiments" / "fsdp.yaml"), str(Path(__file__).parent / "fsdp_on_cpu.py")]


@pytest.fixture(scope="module")
def model(sound_extension: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("processes") / "model"
    rows = HyperTokenizer.from_pretrained(sound_extension).rows
    return put_model(sound_extension, folder, tiny_model("llama", tied=True, rows=rows))


def command(model: Path, corpus: Path, output: Path, *more: str) -> list[str]:
    adapter = [] if "--reading" in more else ["--lora", "r=4"]
    begin = ["-m", "hypertok", "train", str(model), "--data", str(corpus), "-o", str(output)]
    return [*begin, *ARGUMENTS, *adapter, *more]


def run(*arguments: str, fails: bool = False, **environment: str) -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=False, env=environment, timeout=280
    )
    assert (done.returncode != 0) == fails, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What a run is told to look at held-out text after every step."""
    held = tmp_path_factory.mktemp("held")
    (held / "text.txt").write_text(
        "Река текла мимо дома, вода в ней была холодной, и кот не пил её.\n", encoding="utf-8"
    )
    return ["--held-out", str(held), "--set", "evaluate_every=1"]


@pytest.fixture(scope="module")
def one(model: Path, small_corpus: Path, evaluated: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process trains that accumulates two batches."""
    folder = tmp_path_factory.mktemp("one") / "one"
    run(*command(model, small_corpus, folder, "--accumulate", "2", *evaluated))
    return folder


def test_two_processes_train_what_one_does(
    model: Path, one: Path, small_corpus: Path, evaluated: list[str], tmp_path: Path
) -> None:
    """Two processes with a batch each are one process that accumulates two batches."""
    told = run(*LAUNCH, *command(model, small_corpus, tmp_path / "two", *evaluated, "--json"))
    assert json.loads(told)["facts"]["processes"] == 2, "one of them tells"
    assert_two_did_what_one_did(model, one, tmp_path / "two")


def test_two_processes_train_units_to_be_read_as_one_does(
    model: Path, small_corpus: Path, evaluated: list[str], tmp_path: Path
) -> None:
    """Their batches have different numbers of tokens that are predicted."""
    reading = ["--reading", *evaluated]
    run(*command(model, small_corpus, tmp_path / "one", "--accumulate", "2", *reading))
    run(*LAUNCH, *command(model, small_corpus, tmp_path / "two", *reading))
    assert_two_did_what_one_did(model, tmp_path / "one", tmp_path / "two", reads=True)


def test_fsdp_breaks_off_resumes_and_trains_what_one_process_does(
    model: Path, one: Path, small_corpus: Path, evaluated: list[str], tmp_path: Path
) -> None:
    """The driver sees that everything is spread, and frozen parameters keep their bits."""
    _, _, *two = command(model, small_corpus, tmp_path / "two", *evaluated)
    run(*FSDP, *two, fails=True, STOP_AT="3")
    assert not (tmp_path / "two").exists()
    checkpoint = tmp_path / "two.work" / "checkpoint-2"
    assert (checkpoint / "complete").is_file()
    assert not [
        name for name in load_file(checkpoint / "trained.safetensors") if "lora_" not in name and ".rows." not in name
    ]
    assert not list(checkpoint.glob("pytorch_model*")), "the frozen model is in the checkpoint"
    run(*FSDP, *two, "--resume")
    assert_two_did_what_one_did(model, one, tmp_path / "two")


def test_fsdp_trains_units_of_an_untied_model_to_be_read(
    sound_extension: Path, small_corpus: Path, evaluated: list[str], tmp_path: Path
) -> None:
    """Rows for writing are frozen, and spread like all others."""
    rows = HyperTokenizer.from_pretrained(sound_extension).rows
    model = put_model(sound_extension, tmp_path / "model", tiny_model("llama", tied=False, rows=rows))
    run(*command(model, small_corpus, tmp_path / "one", "--accumulate", "2", "--reading", *evaluated))
    _, _, *two = command(model, small_corpus, tmp_path / "two", "--reading", *evaluated)
    run(*FSDP, *two)
    assert_two_did_what_one_did(model, tmp_path / "one", tmp_path / "two", reads=True)


def assert_two_did_what_one_did(model: Path, one: Path, two: Path, *, reads: bool = False) -> None:
    facts = [read_manifest(folder, TRAINED).facts for folder in (one, two)]
    assert [fact["processes"] for fact in facts] == [1, 2]
    assert facts[0]["steps"] == facts[1]["steps"] > 2
    assert facts[0].keys() == facts[1].keys()
    judged = "eval_loss" if reads else "eval_bpc"
    assert facts[1][judged] == pytest.approx(facts[0][judged], abs=1e-4)
    for name in ("new_rows.safetensors",) if reads else ("new_rows.safetensors", "adapter_model.safetensors"):
        expected, found = load_file(one / name), load_file(two / name)
        assert found.keys() == expected.keys()
        for key, tensor in expected.items():
            torch.testing.assert_close(found[key], tensor, rtol=0, atol=1e-4)
    rows = load_file(one / "new_rows.safetensors")
    start = load_file(model / "model.safetensors")["model.embed_tokens.weight"][rows["ids"]]
    assert (rows["input"] - start).abs().max() > 1e-3, "rows that did not move prove nothing"


#: The command line, but in the step after the first checkpoint it says so and stands still for ever.
DRIVER = """
import sys, time
from hypertok.cli.main import main
from hypertok.training.trainer import RowsTrainer

training_step = RowsTrainer.training_step

def step_or_stand_still(self, *arguments):
    if self.state.global_step == 3:
        print("under way", flush=True)
        time.sleep(600)
    return training_step(self, *arguments)

RowsTrainer.training_step = step_or_stand_still
main()
"""


def test_killed_and_resumed_is_the_same(
    model: Path, one: Path, small_corpus: Path, evaluated: list[str], tmp_path: Path
) -> None:
    started = command(model, small_corpus, tmp_path / "killed", "--accumulate", "2", *evaluated)
    _, _, *arguments = started
    with subprocess.Popen(
        [sys.executable, "-c", DRIVER, *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as process:  # fmt: skip
        assert process.stdout
        assert "under way\n" in process.stdout, "ended before it could be killed"
        process.send_signal(signal.SIGKILL)
    assert [path.name for path in (tmp_path / "killed.work").glob("checkpoint-*")] == ["checkpoint-2"]
    assert not (tmp_path / "killed").exists()
    run(*started, "--resume")
    for name in ("new_rows.safetensors", "adapter_model.safetensors"):
        assert (tmp_path / "killed" / name).read_bytes() == (one / name).read_bytes(), name
