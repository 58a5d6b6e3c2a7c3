"""Training amid what other machines, models and versions bring: links, settings, tokens, experts, dropout."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("peft")

import torch
from extended_models import MODELS
from safetensors.torch import load_file
from things import seal_again
from tiny_models import put_model, tiny_model
from trained_models import QUICK, READING, Interrupt, model_folder
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoConfig,
    GPTNeoForCausalLM,
    TrainerCallback,
)
from transformers.models.llama.modeling_llama import LlamaMLP

from hypertok.errors import ArtifactError
from hypertok.model.merge import merge
from hypertok.model.pair import Pair
from hypertok.model.split import new_rows, split_rows
from hypertok.training import reading_loss, work_folder
from hypertok.training.checks import estimate
from hypertok.training.data import make_blocks, read_texts
from hypertok.training.options import LoraOptions
from hypertok.training.reading import ReadingBlocks
from hypertok.training.reading_loss import ReadingModel
from hypertok.training.train import train
from hypertok.training.trainer import RowsTrainer, arguments

SHORT = QUICK.model_copy(update={"characters": 200})


def test_a_work_folder_may_be_a_link_to_another_disk(
    model: Path, small_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = tmp_path / "disk" / "work"
    disk.mkdir(parents=True)
    (tmp_path / "run.work").symlink_to(disk, target_is_directory=True)

    class Look(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            assert [path.name for path in disk.parent.iterdir()] == ["work"], "its lock is not of that disk"

    for seed in (0, 1):
        train(
            model,
            small_corpus,
            tmp_path / "run",
            SHORT.model_copy(update={"seed": seed}),
            resume=True,
            callbacks=[Look()],
        )
        assert not list(disk.parent.iterdir()), "nothing is left there"
    assert {path.name for path in tmp_path.iterdir()} == {"disk", "run", "run.work"}
    disk.mkdir()
    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", refused_for_disks)
        train(model, small_corpus, tmp_path / "run", SHORT.model_copy(update={"seed": 2}), resume=True)
    assert not list(disk.iterdir()), "and the root of a disk, which cannot be renamed, is emptied"


def test_an_old_checkpoint_that_a_scanner_has_open_ends_no_training(
    model: Path, small_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On Windows its folder cannot be removed then; without its mark it does not count any more."""
    remove, kept = shutil.rmtree, set[str]()

    def held(path: Path, ignore_errors: bool = False) -> None:
        if not Path(path).name.startswith("checkpoint-"):
            remove(path, ignore_errors=ignore_errors)
            return
        kept.add(Path(path).name)
        if not ignore_errors:
            raise PermissionError(errno.EACCES, "Access is denied")

    monkeypatch.setattr(shutil, "rmtree", held)
    train(model, small_corpus, tmp_path / "run", SHORT.model_copy(update={"save_every": 1, "keep": 1}))
    assert kept
    assert not (tmp_path / "run.work").exists()


def refused_for_disks(path: Path, target: Path) -> Path:
    """As the system refuses to rename where a disk is mounted."""
    if path.parent.name == "disk":
        raise OSError(errno.EBUSY, "Device or resource busy")
    os.rename(path, target)
    return target


def test_a_run_that_is_done_stays_whatever_made_it(
    model: Path, small_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Libraries are upgraded; results of older code tell no tokens."""
    done = train(model, small_corpus, tmp_path / "run", SHORT)
    parents = {role: sha for role, sha in done.manifest.parents.items() if role != "tokens"}
    older = seal_again(tmp_path / "run", parents=parents)
    monkeypatch.setattr(work_folder, "version", lambda name: "99.0")
    assert train(model, small_corpus, tmp_path / "run", SHORT, resume=True).manifest == older


def test_a_run_begun_by_code_that_told_no_tokens_goes_on(model: Path, small_corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(model, small_corpus, tmp_path / "run", QUICK, callbacks=[Interrupt(3)])
    begun = tmp_path / "run.work" / "run.json"
    content = json.loads(begun.read_bytes())
    del content["parents"]["tokens"]
    begun.write_text(json.dumps(content), encoding="utf-8")
    train(model, small_corpus, tmp_path / "run", QUICK, resume=True)


def test_a_run_is_not_resumed_with_other_tokens(small_stock: Path, small_corpus: Path, tmp_path: Path) -> None:
    """The token that ends a document stands in a file that is no part of the model's identity."""
    folder = put_model(small_stock, tmp_path / "stock", tiny_model("llama", tied=True, rows=640))
    with pytest.raises(KeyboardInterrupt):
        train(folder, small_corpus, tmp_path / "run", QUICK, callbacks=[Interrupt(3)])
    config, pair = folder / "tokenizer_config.json", Pair.open(folder)
    other = next(one for one in range(300, 640) if one != pair.separator)
    content = json.loads(config.read_bytes()) if config.is_file() else {}
    config.write_text(json.dumps(content | {"eos_token": pair.plain.tokenizer.id_to_token(other)}), encoding="utf-8")
    assert Pair.open(folder).separator == other
    with pytest.raises(ArtifactError, match="an unfinished run with tokens"):
        train(folder, small_corpus, tmp_path / "run", QUICK, resume=True)


@pytest.mark.parametrize("reading", [False, True])
def test_settings_of_generation_are_kept_though_transformers_refuses_to_save_them(
    sound_extension: Path, small_corpus: Path, tmp_path: Path, reading: bool
) -> None:
    """Vicuna's have a temperature and do not sample; others a padding id of -1."""
    folder = model_folder(sound_extension, tmp_path / "model")
    own = {"temperature": 0.9, "top_p": 0.6, "pad_token_id": -1, "suppress_tokens": [3], "eos_token_id": 2}
    (folder / "generation_config.json").write_text(json.dumps(own), encoding="utf-8")
    seal_again(folder)
    settings = AutoModelForCausalLM.from_pretrained(folder).generation_config
    settings.suppress_tokens = [4]  # older releases refuse what was not changed, too
    with pytest.raises(ValueError, match="invalid"):
        settings.save_pretrained(tmp_path / "refused")
    train(folder, small_corpus, tmp_path / "run", READING if reading else SHORT)
    merge(tmp_path / "run", tmp_path / "merged")
    units = list(Pair.open(folder).new_ids) if reading else []
    saved = json.loads((tmp_path / "merged" / "generation_config.json").read_bytes())
    assert saved == own | {"suppress_tokens": [3, *units]}


def test_layers_and_experts_are_counted_whatever_they_are_called(small_stock: Path, tmp_path: Path) -> None:
    """GPT-Neo's configuration has `num_layers`, and null for the width that it does not tell."""
    neo = GPTNeoConfig(
        vocab_size=640, hidden_size=32, num_layers=2, num_heads=4, attention_types=[[["global"], 2]],
        max_position_embeddings=64,
    )  # fmt: skip
    pair = Pair.open(put_model(small_stock, tmp_path / "neo", GPTNeoForCausalLM(neo)))
    assert pair.checkpoint.text_config["intermediate_size"] is None
    llama = Pair.open(put_model(small_stock, tmp_path / "llama", tiny_model("llama", tied=True, rows=640)))
    assert estimate(pair, QUICK).activations > estimate(llama, QUICK).activations > 0, "128 inside, not 48"

    config = MODELS["qwen3-moe"]().config
    experts = config.num_hidden_layers * config.num_experts * 3 * config.hidden_size * config.moe_intermediate_size
    config.vocab_size = 640
    opened = Pair.open(put_model(small_stock, tmp_path / "experts", AutoModelForCausalLM.from_config(config)))
    attention = QUICK.model_copy(update={"lora": LoraOptions(r=4, targets=("q_proj", "o_proj"))})
    few, every = estimate(opened, attention), estimate(opened, QUICK)
    assert every.activations - few.activations == experts * 4, "PEFT keeps adapted experts for the backward pass"
    assert every.adapter > few.adapter
    less = estimate(opened, QUICK.model_copy(update={"recompute": True}))
    assert less.activations < every.activations - experts, "of a layer at a time"


def test_the_teacher_drops_nothing_out(
    sound_extension: Path, small_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taught: list[torch.Tensor] = []

    def seen(hidden: torch.Tensor, teacher: torch.Tensor, head: Any) -> torch.Tensor:
        taught.append(teacher)
        return (hidden**2).sum()

    rows = Pair.open(model_folder(sound_extension, tmp_path / "any")).checkpoint.stock_rows
    config = GPT2Config(vocab_size=rows, n_positions=64, n_embd=32, n_layer=2, n_head=4, bos_token_id=1, eos_token_id=2)
    assert config.resid_pdrop > 0
    pair = Pair.open(put_model(sound_extension, tmp_path / "gpt2", GPT2LMHeadModel(config)))
    readings = ReadingBlocks.of(make_blocks(read_texts(small_corpus), pair, 24), pair.spelling, seed=None)
    item = {name: tensor[None] for name, tensor in readings[0].items()}
    live = ReadingModel(split_rows(pair.load("float32"), pair.new_ids))
    monkeypatch.setattr(reading_loss.Divergence, "apply", seen)
    for training in (True, True, False):
        live.train(training)
        live(**item)
        assert all(part.training == training for part in live.modules()), "the pupil is as it was"
    assert len(taught[0])
    assert torch.equal(taught[0], taught[1])
    assert torch.equal(taught[0], taught[2])


class FirstIds(TrainerCallback):
    """With which ids the blocks of a run begin."""

    seen: set[int]

    def on_train_begin(self, *told: Any, train_dataloader: Any = None, **kwargs: Any) -> None:
        self.seen = {int(ids[0]) for batch in train_dataloader for ids in batch["input_ids"]}


def test_blocks_of_a_run_begin_with_bos_unless_told_otherwise(
    extended_folder: Callable[..., Path], small_corpus: Path, tmp_path: Path
) -> None:
    folder, looks = model_folder(extended_folder("llama2"), tmp_path / "llama2"), [FirstIds(), FirstIds()]
    for bos, look in zip((True, False), looks, strict=True):
        train(folder, small_corpus, tmp_path / f"run{bos}", SHORT.model_copy(update={"bos": bos}), callbacks=[look])
    assert looks[0].seen == {1}
    assert len(looks[1].seen) > 1


def test_each_part_has_its_rate_and_rows_have_no_decay(model: Path, small_corpus: Path, tmp_path: Path) -> None:
    found: dict[str, tuple[float, float, set[bool]]] = {}

    class Look(TrainerCallback):
        def on_train_begin(
            self, args: Any, state: Any, control: Any, model: Any = None, optimizer: Any = None, **kwargs: Any
        ) -> None:
            names = {id(p): name for name, p in model.named_parameters()}
            for group in optimizer.param_groups:
                of_rows = {".table.rows." in names[id(p)] for p in group["params"]}
                found[group["name"]] = group["initial_lr"], group["weight_decay"], of_rows

    rates = {"rows_lr": 1e-2, "lora_lr": 1e-3, "weight_decay": 0.1}
    train(model, small_corpus, tmp_path / "run", SHORT.model_copy(update=rates), callbacks=[Look()])
    assert found == {"lora": (1e-3, 0.1, {False}), "rows": (1e-2, 0.0, {True})}


def test_recomputing_changes_the_time_alone(
    model: Path, small_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts, forward = [0, 0], LlamaMLP.forward

    def counted(self: LlamaMLP, x: torch.Tensor) -> torch.Tensor:
        counts[-1] += self.training
        return forward(self, x)

    monkeypatch.setattr(LlamaMLP, "forward", counted)
    for number, recompute in enumerate((False, True)):
        counts[-1] = 0
        train(model, small_corpus, tmp_path / f"run{number}", SHORT.model_copy(update={"recompute": recompute}))
        counts[number] = counts[-1]
    assert counts[1] == 2 * counts[0] > 0
    one, other = (load_file(tmp_path / name / "new_rows.safetensors") for name in ("run0", "run1"))
    torch.testing.assert_close(one["input"], other["input"], rtol=0, atol=1e-6)


def test_accelerates_configuration_does_not_change_the_arithmetic(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    assert arguments(QUICK, tmp_path, cpu=True, evaluates=False).mixed_precision == "no"


@pytest.mark.parametrize(("said", "told"), [("none", []), ("tensorboard", ["tensorboard"])])
def test_nothing_else_is_told_of_a_run_than_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, told: list[str]
) -> None:
    """transformers adds a server to "none" where one is named, as under Kubeflow."""
    monkeypatch.setenv("KUBEFLOW_TRAINER_SERVER_URL", "https://example.org")
    options = QUICK.model_copy(update={"report_to": said})
    assert arguments(options, tmp_path, cpu=True, evaluates=False).report_to == told


def test_rows_that_reading_leaves_alone_are_gathered_with_the_others(
    sound_extension: Path, small_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of an untied model the rows for writing; where parameters are spread each process has a part of them."""
    folder, gathered = model_folder(sound_extension, tmp_path / "model", tied=False), []
    trained = RowsTrainer.trained

    def look(self: RowsTrainer, *, rows: bool = False) -> dict[str, torch.Tensor]:
        found = trained(self, rows=rows)
        held = {name for name, p in self.inner.named_parameters() if ".table.rows." in f".{name}"}
        assert set(new_rows(self.inner)) == {"input", "output"}
        assert held > set(self.names)
        assert found.keys() == (held if rows else set(self.names))
        gathered.append(rows)
        return found

    monkeypatch.setattr(RowsTrainer, "trained", look)
    done = train(folder, small_corpus, tmp_path / "run", READING.model_copy(update={"characters": 600}))
    assert gathered[-1]
    assert False in gathered, "checkpoints hold what is trained alone"
    merge(done.folder, tmp_path / "merged")
