"""Labels to learn context from: natasha's tagger (slovnet, MIT licence) on fragments of a corpus of free texts.

Every token keeps its likeliest Universal Dependencies tags with their probabilities. `train_context.py` fits to them.
"""

from __future__ import annotations

import csv
import hashlib
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hypertok.corpus.stream import BREAK, TOKEN, Vocabulary

#: Public domain (RusLit), CC0 (RusDraCor) and CC BY (ASP.NET Core documentation): free to derive from.
FREE = ("ruslit/", "rusdracor/", "aspnetcore_ru/")
#: Characters labelled per domain: 6.0 M tokens in all.
QUOTA = {"lit_prose": 24_000_000, "drama": 6_000_000, "lit_poems": 2_500_000, "lit_publicism": 1_200_000,
         "tech_md": 9_000_000}  # fmt: skip
TOP = 6

Labels = npt.NDArray[np.uint16]


def fragments(corpus: Path) -> list[tuple[str, str]]:
    """(path, text) of the fragments to label, in random order; at most eight of a file."""
    with (corpus / "splits.tsv").open(encoding="utf-8", newline="") as file:
        rows = [r for r in csv.DictReader(file, delimiter="\t") if r["split"] == "train"]
    rows = [r for r in rows if r["path"].startswith(FREE)]
    rng = random.Random(1)
    found = []
    for domain, quota in QUOTA.items():
        paths = [r["path"] for r in rows if r["domain"] == domain]
        rng.shuffle(paths)
        taken, per_file = 0, max(4000, quota // max(1, len(paths)))
        parts = max(1, min(8, per_file // 8000))
        size = per_file // parts
        for path in paths:
            if taken >= quota:
                break
            text = (corpus / path).read_text(encoding="utf-8", errors="replace")
            text = without_markup(text) if path.endswith(".md") else text
            for _ in range(1 if len(text) <= size else parts):
                begin, end = 0, len(text)
                if len(text) > size:
                    begin = text.rfind("\n", 0, rng.randrange(0, len(text) - size)) + 1
                    line_end = text.find("\n", begin + size)
                    end = min(line_end if line_end >= 0 else len(text), begin + 2 * size)
                found.append((path, text[begin:end]))
                taken += end - begin
    rng.shuffle(found)
    return found


def without_markup(text: str) -> str:
    """Markdown without front matter, code fences, link targets and addresses."""
    text = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.S)
    text = re.sub(r"```.*?```", "\n", text, flags=re.S)
    return re.sub(r"https?://\S+", " ", re.sub(r"\]\([^)]*\)", "]", text))


def label(corpus: Path, folder: Path) -> None:
    """Write one .npz per fragment: text, tokens, the TOP likeliest tags of each; finished ones stay."""
    from natasha import NewsEmbedding, NewsMorphTagger, Segmenter

    folder.mkdir(parents=True, exist_ok=True)
    segmenter, tagger = Segmenter(), NewsMorphTagger(NewsEmbedding())
    names = tagger.infer.decoder.tags_vocab
    tags = [str(names.decode(n)) for n in range(len(names.items))]
    (folder / "tags.txt").write_text("\n".join(tags), encoding="utf-8")
    for number, (path, text) in enumerate(fragments(corpus)):
        target = folder / f"{number:05d}.npz"
        sentences = list(sentences_of(text, segmenter))
        if target.exists() or not sentences:
            continue
        sentences.sort(key=len)
        tops, logs = [], []
        for batch in tagger.infer.encoder([[t[2] for t in s] for s in sentences]):
            scores = tagger.infer.model(batch.word_id, batch.shape_id, batch.pad_mask)
            scores = scores - scores.max(-1, keepdims=True)
            scores -= np.log(np.exp(scores).sum(-1, keepdims=True))
            top = np.argpartition(-scores, TOP, axis=-1)[..., :TOP]
            tops.append(top[~batch.pad_mask])
            logs.append(np.take_along_axis(scores, top, -1)[~batch.pad_mask])
        spans = np.array([t[:2] for s in sentences for t in s], dtype=np.int32)
        order = np.argsort(spans[:, 0], kind="stable")
        np.savez(
            target, text=np.frombuffer(text.encode(), np.uint8), path=np.array(path),
            start=spans[order, 0], stop=spans[order, 1],
            tag=np.concatenate(tops).astype(np.uint16)[order],
            logp=np.concatenate(logs).astype(np.float16)[order],
        )  # fmt: skip


def sentences_of(text: str, segmenter: Any) -> Iterator[list[tuple[int, int, str]]]:
    """Sentences with Russian letters as (start, stop, text) of their tokens."""
    for paragraph in re.finditer(r"[^\n]+", text):
        for sentence in segmenter.sentenize(paragraph[0]):
            base = paragraph.start() + sentence.start
            tokens = [(base + t.start, base + t.stop, t.text) for t in segmenter.tokenize(sentence.text)]
            if re.search("[а-яё]", sentence.text.lower()) and tokens:
                yield tokens


@dataclass(frozen=True)
class Text:
    """The labelled text as one stream, with the tagger's likeliest tags and their log probabilities."""

    tokens: npt.NDArray[np.uint32]
    tag: Labels
    logp: npt.NDArray[np.float16]
    held_out: npt.NDArray[np.bool_]
    forms: list[str]
    tags: list[str]


def read_labels(folder: Path) -> Text:
    """All labelled fragments; a word the tagger cut otherwise than hypertok has the tag 65535."""
    vocabulary = Vocabulary()
    parts: list[tuple[Any, ...]] = []
    for path in sorted(folder.glob("*.npz")):
        with np.load(path, allow_pickle=False) as data:
            text = data["text"].tobytes().decode()
            found = list(TOKEN.finditer(text))
            numbers = [vocabulary[m[0]] for m in found] + [BREAK << 2]
            begin = np.array([m.start() for m in found] + [-1])
            end = np.array([m.end() for m in found] + [-1])
            at = np.minimum(np.searchsorted(data["start"], begin), len(data["start"]) - 1)
            same = (data["start"][at] == begin) & (data["stop"][at] == end)
            tag = np.where(same[:, None], data["tag"][at], 65535).astype(np.uint16)
            digest = int(hashlib.md5(str(data["path"]).encode(), usedforsecurity=False).hexdigest(), 16)
            held = np.full(len(numbers), digest % 10 == 0)
            parts.append((np.array(numbers, np.uint32), tag, data["logp"][at], held))
    tokens, tag, logp, held = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Text(tokens, tag, logp, held, vocabulary.forms, (folder / "tags.txt").read_text("utf-8").split("\n"))
