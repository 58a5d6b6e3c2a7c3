"""Documents that a model was trained on are known again when it is measured on them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("peft")

from small_experiments import HELD_OUT
from trained_models import QUICK
from typer.testing import CliRunner

from hypertok.artifact import read_manifest
from hypertok.cli.main import app
from hypertok.corpus.identity import BY_CHANCE
from hypertok.errors import ArtifactError
from hypertok.measure.model import measure_model
from hypertok.measure.options import MeasureOptions
from hypertok.model.config import TRAINED
from hypertok.model.merge import merge
from hypertok.model.seen import SEEN, count_seen
from hypertok.training.data import read_texts
from hypertok.training.train import train


@pytest.fixture(scope="module")
def merged(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("seen") / "merged"
    merge(whole, folder)
    return folder


def documents(corpus: Path) -> list[str]:
    """Those that `whole` was trained on, the last of which it read the beginning of."""
    found = []
    for text in read_texts(corpus, seed=QUICK.seed):
        found.append(text.text)
        if sum(map(len, found)) >= 1000:
            break
    return found


def test_documents_trained_on_are_known_again(whole: Path, merged: Path, model: Path, small_corpus: Path) -> None:
    read = documents(small_corpus)
    assert (whole / SEEN).stat().st_size == 8 * read_manifest(whole, TRAINED).facts["documents"] == 8 * len(read)
    long = [text for text in read if len(text.strip()) >= BY_CHANCE]
    assert long
    for folder in (whole, merged):
        assert count_seen(folder, read) == len(long), "short ones are written twice by chance"
        assert count_seen(folder, [f"  {text.upper()}\n" for text in long]) == len(long)
        assert count_seen(folder, HELD_OUT) == 0
    assert count_seen(model, read) is None, "nothing is known of a model that was not trained here"


def test_digests_that_are_cut_off_are_told(whole: Path, tmp_path: Path) -> None:
    (tmp_path / SEEN).write_bytes((whole / SEEN).read_bytes()[:-3])
    with pytest.raises(ArtifactError, match=r"seen\.digests: cut off"):
        count_seen(tmp_path, HELD_OUT)


def test_a_model_trained_twice_has_seen_both(merged: Path, small_corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    for number, text in enumerate(HELD_OUT):
        (tmp_path / "more" / f"{number}.txt").write_text(text, encoding="utf-8")
    train(merged, tmp_path / "more", tmp_path / "run", QUICK.model_copy(update={"characters": None}))
    merge(tmp_path / "run", tmp_path / "again")
    read = [text for text in documents(small_corpus) if len(text.strip()) >= BY_CHANCE]
    assert count_seen(tmp_path / "run", [*read, *HELD_OUT]) == len(HELD_OUT)
    assert count_seen(tmp_path / "again", [*read, *HELD_OUT]) == len(read) + len(HELD_OUT)


def test_what_is_known_in_part_is_not_told(
    whole: Path, small_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that older code trained names none of its documents: that it has seen none of them would be false."""
    with monkeypatch.context() as older:
        older.setattr("hypertok.model.merge._keep_seen", lambda *_: None)
        merge(whole, tmp_path / "first")
    assert not (tmp_path / "first" / SEEN).exists()
    (tmp_path / "more.txt").write_text(HELD_OUT[0], encoding="utf-8")
    train(tmp_path / "first", tmp_path / "more.txt", tmp_path / "run", QUICK.model_copy(update={"characters": None}))
    merge(tmp_path / "run", tmp_path / "again")
    assert count_seen(tmp_path / "again", documents(small_corpus)) is None


def test_measuring_says_what_was_trained_on(merged: Path, model: Path, small_corpus: Path, tmp_path: Path) -> None:
    seen = max(documents(small_corpus), key=len)
    for name, text in (("seen", seen), ("unseen", HELD_OUT[0])):
        (tmp_path / f"{name}.txt").write_text(text, encoding="utf-8")
    options = MeasureOptions(parts=("quality",), context=64, device="cpu")
    assert measure_model(merged, [seen, HELD_OUT[0]], options).seen == 1
    assert measure_model(merged, [HELD_OUT[0]], options).seen == 0
    assert measure_model(model, [seen], options).seen is None
    command = ["measure", str(merged), "--text", str(tmp_path), "--only", "quality", "--context", "64"]
    shown = CliRunner().invoke(app, [*command, "--json", "--characters", "50"])
    assert "trained on: 1 of 1 documents" in shown.stderr, "the beginning of one is known by the whole"
    assert json.loads(shown.stdout)["seen"] == 1
    told = CliRunner().invoke(app, command)
    assert told.exit_code == 0, (told.output, told.exception)
    assert "2 documents, 1 of them trained on" in told.stdout
    assert "trained on: 1 of 2 documents" in told.stderr
    (tmp_path / "seen.txt").unlink()
    told = CliRunner().invoke(app, command)
    assert "1 documents, 0 of them trained on" in told.stdout
    assert "trained on" not in told.stderr
