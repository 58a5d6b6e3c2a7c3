"""A corpus read to its end: documents and reports of all its shards; and texts as token streams."""

from __future__ import annotations

from pathlib import Path

from hypertok.corpus.documents import read_shard
from hypertok.corpus.records import Document, Plan, SourceReport, merge_reports
from hypertok.corpus.sources import plan_shards
from hypertok.corpus.stream import Tokens, Vocabulary, tokenize
from hypertok.corpus.words import WORD

RECORDS = [f"Запись {i}: печень очищает кровь." for i in range(300)]


def read(root: Path | str, shard_bytes: int = 8 << 20) -> tuple[list[Document], list[SourceReport]]:
    return read_plan(plan_shards(root, shard_bytes))


def read_plan(plan: Plan) -> tuple[list[Document], list[SourceReport]]:
    documents: list[Document] = []
    reports = list(plan.reports)
    for shard in plan.shards:
        for item in read_shard(plan.root, shard):
            if isinstance(item, Document):
                documents.append(item)
            else:
                reports.append(item)
    return documents, list(merge_reports(reports))


def read_one(path: Path, shard_bytes: int = 8 << 20) -> tuple[str, str, SourceReport]:
    documents, (report,) = read(path, shard_bytes)
    text = "\n\n".join(document.text for document in documents)
    return text, "\n\n".join(document.prose for document in documents), report


def words_of(text: str) -> str:
    return " ".join(WORD.findall(text))


def read_streams(*texts: str) -> tuple[list[Tokens], Vocabulary]:
    vocabulary = Vocabulary()
    return [tokenize(text, vocabulary) for text in texts], vocabulary
