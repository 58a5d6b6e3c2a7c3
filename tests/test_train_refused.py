"""What training refuses, before it begins and on the way: another run, other files, no numbers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("peft")

from proofs import artefact
from tiny_models import put_model, tiny_model
from trained_models import QUICK, READING, Interrupt, model_folder
from transformers import GPT2Config, GPT2LMHeadModel, Mistral3Config, TrainerCallback
from typer.testing import CliRunner

from hypertok.cli.main import app
from hypertok.errors import ArtifactError, InputError
from hypertok.model.load import check_kind
from hypertok.model.merge import merge
from hypertok.model.pair import Pair
from hypertok.model.trained import attach
from hypertok.replacing import alone
from hypertok.tokenizer.stock import Stock
from hypertok.training.adapter import add_adapter
from hypertok.training.checks import check_positions, estimate
from hypertok.training.options import LoraOptions, read_options
from hypertok.training.train import train
from hypertok.training.trainer import Diverged
from hypertok.training.work_folder import begin, refuse_other_run, refuse_output


class Poison(TrainerCallback):
    """Makes a weight NaN before a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_begin(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        if state.global_step == self.step:
            for parameter in model.parameters():
                if parameter.requires_grad:
                    parameter.data.fill_(float("nan"))


def test_only_the_same_run_is_resumed(model: Path, small_corpus: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(model, small_corpus, output, QUICK, callbacks=[Interrupt(3)])
    with pytest.raises(ArtifactError, match=r"rows_lr 0.005, now it is 0.1"):
        train(model, small_corpus, output, QUICK.model_copy(update={"rows_lr": 0.1}), resume=True)
    with pytest.raises(ArtifactError, match=r"compile False, now it is True"):
        train(model, small_corpus, output, QUICK.model_copy(update={"compile": True}), resume=True)
    (tmp_path / "other.txt").write_text("Совсем другой текст о домах и дорогах. " * 40, encoding="utf-8")
    with pytest.raises(ArtifactError, match="corpus"):
        train(model, tmp_path / "other.txt", output, QUICK, resume=True)


def test_an_option_that_was_left_out_on_one_side_is_named(tmp_path: Path) -> None:
    with_text = {"options": {"seed": 0, "repeats": 0.0}, "parents": {"corpus": "a", "held_out": "b"}}
    without = {**with_text, "parents": {"corpus": "a"}}
    for before, now, says in ((with_text, without, "held_out 'b', now it is None"), (without, with_text, "it is 'b'")):
        work = tmp_path / says.split()[-1]
        assert begin(work, tmp_path / "run", before) is None
        with pytest.raises(ArtifactError, match=says):
            refuse_other_run(work, now)
        refuse_other_run(work, before)


def test_a_run_that_does_not_begin_is_not_in_the_way(
    model: Path, small_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hypertok.training.train.prepare", None)
    for _ in range(2):
        with pytest.raises(TypeError):
            train(model, small_corpus, tmp_path / "run", QUICK)
    assert not (tmp_path / "run.work").exists()
    (tmp_path / "run.work").mkdir()
    refuse_output(tmp_path / "run", tmp_path / "run.work", resume=False)
    monkeypatch.setattr("hypertok.training.tensorboard.find_spec", lambda name: None)
    with pytest.raises(InputError, match="report_to tensorboard: not installed"):
        train(model, small_corpus, tmp_path / "run", QUICK.model_copy(update={"report_to": "tensorboard"}))


def test_an_output_inside_the_texts_is_refused(model: Path, small_corpus: Path, tmp_path: Path) -> None:
    for data, held in ((tmp_path, None), (small_corpus, tmp_path)):
        with pytest.raises(InputError, match="inside the corpus"):
            train(model, data, tmp_path / "run", QUICK, held_out=held)


def test_blocks_longer_than_the_table_of_positions_are_refused(
    small_stock: Path, small_corpus: Path, tmp_path: Path
) -> None:
    config = GPT2Config(vocab_size=640, n_positions=8, n_embd=32, n_layer=2, n_head=4, bos_token_id=1, eos_token_id=2)
    folder = put_model(small_stock, tmp_path / "gpt2", GPT2LMHeadModel(config))
    with pytest.raises(InputError, match=r"context 10: .*gpt2 has a table of 8 positions"):
        train(folder, small_corpus, tmp_path / "run", QUICK)
    check_positions(folder, 8)
    assert estimate(Pair.open(folder), QUICK).activations > 0, "GPT-2 counts its layers by n_layer"


def test_nan_stops_with_the_last_good_checkpoint_named(model: Path, small_corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(
        Diverged, match=r"the loss is nan at step 4; last good checkpoint: .*run\.work/checkpoint-2"
    ) as told:
        train(model, small_corpus, tmp_path / "run", QUICK, callbacks=[Poison(3)])
    assert str(told.value).endswith(f"lower rows_lr and lora_lr, remove {tmp_path / 'run.work'} and start again")
    assert not (tmp_path / "run").exists()
    with pytest.raises(Diverged, match="no checkpoint was written yet"):
        train(model, small_corpus, tmp_path / "again", QUICK, callbacks=[Poison(0)])


def test_model_and_tokenizer_that_do_not_belong_together(
    sound_extension: Path, small_corpus: Path, tmp_path: Path
) -> None:
    short = put_model(sound_extension, tmp_path / "short", tiny_model("llama", tied=True, rows=640))
    with pytest.raises(InputError, match="do not belong together"):
        train(short, small_corpus, tmp_path / "run", QUICK)
    with pytest.raises(InputError, match=r"no weights|no such|config"):
        train(sound_extension, small_corpus, tmp_path / "run", QUICK)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"vocab_size": 700}, r"vocab_size is 700 and the matrix has 640 rows; correct it, or download the model"),
        ({"vocab_size": "640"}, r"Field 'vocab_size' expected int, got str|vocab_size is '640' and the matrix"),
        ({"hidden_size": 64}, r"config\.json: says other sizes than the weights beside it have"),
    ],
)
def test_a_stock_model_whose_configuration_is_not_that_of_its_weights(
    changes: dict[str, Any], why: str, small_stock: Path, small_corpus: Path, tmp_path: Path
) -> None:
    folder = put_model(small_stock, tmp_path / "model", tiny_model("llama", tied=True, rows=640))
    config = json.loads((folder / "config.json").read_bytes())
    (folder / "config.json").write_text(json.dumps(config | changes), encoding="utf-8")
    with pytest.raises(InputError, match=why):
        train(folder, small_corpus, tmp_path / "run", QUICK)


def test_what_was_trained_is_merged_into_its_own_model(
    model: Path, small_stock: Path, small_corpus: Path, tmp_path: Path
) -> None:
    trained = tmp_path / "trained"
    train(model, small_corpus, trained, QUICK)
    among = artefact(tmp_path / "tokenizer", Stock.load(small_stock), "phrase", ("ru", "en"))
    with pytest.raises(ArtifactError, match="not the model that"):
        merge(trained, tmp_path / "merged", model=model_folder(among, tmp_path / "other"))
    shutil.copytree(model, tmp_path / "moved")
    merge(trained, tmp_path / "merged", model=tmp_path / "moved")
    with pytest.raises(ArtifactError, match="of kind 'adapter', and only 'tokenizer' is replaced"):
        merge(trained, shutil.copytree(trained, tmp_path / "second"))
    (trained / "new_rows.safetensors").write_bytes(b"")
    with pytest.raises(ArtifactError, match="damaged"):
        merge(trained, tmp_path / "again")


def test_what_is_in_the_way_is_not_overwritten(model: Path, small_corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("нужно", encoding="utf-8")
    with pytest.raises(ArtifactError, match="not a hypertok artefact"):
        train(model, small_corpus, tmp_path / "mine", QUICK)
    (tmp_path / "book.work").mkdir()
    (tmp_path / "book.work" / "chapter.txt").write_text("нужно", encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"book\.work: exists and is no unfinished run"):
        train(model, small_corpus, tmp_path / "book", QUICK, resume=True)
    assert (tmp_path / "book.work" / "chapter.txt").is_file()
    with pytest.raises(ArtifactError, match="of kind 'tokenizer', and only 'adapter' is replaced"):
        train(model, small_corpus, model, QUICK)


def test_leaks_are_refused_from_the_outside_too(model: Path, small_corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="held-out document"):
        train(model, small_corpus, tmp_path / "run", QUICK, held_out=small_corpus / "03.txt")


def test_a_kind_that_transformers_has_no_language_model_for(tmp_path: Path) -> None:
    Mistral3Config().save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"mistral3: transformers loads no causal language model of this kind"):
        check_kind(tmp_path)


def test_looks_at_held_out_text_want_some(model: Path, small_corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no held-out text to evaluate on; name some"):
        train(model, small_corpus, tmp_path / "run", QUICK.model_copy(update={"evaluate_every": 2}))
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(("reading", "given"), [(True, "reading .--reading."), (False, "rows_only .--rows-only.")])
def test_rows_alone_cannot_be_trained_of_a_stock_model(
    reading: bool, given: str, small_stock: Path, small_corpus: Path, tmp_path: Path
) -> None:
    folder = put_model(small_stock, tmp_path / "stock", tiny_model("llama", tied=True, rows=640))
    options = (READING if reading else QUICK).model_copy(update={"rows_only": True})
    with pytest.raises(
        InputError, match=rf"stock: a stock model has no new rows, and {given}.*hypertok extend \S*stock "
    ):
        train(folder, small_corpus, tmp_path / "run", options)


def test_rows_of_other_matrices_are_refused_by_name(
    model: Path, sound_extension: Path, small_corpus: Path, tmp_path: Path
) -> None:
    train(model, small_corpus, tmp_path / "run", QUICK.model_copy(update={"characters": 200}))
    untied = model_folder(sound_extension, tmp_path / "untied", tied=False)
    with pytest.raises(
        ArtifactError, match=r"new_rows\.safetensors: has new rows for input, .* for input and output; use"
    ):
        attach(Pair.open(untied).load("float32"), tmp_path / "run")


def test_one_process_trains_into_a_place(model: Path, small_corpus: Path, tmp_path: Path) -> None:
    with alone(tmp_path / "run.work"), pytest.raises(ArtifactError, match=r"run\.work: another process is making it"):
        train(model, small_corpus, tmp_path / "run", QUICK, resume=True)
    assert list(tmp_path.iterdir()) == []


def test_options_are_checked() -> None:
    assert LoraOptions.parse("r=8,alpha=16,dora") == LoraOptions(r=8, alpha=16, dora=True)
    assert LoraOptions.parse("targets=q_proj+v_proj,r=8") == LoraOptions(r=8, targets=("q_proj", "v_proj"))
    # None of them, one of several, half a name; a head is no layer inside.
    for targets in (("nonsense",), ("q_proj", "nonsense"), ("proj",), ("lm_head",), ("q_proj", "lm_head")):
        wrong = f"lora targets={targets[-1]}: no layer inside has this name; name some of down_proj, .*, q_proj, up_p"
        with pytest.raises(InputError, match=wrong) as refused:
            add_adapter(tiny_model("llama", tied=True), LoraOptions(r=8, targets=targets))
        assert "lm_head" not in str(refused.value).partition(";")[2]
    add_adapter(GPT2LMHeadModel(GPT2Config(n_embd=8, n_layer=1, n_head=2)), LoraOptions(r=8, targets=("c_attn",)))
    with pytest.raises(InputError, match="lora r: r has no value"):
        LoraOptions.parse("r")
    with pytest.raises(InputError, match=r"^options: report_to=tensorbord: Input should be 'none' or 'tensorboard'$"):
        read_options({"report_to": "tensorbord"})
    with pytest.raises(InputError, match=r"rows_rate: no such name; known are rows, rows_only"):
        read_options({"rows_rate": "1"})
    with pytest.raises(
        InputError, match=r"^options: rows_only \(--rows-only\) trains no adapter; leave lora \(--lora\)"
    ):
        read_options({"rows_only": True, "lora": LoraOptions(r=8)})
    with pytest.raises(InputError, match=r"^options: reading \(--reading\) trains no adapter"):
        read_options({"rows_only": True, "reading": True, "lora": LoraOptions(r=8)})
    with pytest.raises(InputError, match=r"rank: no such name; known are r, alpha, dora, dropout, targets; write it"):
        LoraOptions.parse("rank=8")
    with pytest.raises(InputError, match=r"^lora r=0: r=0: Input should be greater than or equal to 1; write it"):
        LoraOptions.parse("r=0")


def test_a_missing_extra_is_named(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hypertok.model.extra.find_spec", lambda name: None)
    done = CliRunner().invoke(app, ["merge", str(model), "-o", str(tmp_path / "merged")])
    assert isinstance(done.exception, InputError)
    assert "hypertok-concepts[train]" in str(done.exception)
