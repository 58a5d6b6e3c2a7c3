"""Universal Dependencies: treebanks, and the rules that make their conventions comparable with OpenCorpora's."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hypertok.corpus.words import WORD

HERE = Path(__file__).resolve().parent

Pair = tuple[str, str]  # lemma, part of speech

#: Universal part of speech of an OpenCorpora one: the plain correspondence, no lexical rules.
UPOS = {
    "NOUN": "NOUN", "ADJF": "ADJ", "ADJS": "ADJ", "COMP": "ADV", "VERB": "VERB", "INFN": "VERB",
    "PRTF": "VERB", "PRTS": "VERB", "GRND": "VERB", "NUMR": "NUM", "ADVB": "ADV", "NPRO": "PRON",
    "PRED": "ADV", "PREP": "ADP", "CONJ": "CCONJ", "PRCL": "PART", "INTJ": "INTJ",
}  # fmt: skip
NAMES = {"Name", "Surn", "Patr", "Geox", "Orgn", "Trad"}


@cache
def upos(tag: str) -> str:
    grammemes = tag.replace(" ", ",").split(",")
    if "Apro" in grammemes:
        return "DET"
    if NAMES & set(grammemes):
        return "PROPN"
    return UPOS.get(grammemes[0], "X")


@dataclass(frozen=True)
class Token:
    text: str
    lemma: str
    pos: str
    feats: str

    @property
    def word(self) -> str:
        """The word without the # of a hashtag."""
        return self.text.lstrip("#")

    @property
    def counted(self) -> bool:
        """Whether the token is one Cyrillic word with a gold lemma."""
        return self.lemma != "_" and WORD.fullmatch(self.word) is not None


@dataclass(frozen=True)
class Rule:
    action: str
    token: re.Pattern[str] | None
    gold_pos: re.Pattern[str] | None
    feats: str
    lemma: re.Pattern[str] | None
    pos: re.Pattern[str] | None
    to_lemma: str
    to_pos: str

    def applies(self, token: Token, pair: Pair) -> bool:
        return (
            _fits(self.token, fold_yo(token.word.lower()))
            and _fits(self.gold_pos, token.pos)
            and (not self.feats or self.feats in token.feats.split("|"))
            and _fits(self.lemma, pair[0])
            and _fits(self.pos, pair[1])
        )

    def rewrite(self, pair: Pair) -> Pair:
        lemma = pair[0]
        if self.to_lemma:
            lemma = self.lemma.sub(self.to_lemma, lemma) if self.lemma else self.to_lemma
        return lemma, self.to_pos or pair[1]


def _fits(pattern: re.Pattern[str] | None, value: str) -> bool:
    return pattern is None or pattern.fullmatch(value) is not None


def read_rules(path: Path = HERE / "ud_conventions.tsv") -> list[Rule]:
    def compiled(text: str) -> re.Pattern[str] | None:
        return re.compile(f"(?:{fold_yo(text)})$") if text else None

    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    for number, row in enumerate(rows, 2):
        if row["action"] not in ("exclude", "map") or not row["reason"]:
            raise ValueError(f"{path.name}:{number}: expected action exclude or map and a reason, got {row}")
    return [
        Rule(r["action"], compiled(r["token"]), compiled(r["gold_pos"]), r["feats"], compiled(r["lemma"]),
             compiled(r["pos"]), r["to_lemma"], r["to_pos"])
        for r in rows
    ]  # fmt: skip


class Conventions:
    def __init__(self, rules: list[Rule]) -> None:
        self.exclusions = [r for r in rules if r.action == "exclude"]
        self.mappings = [r for r in rules if r.action == "map"]

    @cache  # noqa: B019 - one instance per run
    def excluded(self, token: Token) -> bool:
        pair = (fold_lemma(token.lemma), token.pos)
        return any(rule.applies(token, pair) for rule in self.exclusions)

    @cache  # noqa: B019
    def canonical(self, token: Token, pair: Pair) -> Pair:
        for rule in self.mappings:
            if rule.applies(token, pair):
                pair = rule.rewrite(pair)
        return pair


def fold_yo(text: str) -> str:
    return text.replace("ё", "е").replace("Ё", "Е")


def fold_lemma(lemma: str) -> str:
    return fold_yo(lemma.lower()).lstrip("#")


def read_treebank(path: Path) -> list[list[Token]]:
    sentences: list[list[Token]] = [[]]
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line:
            sentences.append([])
        elif not line.startswith("#"):
            number, text, lemma, pos, _, feats = line.split("\t")[:6]
            if number.isdigit():
                sentences[-1].append(Token(text, lemma, pos, feats))
    return [s for s in sentences if s]
