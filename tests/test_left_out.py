"""What cannot be read is listed with its reason on standard error, and the exit code is 3; the work is done first."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer
from conftest import SENTENCES, stock_folder
from measured_models import tiny_folder
from small_experiments import definition, put_inputs
from tiny_models import put_model, tiny_model
from typer.testing import CliRunner, Result

from hypertok.cli.console import EXIT_SKIPPED, fail, left_out
from hypertok.cli.main import app
from hypertok.corpus.documents import read_documents
from hypertok.errors import InputError
from hypertok.experiment.results import Results
from hypertok.lexicon.lexicon import Lexicon
from hypertok.measure.curve import measure_curve, parse_rows
from hypertok.training.data import read_texts


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Two texts, and files that are none: by name, by content, a link to nowhere; a picture and an empty one."""
    folder = tmp_path / "notes"
    (folder / "in").mkdir(parents=True)
    (folder / "a.txt").write_text(SENTENCES, encoding="utf-8")
    (folder / "in" / "b.txt").write_text(SENTENCES[600:], encoding="utf-8")
    (folder / "book.pdf").write_bytes(b"%PDF")
    (folder / "picture.png").write_bytes(b"\x89PNG")
    (folder / "in" / "table.parquet").write_bytes(b"PAR1 not a table at all PAR1")
    (folder / "empty.md").write_bytes(b"")
    (folder / "link.txt").symlink_to("nowhere.txt")
    return folder


LEFT_OUT = {
    "book.pdf": "binary: .pdf is a document to convert to text first",
    "in/table.parquet": "not a Parquet file that can be read",
    "link.txt": "dangling link to nowhere.txt",
}


def hypertok(*arguments: object) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)), env={"COLUMNS": "40"})


def check_told(result: Result, folder: Path) -> None:
    assert result.exit_code == EXIT_SKIPPED, (result.output, result.exception)
    told = [line for line in result.stderr.splitlines() if line.startswith("left out: ")]
    assert len(told) == len(LEFT_OUT)
    for name, reason in LEFT_OUT.items():
        assert [line for line in told if line.startswith(f"left out: {folder / name}: {reason}")], (name, told)


@pytest.mark.parametrize("read", [read_texts, read_documents])
def test_the_callback_is_told_and_texts_are_the_same(mixed: Path, read: Callable[..., Iterator[object]]) -> None:
    told: dict[str, str] = {}
    assert list(read(mixed, skipped=told.__setitem__)) == list(read(mixed))
    assert told.keys() == {str(mixed / name) for name in LEFT_OUT}
    for name, reason in LEFT_OUT.items():
        assert told[str(mixed / name)].startswith(reason)


@pytest.mark.parametrize("name", ["picture.png", "empty.md"])
def test_a_single_file_is_told_by_its_own_path(mixed: Path, name: str) -> None:
    """Whatever it is: text is expected of what was named."""
    told: dict[str, str] = {}
    assert list(read_documents(mixed / name, skipped=told.__setitem__)) == []
    assert list(told) == [str(mixed / name)]


@pytest.mark.parametrize("rank", ["0", "1"])
def test_under_a_launcher_the_first_lists_and_none_fails(
    rank: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with left_out() as skipped:
        skipped("a.png", "binary")
    assert capsys.readouterr().err == ("left out: a.png: binary\n" if rank == "0" else "")


def test_many_of_a_reason_are_not_all_listed(capsys: pytest.CaptureFixture[str]) -> None:
    given = [(f"{number}.pdf", "binary") for number in range(23)]
    given[2:2] = [(f"{number}.zip", "an archive") for number in range(2)]
    with pytest.raises(typer.Exit), left_out() as skipped:
        list(map(skipped, *zip(*given, strict=True)))
    told = capsys.readouterr().err.splitlines()
    assert told[:20] == [f"left out: {number}.pdf: binary" for number in range(20)]
    assert told[20:] == ["left out: … and 3 more: binary", *(f"left out: {n}.zip: an archive" for n in (0, 1))]


def test_names_and_reasons_do_not_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit), left_out() as skipped:
        skipped("\x1b]0;я\x07\u202e\x9b2J[b]\n👩‍💻.txt", "\x1b[2J")
    told = r"left out: \x1b]0;я\x07\u202e\x9b2J[b]\n👩‍💻.txt: \x1b[2J"
    assert capsys.readouterr().err == f"{told}\n"
    with pytest.raises(SystemExit):
        fail("а\x1b[31m.txt: damaged\nмёд\x07")
    assert capsys.readouterr().err == "error: а\\x1b[31m.txt: damaged\nмёд\\x07\n"


def test_measure_lists_them_after_its_figures(mixed: Path, sound_extension: Path, tmp_path: Path) -> None:
    model = tiny_folder(tmp_path / "model", sound_extension)
    result = hypertok("measure", model, "--text", mixed, "--only", "quality", "--context", 64, "--json")
    check_told(result, mixed)
    assert json.loads(result.stdout)["documents"] == 2
    result = hypertok("measure", model, "--text", mixed, "--only", "quality", "--context", 64)
    check_told(result, mixed)
    assert "bits per character" in result.stdout


def test_measure_lists_them_where_nothing_is_left(sound_extension: Path, tmp_path: Path) -> None:
    model = tiny_folder(tmp_path / "model", sound_extension)
    (tmp_path / "only.png").write_bytes(b"\x89PNG")
    result = hypertok("measure", model, "--text", tmp_path / "only.png")
    assert isinstance(result.exception, InputError)
    assert "only.png: binary" in result.stderr


def test_curve_lists_them_and_loses_no_figures_to_a_picture(
    mixed: Path, vault_lexicon: Lexicon, tmp_path: Path
) -> None:
    given = ("curve", vault_lexicon.folder, "--tokenizer", stock_folder("llama2"), "--rows", "100")
    result = hypertok(*given, "--corpus", mixed, "--json")
    check_told(result, mixed)
    assert [point["rows"] for point in json.loads(result.stdout)] == [0, 100]
    pytest.importorskip("matplotlib")
    result = hypertok(*given, "--corpus", mixed / "a.txt", "--png", tmp_path / "no" / "such" / "curve.png")
    assert isinstance(result.exception, InputError)
    assert "cannot be written" in str(result.exception)
    assert "stock" in result.stdout
    assert "name a file for the picture" in str(hypertok(*given, "--corpus", mixed, "--png", "-").exception)


def test_a_curve_over_no_russian_is_refused_before_learning(
    vault_lexicon: Lexicon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "english.txt").write_text("No word of it.", encoding="utf-8")
    monkeypatch.setattr("hypertok.measure.curve.learn", None)
    with pytest.raises(InputError, match="no Russian words in the texts"):
        measure_curve(vault_lexicon.folder, stock_folder("llama2"), tmp_path, [100])


@pytest.mark.parametrize("read", [read_texts, read_documents])
def test_texts_that_never_were_have_not_vanished(tmp_path: Path, read: Callable[..., Iterator[object]]) -> None:
    with pytest.raises(InputError, match="nodir: no such file or folder; give a folder or a file with text"):
        next(read(tmp_path / "nodir"))


def test_a_curve_over_no_rows_is_refused(vault_lexicon: Lexicon, mixed: Path) -> None:
    for text in ("0", "0,0k"):
        with pytest.raises(InputError, match="no number of rows above 0"):
            parse_rows(text)
    assert parse_rows("0,4k") == [4000]
    for rows in ([], [-1, 100], [0]):
        with pytest.raises(InputError, match="one or more numbers above 0"):
            measure_curve(vault_lexicon.folder, stock_folder("llama2"), mixed, rows)
    result = hypertok("curve", vault_lexicon.folder, "--tokenizer", "x", "--corpus", mixed, "--rows", "0")
    assert isinstance(result.exception, InputError)


def test_train_lists_them_after_its_work(mixed: Path, small_stock: Path, tmp_path: Path) -> None:
    model = put_model(small_stock, tmp_path / "stock", tiny_model("llama", tied=True, rows=640))
    given = ("--data", mixed, "-o", tmp_path / "run", "--context", 24, "--batch", 2, "--json")
    check_told(hypertok("train", model, *given), mixed)
    assert (tmp_path / "run" / "manifest.json").is_file()


def test_extend_lists_them_after_its_probes(
    mixed: Path, small_stock: Path, small_lexicon: Lexicon, tmp_path: Path
) -> None:
    model = put_model(small_stock, tmp_path / "stock", tiny_model("llama", tied=True, rows=640))
    for text in (mixed / "a.txt", mixed / "in" / "b.txt"):
        text.write_text(SENTENCES * 40, encoding="utf-8")
    given = ("--rows", 40, "--general", 0, "--init", "composer", "--data", mixed, "-o", tmp_path / "out", "--json")
    result = hypertok("extend", model, small_lexicon.folder, *given)
    check_told(result, mixed)
    assert json.loads(result.stdout)["recipe"]["init"] == "composer"


def test_an_experiment_lists_them_after_its_runs(
    mixed: Path, small_stock: Path, small_lexicon: Lexicon, small_corpus: Path, tmp_path: Path
) -> None:
    inputs = put_inputs(tmp_path, small_stock, small_lexicon.folder, small_corpus)
    path = definition(tmp_path / "experiments", "one", "[arms.stock]\nstock = true\n[train]\nrows_only = true\n")
    given = [part for name, at in inputs.items() if name != "corpus" for part in (f"--{name.replace('_', '-')}", at)]
    result = hypertok("experiment", "run", path, *given, "--corpus", mixed)
    check_told(result, mixed)
    assert len(Results.load(path.parent / "results" / "one").runs) == 1
