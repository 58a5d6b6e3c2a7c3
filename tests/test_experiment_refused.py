"""What an experiment refuses before anything is trained: held-out text in training, missing or too little input."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

pytest.importorskip("peft")

from small_experiments import HELD_OUT, definition, put_inputs

from hypertok.errors import ArtifactError, InputError
from hypertok.experiment.results import Results
from hypertok.experiment.run import Experiment
from hypertok.lexicon.lexicon import Lexicon

#: Continued BPE alone, which is learned in no time.
AB = """
lines = ["characters", "compute"]
[arms.stock]
stock = true
[arms.control.tokenizer]
units = "bpe"
"""
Inputs = dict[str, Path | None]


@pytest.fixture(scope="module")
def inputs(
    small_stock: Path, small_lexicon: Lexicon, small_corpus: Path, tmp_path_factory: pytest.TempPathFactory
) -> Inputs:
    return put_inputs(tmp_path_factory.mktemp("inputs"), small_stock, small_lexicon.folder, small_corpus)


@pytest.mark.parametrize("part", ["document", "paragraphs"])
def test_held_out_text_in_the_training_text_is_refused(
    inputs: Inputs, small_corpus: Path, tmp_path: Path, part: str
) -> None:
    shutil.copytree(small_corpus, tmp_path / "corpus")
    leaked = HELD_OUT[1].upper() if part == "document" else f"Введение.\n\n  {HELD_OUT[1]}\n\nИ ещё кое-что."
    (tmp_path / "corpus" / "leak.txt").write_text(leaked, encoding="utf-8")
    path = definition(tmp_path / "experiments", "ab", AB)
    experiment = Experiment.from_toml(path, inputs={**inputs, "corpus": tmp_path / "corpus"})
    with pytest.raises(InputError, match=r"held-out document 1\.txt#0: the training text leak\.txt#0 .*take it out"):
        experiment.run()
    assert not experiment.output.exists()


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
