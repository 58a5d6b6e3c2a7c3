"""Multiword terms of technical documentation: hypertok beside rutermextract, judged by hand.

    python benchmarks/phrases.py            # the table of phrases.md, from the verdicts in phrases_judged.tsv
    python benchmarks/phrases.py --sample   # draw the samples again; terms judged before keep their verdict

Both systems read the same prose (Markdown with code, addresses and front matter left out), and both keep the
terms that occur at least `default_min_count` times. rutermextract runs on pymorphy3, because pymorphy2 no
longer starts on today's Python, and only its terms of Russian words count: hypertok looks for no others.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import time
from collections import Counter
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from measure import CORPORA

from hypertok.corpus.documents import read_shard
from hypertok.corpus.records import Document
from hypertok.corpus.sources import plan_shards
from hypertok.corpus.stream import FIRST_FORM, Tokens, Vocabulary, tokenize
from hypertok.corpus.words import form_of, is_russian
from hypertok.lexicon.context import ContextModel
from hypertok.lexicon.morphology import analyse, analyzer
from hypertok.lexicon.phrases import Phrases, default_min_count, find_phrases

HERE = Path(__file__).resolve().parent
JUDGED = HERE / "phrases_judged.tsv"
DOMAIN, SPLIT = "tech_md", "train"
SAMPLE, SEED = 200, 2
COLUMNS = ["system", "term", "count", "verdict", "reason"]


@dataclass(frozen=True)
class Found:
    """What one system found: terms with their counts, words of running text inside them, and seconds."""

    terms: dict[str, int]
    covered: int
    seconds: float


def read_prose() -> list[str]:
    """The prose of every technical training document, in the order of paths."""
    with (CORPORA / "splits.tsv").open(encoding="utf-8") as file:
        rows = csv.DictReader(file, delimiter="\t")
        wanted = {row["path"] for row in rows if (row["domain"], row["split"]) == (DOMAIN, SPLIT)}
    plan = plan_shards(CORPORA)
    prose = []
    for shard in plan.shards:
        mine = replace(shard, parts=tuple(part for part in shard.parts if part.path in wanted))
        prose += [item.prose for item in read_shard(CORPORA, mine) if isinstance(item, Document)]
    return prose


def run_hypertok(prose: list[str]) -> tuple[Found, int]:
    """Terms of hypertok, and the number of Russian words read."""
    vocabulary = Vocabulary()
    tokens = np.concatenate([tokenize(text, vocabulary) for text in prose])
    analyses = analyse(vocabulary.forms, workers=1)
    weights = ContextModel.load().estimate(lambda: [tokens], analyses)
    start = time.perf_counter()
    phrases = find_phrases(lambda: [tokens], analyses, weights)
    seconds = time.perf_counter() - start
    terms = dict(phrases.phrases.select("lemma", "count").iter_rows())
    words = int((tokens >> 2 >= FIRST_FORM).sum())
    return Found(terms, words_inside(tokens, vocabulary.forms, phrases), seconds), words


def words_inside(tokens: Tokens, forms: list[str], phrases: Phrases) -> int:
    """Words of running text inside terms, the longest term first where they overlap."""
    surfaces = {tuple(form.split(" ")) for form in phrases.forms["form"].to_list()}
    starts = {surface[0] for surface in surfaces}
    words = [forms[t - FIRST_FORM] if t >= FIRST_FORM else "" for t in (tokens >> 2).tolist()]
    place = covered = 0
    while place < len(words):
        length = 0
        if words[place] in starts:
            length = next((n for n in (4, 3, 2) if tuple(words[place : place + n]) in surfaces), 0)
        covered += length
        place += length or 1
    return covered


def run_rutermextract(prose: list[str], min_count: int) -> Found:
    """Multiword terms of rutermextract that consist of Russian words, document by document."""
    from rutermextract.parser import ParsedWord
    from rutermextract.term_extractor import TermExtractor

    @cache
    def parse(word: str) -> Any:
        parses = analyzer().parse(word)
        return ParsedWord(parses) if parses else None

    start = time.perf_counter()
    extractor = TermExtractor(parser=parse)
    counts: Counter[str] = Counter()
    for text in prose:
        for term in extractor(text):
            counts[term.normalized] += term.count
    seconds = time.perf_counter() - start
    terms = {
        term: count
        for term, count in counts.items()
        if count >= min_count and " " in term and all(is_russian(form_of(word)) for word in term.split(" "))
    }
    return Found(terms, sum(n * len(term.split(" ")) for term, n in terms.items()), seconds)


def draw(found: dict[str, Found]) -> None:
    """Write a new sample of each system; verdicts already given to a term are kept."""
    known = {row["term"]: row for row in read_judged()} if JUDGED.exists() else {}
    with JUDGED.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, delimiter="\t", lineterminator="\n")
        writer.writeheader()
        for system, result in found.items():
            for term in sorted(sorted(result.terms, key=_lot)[:SAMPLE]):
                old = known.get(term, {})
                verdict = {name: old.get(name, "") for name in ("verdict", "reason")}
                writer.writerow({"system": system, "term": term, "count": result.terms[term], **verdict})


def _lot(term: str) -> bytes:
    """A term's place in the draw: random, but the same whatever other terms a later version finds."""
    return hashlib.sha256(f"{SEED}\0{term}".encode()).digest()


def read_judged() -> list[dict[str, str]]:
    with JUDGED.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def interval(hits: int, size: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share."""
    z, p = 1.96, hits / size
    middle = (p + z * z / (2 * size)) / (1 + z * z / size)
    half = z / (1 + z * z / size) * (p * (1 - p) / size + z * z / (4 * size * size)) ** 0.5
    return middle - half, middle + half


def report(found: dict[str, Found], words: int) -> str:
    """The Markdown table; judged terms that a system no longer finds are counted in the last column."""
    lines = [
        "| system | terms | words inside | precision (judged) | 95 % interval | seconds | judged, gone |",
        "|---|---|---|---|---|---|---|",
    ]
    judged = read_judged()
    for system, result in found.items():
        rows = [row for row in judged if row["system"] == system]
        missing = [row["term"] for row in rows if row["verdict"] not in ("0", "1")]
        if missing:
            raise SystemExit(f"{JUDGED}: {len(missing)} terms of {system} have no verdict: {missing[0]!r} …")
        hits = sum(row["verdict"] == "1" for row in rows)
        low, high = interval(hits, len(rows))
        gone = sum(row["term"] not in result.terms for row in rows)
        lines.append(
            f"| {system} | {len(result.terms):,} | {result.covered / words:.1%} | {hits / len(rows):.3f} "
            f"({hits}/{len(rows)}) | {low:.2f}–{high:.2f} | {result.seconds:.1f} | {gone} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--sample", action="store_true", help="draw new samples into phrases_judged.tsv")
    arguments = parser.parse_args()
    prose = read_prose()
    ours, words = run_hypertok(prose)
    least = default_min_count(words)
    found = {"hypertok": ours, "rutermextract": run_rutermextract(prose, least)}
    print(f"{len(prose):,} documents, {words:,} Russian words, terms that occur at least {least} times\n")
    if arguments.sample:
        draw(found)
    else:
        print(report(found, words))


if __name__ == "__main__":
    main()
