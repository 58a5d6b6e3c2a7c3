"""What an experiment remembers of its training texts, and what makes it read them anew."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hypertok.corpus.identity import identity_of
from hypertok.errors import InputError
from hypertok.experiment import corpus as room
from hypertok.experiment.corpus import Corpus, folders_read, read_corpus
from hypertok.training import data
from hypertok.training.data import Text

STORY = "Дождь шёл три дня, и дорогу размыло; сосед стучал молотком, а старик пил чай из жестяной кружки."
OTHER = STORY.replace("три дня", "два дня")
HELD = (Text("held.txt#0", OTHER, identity_of(OTHER)),)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    (folder / "книги").mkdir(parents=True)
    (folder / "книги" / "1.txt").write_text(STORY, encoding="utf-8")
    (folder / "2.txt").write_text("Ещё один рассказ.", encoding="utf-8")
    (folder / "3.txt").write_bytes(b"\0\1\2" * 99)
    return folder


@pytest.fixture(autouse=True)
def committed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of code that was changed since nothing is kept, and these tests may run in a tree that is worked in."""
    monkeypatch.setattr(room, "code_state", lambda: ("b" * 40, False))


def read(corpus: Path, held: tuple[Text, ...] = HELD) -> tuple[Corpus, list[str]]:
    """What is found, and the names of what is left out."""
    left_out: list[str] = []
    found = read_corpus(corpus, held, 100, corpus.with_name(".work"), lambda path, reason: left_out.append(path))
    return found, left_out


def test_a_corpus_is_read_once_by_experiments_begun_again(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = read(corpus)
    assert first[0].folders == {"": 17, "книги": len(STORY)}
    assert [Path(path).name for path in first[1]] == ["3.txt"]
    monkeypatch.setattr(data, "read_texts", None)
    assert read(corpus) == first, "files that are left out are told again"


def test_what_a_seed_reads_first_is_counted_by_folder(corpus: Path) -> None:
    whole = {"": 17, "книги": len(STORY)}
    assert folders_read(corpus, sum(whole.values()), 0) == whole
    (corpus / "3.txt").unlink()
    few = [folders_read(corpus, 20, seed) for seed in range(8)]
    assert all(sum(one.values()) == 20 for one in few)
    assert {"книги": 20} in few, "the book comes first"
    assert {"": 17, "книги": 3} in few


@pytest.mark.parametrize("change", ["a letter", "another file", "held-out", "code", "code not committed", "damaged"])
def test_what_has_changed_is_read_anew(corpus: Path, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    first, _ = read(corpus)
    held, path = HELD, corpus / "книги" / "1.txt"
    if change == "a letter":  # of the same size, within the second
        before = path.stat()
        path.write_text(OTHER, encoding="utf-8")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1000))
        with pytest.raises(InputError, match=r"held\.txt#0: the training text книги/1\.txt#0 is the same text"):
            read(corpus)
        return
    if change == "another file":
        (corpus / "4.txt").write_text("Новый.", encoding="utf-8")
    elif change == "held-out":
        held = (Text("new.txt#0", STORY, identity_of(STORY)),)
        with pytest.raises(InputError, match=r"new\.txt#0: .* is the same text"):
            read(corpus, held)
        return
    elif change.startswith("code"):
        monkeypatch.setattr(room, "code_state", lambda: ("a" * 40, change != "code"))
    else:
        (kept,) = (corpus.parent / ".work" / "corpora").iterdir()
        kept.write_bytes(kept.read_bytes()[:40])
    read_again: list[str] = []
    texts = data.read_texts

    def watched(root: Path, **options: object) -> object:
        read_again.append(root.name)
        return texts(root, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(data, "read_texts", watched)
    found, _ = read(corpus)
    assert read_again == ["corpus"]
    assert (found == first) == (change != "another file")
