"""What an experiment refuses before anything is trained: held-out text in training, missing or too little input."""

from __future__ import annotations

import shutil
import threading
import time
import unicodedata
from pathlib import Path

import pytest

pytest.importorskip("peft")

from small_experiments import HELD_OUT, STOCK_AND_CONTROL, Inputs, definition

from hypertok.corpus.identity import identity_of
from hypertok.errors import ArtifactError, InputError
from hypertok.experiment.leaks import find_leaks
from hypertok.experiment.results import Results
from hypertok.experiment.run import Experiment
from hypertok.replacing import alone
from hypertok.training.data import Text


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
    path = definition(tmp_path / "experiments", "ab", STOCK_AND_CONTROL + measured)
    experiment = Experiment.from_toml(path, inputs={**inputs, "corpus": tmp_path / "corpus", "held_out": held_out})
    with pytest.raises(InputError, match=r"held-out document 1\.txt#0: the training text leak\.txt#0 .*take it out"):
        experiment.run()
    assert not experiment.output.exists()


def test_results_do_not_lie_in_the_texts(inputs: Inputs, tmp_path: Path) -> None:
    corpus = shutil.copytree(inputs["corpus"], tmp_path / "corpus")  # type: ignore[arg-type]
    path = definition(tmp_path / "experiments", "ab", STOCK_AND_CONTROL)
    experiment = Experiment.from_toml(path, inputs={**inputs, "corpus": corpus}, output=corpus / "results")
    with pytest.raises(InputError, match=r"lies inside the corpus .* name an output outside it"):
        experiment.run()


def test_too_many_rows_are_told_in_the_words_of_a_definition(inputs: Inputs, tmp_path: Path) -> None:
    path = definition(tmp_path / "experiments", "ab", STOCK_AND_CONTROL + "[tokenizer]\nrows = 900_000\n")
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
    path = definition(tmp_path / "experiments", "ab", STOCK_AND_CONTROL)
    defaults = path.with_name("defaults.toml")
    small = defaults.read_text(encoding="utf-8").splitlines()
    kept = [line for line in small if line not in ("context = 64", "overlap = 16", 'device = "cpu"')]
    defaults.write_text("\n".join([*kept, measure]), encoding="utf-8")
    with pytest.raises(InputError, match=message):
        Experiment.from_toml(path, inputs={**inputs, "pairs": tmp_path / "bad.jsonl"}).run()
    assert not (tmp_path / "experiments" / "results").exists()


def test_what_is_missing_or_too_little_is_named(inputs: Inputs, tmp_path: Path) -> None:
    path = definition(tmp_path / "experiments", "ab", STOCK_AND_CONTROL)
    with pytest.raises(InputError, match=r"inputs\.lexicon is not given; name it with --lexicon"):
        Experiment.from_toml(path, inputs={**inputs, "lexicon": None}).run()
    with pytest.raises(InputError, match=r"inputs\.held_out: .*nowhere is not there"):
        Experiment.from_toml(path, inputs={**inputs, "held_out": tmp_path / "nowhere"}).run()
    much = definition(tmp_path / "experiments", "much", STOCK_AND_CONTROL)
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
    (tmp_path / "mine" / "experiment.toml").write_text(STOCK_AND_CONTROL, encoding="utf-8")
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
