"""What a person writes behind a command reaches the function that does the work."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hypertok.cli import main
from hypertok.errors import InputError
from hypertok.lexicon.recipe import Recipe
from hypertok.measure.options import MeasureOptions
from hypertok.tokenizer.extend import ExtendOptions
from hypertok.training.options import LoraOptions, TrainOptions


class Reached(Exception):
    """Ends a command where its work would begin."""


@dataclass
class Call:
    """A command, the function that it calls, and what that is to be given."""

    command: str
    function: str
    given: tuple[Any, ...]
    named: dict[str, Any]


CALLS = (
    Call(
        "build-lexicon notes -o x.lexicon --min-count 2 --max-concepts 30 --no-phrases --min-phrase-count 5 "
        "--no-context --no-statistics --workers 4 --engine ray --base . --overrides mine.tsv",
        "hypertok.lexicon.build.build_lexicon",
        (
            Path("notes"),
            Path("x.lexicon"),
            Recipe(
                min_count=2, max_concepts=30, phrases=False, min_phrase_count=5, context=False, statistics=False
            ),
        ),
        {"base": Path(), "overrides": Path("mine.tsv"), "workers": 4, "engine": "ray"},
    ),
    Call(
        "extend stock n.lexicon -o out --rows 9 --span word --units bpe --general 0.5 --replace-unused en",
        "hypertok.tokenizer.extend.extend",
        (
            Path("stock"),
            Path("n.lexicon"),
            Path("out"),
            ExtendOptions(rows=9, span="word", units="bpe", general=0.5, replace_unused=("en",)),
        ),
        {},
    ),
    Call(
        "extend stock n.lexicon -o out --rows 9 --text symbols",
        "hypertok.tokenizer.extend.extend",
        (Path("stock"), Path("n.lexicon"), Path("out"), ExtendOptions(rows=9, text="symbols")),
        {},
    ),
    Call(
        "curve n.lexicon --tokenizer stock --corpus held --rows 4k --span word --units bpe --general 0.5",
        "hypertok.measure.curve.measure_curve",
        (Path("n.lexicon"), Path("stock"), Path("held"), [4000]),
        {"span": "word", "units": "bpe", "general": 0.5},
    ),
    Call(
        "verify out --against stock --lexicon n.lexicon --texts held --json",
        "hypertok.tokenizer.verify.verify",
        (Path("out"), Path("stock")),
        {"texts": Path("held"), "lexicon": Path("n.lexicon")},
    ),
    Call(
        "train m --data notes -o out --epochs 3 --seed 7 --context 64 --batch 2 --accumulate 5 --dtype float32 "
        "--lora r=4 --report-to tensorboard --characters 99 --set rows_lr=0.5 --held-out held --resume",
        "hypertok.training.train.train",
        (
            Path("m"),
            Path("notes"),
            Path("out"),
            TrainOptions(
                epochs=3, seed=7, context=64, batch=2, accumulate=5, dtype="float32", lora=LoraOptions(r=4),
                report_to="tensorboard", characters=99, rows_lr=0.5,
            ),
        ),
        {"held_out": Path("held"), "resume": True},
    ),
    Call(
        "train m --data notes -o out --reading",
        "hypertok.training.train.train",
        (Path("m"), Path("notes"), Path("out"), TrainOptions(reading=True, rows_only=True)),
        {"held_out": None, "resume": False},
    ),
    Call(
        "merge t -o out --model m --dtype float32",
        "hypertok.model.merge.merge",
        (Path("t"), Path("out")),
        {"model": Path("m"), "dtype": "float32"},
    ),
)  # fmt: skip


@pytest.mark.parametrize("call", CALLS, ids=lambda call: " ".join(call.command.split()[:1] + call.command.split()[-1:]))
def test_options_reach_the_work(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def work(*given: Any, **named: Any) -> None:
        raise Reached(given, named)

    monkeypatch.setattr(call.function, work)
    monkeypatch.chdir(tmp_path)
    for name in ("stock", "notes", "held"):
        (tmp_path / name).mkdir()
    (tmp_path / "mine.tsv").touch()
    done = CliRunner().invoke(main.app, call.command.split())
    assert isinstance(done.exception, Reached), (done.exception, done.output)
    given, named = done.exception.args
    assert given == call.given
    told = {name: value for name, value in named.items() if name not in ("progress", "skipped", "tell")}
    assert told == call.named


def test_no_run_at_all_is_not_taken_for_every_run(tmp_path: Path) -> None:
    """A variable of the shell that is not set, say; all runs are days."""
    done = CliRunner().invoke(main.app, ["experiment", "run", str(tmp_path / "ab.toml"), "--only", ""])
    assert isinstance(done.exception, InputError)
    assert '--only "": names no run; leave it out' in str(done.exception)


def test_options_of_measuring_reach_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is given texts, which are read as they are asked for."""

    def work(folder: Path, texts: Any, options: MeasureOptions, **named: Any) -> None:
        raise Reached(folder, list(texts), options)

    monkeypatch.setattr("hypertok.measure.model.measure_model", work)
    held = tmp_path / "held.txt"
    held.write_text("Кот спит на тёплой печке.", encoding="utf-8")
    command = ["measure", "m", "--text", str(held), "--card", "80", "--samples", "3", "--device", "cpu", "--seed", "5"]
    command += ["--context", "64", "--dtype", "float32", "--only", "quality,memory", "--characters", "8"]
    done = CliRunner().invoke(main.app, command)
    assert isinstance(done.exception, Reached), (done.exception, done.output)
    wanted = MeasureOptions(
        cards=(80,), samples=3, device="cpu", seed=5, context=64, dtype="float32", parts=("quality", "memory")
    )
    assert done.exception.args == (Path("m"), ["Кот спит"], wanted)
