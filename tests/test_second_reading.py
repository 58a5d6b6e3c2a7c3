"""The second reading of the texts, for the archive's statistics: no more of it than it takes."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import SENTENCES

from hypertok.archive.shards import WHOLE
from hypertok.corpus import counting
from hypertok.corpus.counting import CountedCorpus, count_corpus
from hypertok.corpus.sources import plan_shards
from hypertok.lexicon import statistics
from hypertok.lexicon.statistics import Changed, learning_statistics


@pytest.fixture
def counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CountedCorpus:
    """A corpus of many small shards, counted."""
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for number, line in enumerate(SENTENCES.splitlines()):
        (corpus / f"{number:02d}.txt").write_text(line + "\n", encoding="utf-8")
    monkeypatch.setattr(counting, "plan_shards", lambda root: plan_shards(root, 100))
    return count_corpus(corpus, tmp_path / "work", workers=1)


def test_a_changed_text_is_told_before_the_rest_is_read(counted: CountedCorpus, tmp_path: Path) -> None:
    assert len(counted.plan.shards) > 10
    changed = counted.plan.root / "01.txt"
    changed.write_text("Иначе.", encoding="utf-8")
    told: list[int] = []
    with (
        pytest.raises(Changed, match=r"01\.txt: not what it was"),
        learning_statistics(counted, tmp_path, workers=1, progress=lambda done, of: told.append(done)),
    ):
        pass
    assert told == [0, 1]


def test_a_first_share_that_was_too_small_changes_nothing(
    counted: CountedCorpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards = len(counted.plan.shards)
    made = []
    for share, told_first in ((WHOLE, 1), (WHOLE // 4, 2)):
        monkeypatch.setattr(statistics, "first_share", lambda characters, share=share: share)
        folder = tmp_path / str(share)
        folder.mkdir()
        told: list[int] = []
        with learning_statistics(counted, folder, workers=1, progress=lambda done, of: told.append(done)) as wait:  # noqa: B023
            wait()
        assert told == [*range(shards + 1)] * told_first
        made.append([(path.name, path.read_bytes()) for path in sorted(folder.iterdir())])
    assert made[0] == made[1]
    assert len(made[0]) == 2
