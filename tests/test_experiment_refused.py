"""What an experiment refuses before anything is trained: held-out text in training, missing or too little input."""

from __future__ import annotations

import json
import shutil
import threading
import time
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("peft")

import torch
from safetensors.torch import save_file
from small_experiments import HELD_OUT, Inputs, definition

from hypertok.artifact import seal
from hypertok.corpus.identity import identity_of
from hypertok.errors import ArtifactError, InputError
from hypertok.experiment.definition import Arm, Definition
from hypertok.experiment.inputs import Read
from hypertok.experiment.leaks import find_leaks
from hypertok.experiment.results import Results
from hypertok.experiment.run import Experiment
from hypertok.experiment.runner import Planned, Runner
from hypertok.experiment.training import (
    Spent,
    _seconds,
    deciding,
    equal_compute,
    product_parameters,
    spent,
    trained_folder,
)
from hypertok.model.checkpoint import Checkpoint
from hypertok.replacing import alone
from hypertok.tokenizer.kind import KIND
from hypertok.training.data import Text
from hypertok.training.options import TrainOptions

#: Continued BPE alone, which is learned in no time.
AB = """
lines = ["characters", "compute"]
[arms.stock]
stock = true
[arms.control.tokenizer]
units = "bpe"
"""


@pytest.mark.parametrize("part", ["document", "paragraphs", "beginning"])
def test_held_out_text_in_the_training_text_is_refused(
    inputs: Inputs, small_corpus: Path, tmp_path: Path, part: str
) -> None:
    shutil.copytree(small_corpus, tmp_path / "corpus")
    leaked = HELD_OUT[1].upper() if part == "document" else f"Введение.\n\n  {HELD_OUT[1]}\n\nИ ещё кое-что."
    (tmp_path / "corpus" / "leak.txt").write_text(leaked, encoding="utf-8")
    held_out = inputs["held_out"]
    if part == "beginning":  # a book of which nothing but the page that is measured is in the training text
        assert held_out is not None
        held_out = shutil.copytree(held_out, tmp_path / "held-out")
        rest = "\n\n".join(f"Глава {number}. " + "Дождь шёл три дня, и дорогу размыло. " * 9 for number in range(9))
        (held_out / "1.txt").write_text(f"{HELD_OUT[1]}\n\n{rest}", encoding="utf-8")
    measured = f"[measure]\ndocument_characters = {len(HELD_OUT[1])}\n"
    path = definition(tmp_path / "experiments", "ab", AB + measured)
    experiment = Experiment.from_toml(path, inputs={**inputs, "corpus": tmp_path / "corpus", "held_out": held_out})
    with pytest.raises(InputError, match=r"held-out document 1\.txt#0: the training text leak\.txt#0 .*take it out"):
        experiment.run()
    assert not experiment.output.exists()


def test_results_do_not_lie_in_the_texts(inputs: Inputs, tmp_path: Path) -> None:
    corpus = shutil.copytree(inputs["corpus"], tmp_path / "corpus")  # type: ignore[arg-type]
    path = definition(tmp_path / "experiments", "ab", AB)
    experiment = Experiment.from_toml(path, inputs={**inputs, "corpus": corpus}, output=corpus / "results")
    with pytest.raises(InputError, match=r"lies inside the corpus .* name an output outside it"):
        experiment.run()


def test_too_many_rows_are_told_in_the_words_of_a_definition(inputs: Inputs, tmp_path: Path) -> None:
    path = definition(tmp_path / "experiments", "ab", AB + "[tokenizer]\nrows = 900_000\n")
    with pytest.raises(InputError, match=r"arms\.control: 900000 new rows, and .* lower rows in \[tokenizer\]"):
        Experiment.from_toml(path, inputs=inputs).run()


def test_paragraphs_are_compared_whole_and_normalised() -> None:
    """The page that is measured ends inside a paragraph, and the copy has its letters in two code points each."""
    paragraph = "Ёжик шёл домой и нёс ёлку, а за ним бежал рыжий пёс. " * 9
    rest = "\n".join(f"{number}. " + "Совсем другой текст. " * 20 for number in range(9))
    held = [Text("book", f"Глава\n{paragraph}\n{rest}", "a")]
    for copy in (paragraph, unicodedata.normalize("NFD", paragraph)):
        leaks, _, _ = find_leaks(held, [Text("site", f"Меню\n{copy}\nКонтакты", "b")], beginning=100)
        assert leaks.keys() == {"book"}
        assert not find_leaks(held, [Text("site", copy.replace("бежал", "плыл"), "b")], beginning=100)[0]
        assert not find_leaks(held, [Text("site", f"Меню\n{copy}", "b")], beginning=len("Глава\n"))[0]


def test_a_poem_of_short_lines_is_known_as_a_whole() -> None:
    """It has no long paragraph to be known by, and the copy has other letters."""
    poem = "\n".join(f"{number} зим прошло с тех пор" for number in range(20))
    held = [Text("poem", poem, identity_of(poem))]
    leaks, _, _ = find_leaks(held, [Text("site", poem.upper(), identity_of(poem.upper()))])
    assert leaks.keys() == {"poem"}
    assert "is the same text" in leaks["poem"]


def test_a_document_is_refused_from_half_of_its_paragraphs_on() -> None:
    chapters = [f"Глава {number}. " + "Дождь шёл три дня, и дорогу размыло. " * 9 for number in range(3)]
    training = [Text("site", chapters[0].upper(), "a")]
    leaks, _, _ = find_leaks([Text("book", "\n".join(chapters[:2]), "b")], training)
    assert "has 1 of its 2 long paragraphs" in leaks["book"]
    assert not find_leaks([Text("book", "\n".join(chapters), "b")], training)[0]


@pytest.mark.parametrize(
    ("measure", "message"),
    [
        ("context = 16\noverlap = 16", "overlap 16 does not go with context 16"),
        ("context = 4096", "context 4096 is more than the model's"),
        ('context = 64\noverlap = 16\nparts = ["pairs"]', r"bad\.jsonl:1: no JSON"),
        ('context = 64\noverlap = 16\ndevice = "cuda:99"', "device 'cuda:99' cannot be used here"),
    ],
)
def test_what_cannot_be_measured_is_found_before_training(
    inputs: Inputs, tmp_path: Path, measure: str, message: str
) -> None:
    (tmp_path / "bad.jsonl").write_text("да\n", encoding="utf-8")
    path = definition(tmp_path / "experiments", "ab", AB)
    defaults = path.with_name("defaults.toml")
    small = defaults.read_text(encoding="utf-8").splitlines()
    kept = [line for line in small if line not in ("context = 64", "overlap = 16", 'device = "cpu"')]
    defaults.write_text("\n".join([*kept, measure]), encoding="utf-8")
    with pytest.raises(InputError, match=message):
        Experiment.from_toml(path, inputs={**inputs, "pairs": tmp_path / "bad.jsonl"}).run()
    assert not (tmp_path / "experiments" / "results").exists()


def test_what_is_missing_or_too_little_is_named(inputs: Inputs, tmp_path: Path) -> None:
    path = definition(tmp_path / "experiments", "ab", AB)
    with pytest.raises(InputError, match=r"inputs\.lexicon is not given; name it with --lexicon"):
        Experiment.from_toml(path, inputs={**inputs, "lexicon": None}).run()
    with pytest.raises(InputError, match=r"inputs\.held_out: .*nowhere is not there"):
        Experiment.from_toml(path, inputs={**inputs, "held_out": tmp_path / "nowhere"}).run()
    much = definition(tmp_path / "experiments", "much", AB)
    text = much.read_text(encoding="utf-8")
    much.write_text("characters = 9_000_000\n" + text, encoding="utf-8")
    with pytest.raises(InputError, match="every arm is to read 9,000,000; lower characters"):
        Experiment.from_toml(much, inputs=inputs).run()
    characters = sum(len(file.read_text(encoding="utf-8")) for file in Path(str(inputs["corpus"])).iterdir())
    much.write_text(f"characters = {characters - 40}\n" + text, encoding="utf-8")
    with pytest.raises(InputError, match=r"arms\.control: at equal compute it reads .* the corpus has"):
        Experiment.from_toml(much, inputs=inputs).run()
    with pytest.raises(ArtifactError, match="no results here"):
        Results.load(tmp_path)


def test_folders_named_by_a_dot_are_those_folders(
    inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "defaults.toml").write_text("characters = 777", encoding="utf-8")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "experiment.toml").write_text(AB, encoding="utf-8")
    monkeypatch.chdir(tmp_path / "mine")
    found = Experiment.from_toml(".", inputs=inputs)
    assert (found.definition.name, found.definition.characters) == ("mine", 777)
    assert found.output == tmp_path / "results" / "mine"
    assert Experiment.from_toml(".", inputs=inputs, output=".").work == tmp_path / ".work"


def test_two_processes_make_a_folder_one_after_the_other(tmp_path: Path) -> None:
    told: list[str] = []
    order: list[str] = []
    inside = threading.Event()

    def first() -> None:
        with alone(tmp_path / "work" / "model", told.append):
            inside.set()
            late = time.monotonic() + 10
            while not told and time.monotonic() < late:  # the other one waits
                time.sleep(0.01)
            order.append("first")

    thread = threading.Thread(target=first, daemon=True)
    thread.start()
    assert inside.wait(10)
    with alone(tmp_path / "work" / "model", told.append):
        order.append("second")
    thread.join(10)
    assert order == ["first", "second"]
    assert told == [f"waiting for another process, which makes {tmp_path / 'work' / 'model'}"]


def test_equal_compute_counts_every_pass(inputs: Inputs) -> None:
    stock, ours = Spent(1000, 400, 10), Spent(1000, 250, 10)
    assert equal_compute("ours", ours, stock, 10_000) == 1600
    assert equal_compute("ours", replace(ours, tokens=2 * ours.tokens), stock, 10_000) == 800
    assert equal_compute("ours", ours, replace(stock, tokens=3 * stock.tokens), 10_000) == 4800
    model, corpus = inputs["model"], inputs["corpus"]
    assert model is not None
    assert corpus is not None
    once = spent(model, corpus, 300, 0)
    assert spent(model, corpus, 300, 0, epochs=2) == replace(once, tokens=2 * once.tokens)


def test_equal_compute_is_counted_on_all_that_is_read(
    inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the 900th character on the arm's tokens are shorter; by the first 900 it would read 1,800."""

    def counted(folder: Path, corpus: Path, characters: int, seed: int, epochs: int = 1) -> Spent:
        if folder == inputs["model"]:
            return Spent(characters, characters // 2, 10)
        return Spent(characters, characters // 4 + max(0, characters - 900) // 20, 10)

    monkeypatch.setattr("hypertok.experiment.runner.spent", counted)
    experiment = Experiment.from_toml(definition(tmp_path / "experiments", "ab", AB), inputs=inputs)
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
