"""What is made of a document, and for whom."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from corpus_reading import read_plan

from hypertok.corpus import documents, fields, markup_source, text_source
from hypertok.corpus.documents import read_documents, read_shard
from hypertok.corpus.markdown import MarkdownMask
from hypertok.corpus.records import SourceReport
from hypertok.corpus.sources import plan_shards

SENTENCE = "Печень очищает кровь."


@pytest.mark.parametrize("name", ["а.txt", "а.md", "а.jsonl", "а.json", "а.csv", "а.html"])
def test_prose_is_made_only_where_it_is_asked_for(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"{SENTENCE} `x = 1` [сайт](путь)", "Cлово https://пример.рф/путь", "![[печень|о печени]] " + SENTENCE]
    content = {
        ".jsonl": "\n".join(json.dumps({"text": text}) for text in texts),
        ".json": json.dumps([{"text": text} for text in texts]),
        ".csv": "text\n" + "\n".join(texts),
    }
    path = tmp_path / name
    path.write_text(content.get(path.suffix, "\n\n".join(texts)), encoding="utf-8")
    expected, _ = read_plan(plan_shards(path))
    assert all(document.prose for document in expected)
    made: list[str] = []
    for module in (fields, text_source, markup_source):
        monkeypatch.setattr(module, "blank_addresses", made.append)
    monkeypatch.setattr(MarkdownMask, "__call__", lambda self, text: made.append(text))
    monkeypatch.setattr(documents, "clean", made.append)
    found = [item for shard in plan_shards(path).shards for item in read_shard(path, shard, prose=False)]
    *without, report = found
    assert without == [replace(document, prose="") for document in expected]
    assert isinstance(report, SourceReport)
    assert list(read_documents(path))
    assert not made
