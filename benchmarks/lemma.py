"""Lemma and part-of-speech accuracy on Universal Dependencies: hypertok beside pymorphy3, simplemma, natasha.

    python benchmarks/lemma.py            # prints the table of lemma.md; needs the `bench` extra

Gold texts are the dev sets of UD GSD and Taiga; nothing is trained or tuned on them. Two figures each:
*strict* folds case and ё only; *mapped* applies every rule of `ud_conventions.tsv` to the gold answer and
to every system's answer alike, and leaves out the tokens that its `exclude` rules name.
"""

from __future__ import annotations

import csv
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from measure import CORPORA
from universal import Conventions, Pair, Token, fold_lemma, read_rules, read_treebank, upos

from hypertok.corpus.counting import count_corpus
from hypertok.corpus.stream import FIRST_FORM, Tokens, Vocabulary, renumber, tokenize
from hypertok.lexicon.context import ContextModel
from hypertok.lexicon.context_guess import with_guesses
from hypertok.lexicon.grammemes import concept_pos
from hypertok.lexicon.morphology import analyse

TREEBANKS = {"GSD": "ud_gsd/ru_gsd-ud-dev.conllu", "Taiga": "ud_taiga/ru_taiga-ud-dev.conllu"}

System = Callable[[list[list[Token]]], list[list[Pair]]]


def pymorphy_first() -> System:
    import pymorphy3

    parse = lru_cache(maxsize=None)(pymorphy3.MorphAnalyzer().parse)

    def run(sentences: list[list[Token]]) -> list[list[Pair]]:
        return [[(p.normal_form, upos(str(p.tag))) for t in s for p in parse(t.word.lower())[:1]] for s in sentences]

    return run


def pymorphy_oracle(conventions: Conventions) -> System:
    """The best that any choice among pymorphy3's analyses can reach."""
    import pymorphy3

    parse = lru_cache(maxsize=None)(pymorphy3.MorphAnalyzer().parse)

    def best(token: Token) -> Pair:
        gold = conventions.canonical(token, (fold_lemma(token.lemma), token.pos))
        pairs = [(fold_lemma(p.normal_form), upos(str(p.tag))) for p in parse(token.word.lower())]

        def agreement(pair: Pair) -> int:
            lemma, pos = conventions.canonical(token, pair)
            return 2 * (lemma == gold[0]) + (pos == gold[1])

        return max(pairs, key=agreement)

    return lambda sentences: [[best(t) for t in s] for s in sentences]


def simplemma_lemmas() -> System:
    import simplemma

    def lemma(token: Token) -> str:
        return simplemma.lemmatize(token.word, lang="ru") if token.counted else token.text

    return lambda sentences: [[(lemma(t), "") for t in s] for s in sentences]


def natasha_pipeline() -> System:
    from natasha import MorphVocab, NewsEmbedding, NewsMorphTagger

    tagger, vocabulary = NewsMorphTagger(NewsEmbedding()), MorphVocab()

    def run(sentences: list[list[Token]]) -> list[list[Pair]]:
        marked = tagger.map([t.word or t.text for t in s] for s in sentences)
        return [[(vocabulary.lemmatize(t.text, t.pos, t.feats), t.pos) for t in m.tokens] for m in marked]

    return run


@dataclass(frozen=True)
class Score:
    """Shares of correct answers; `lemma` and `pos` strict, the others mapped."""

    lemma: float
    pos: float
    mapped_lemma: float
    mapped_pos: float
    mapped_both: float
    half_width: float


def score(sentences: list[list[Token]], answers: list[list[Pair]], conventions: Conventions) -> Score:
    strict, mapped, per_sentence = [], [], []
    for sentence, given in zip(sentences, answers, strict=True):
        right = []
        for token, pair in zip(sentence, given, strict=True):
            if not token.counted:
                continue
            gold = (fold_lemma(token.lemma), token.pos)
            answer = (fold_lemma(pair[0]), pair[1])
            strict.append((gold[0] == answer[0], gold[1] == answer[1]))
            if not conventions.excluded(token):
                gold, answer = conventions.canonical(token, gold), conventions.canonical(token, answer)
                right.append((gold[0] == answer[0], gold[1] == answer[1], gold == answer))
        mapped += right
        per_sentence.append((sum(r[0] for r in right), len(right)))
    hits, sizes = np.array(per_sentence).T
    draws = np.random.default_rng(0).integers(0, len(hits), (1000, len(hits)))
    boot = hits[draws].sum(1) / sizes[draws].sum(1)
    low, high = np.quantile(boot, [0.025, 0.975])
    means = np.mean(mapped, axis=0)
    return Score(*np.mean(strict, axis=0), *means, half_width=(high - low) / 2)


class Ours:
    """hypertok with shares estimated on the train split of the shared corpora, which lacks the UD texts."""

    def __init__(self, corpus: Path, gold: list[list[Token]]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            train, work = Path(folder, "train"), Path(folder, "work")
            with (corpus / "splits.tsv").open(encoding="utf-8", newline="") as file:
                for row in csv.DictReader(file, delimiter="\t"):
                    if row["split"] == "train":
                        (train / row["path"]).parent.mkdir(parents=True, exist_ok=True)
                        shutil.copyfile(corpus / row["path"], train / row["path"])
            counted = count_corpus(train, work)
            seen = counted.vocabulary["form"].to_list()
            mine = Vocabulary()
            self._streams = [self._stream(sentence, mine) for sentence in gold]
            numbers = {form: n for n, form in enumerate(seen)}
            for form in mine.forms:
                numbers.setdefault(form, len(numbers))
            self._renumber = np.array([FIRST_FORM + numbers[f] for f in mine.forms], dtype=np.uint32)
            self.analyses = with_guesses(analyse(list(numbers)))
            self.model = ContextModel.load()
            begin = time.process_time()
            self.weights = self.model.estimate(counted.streams, self.analyses)
            self.seconds = time.process_time() - begin
            self.tokens = sum(len(tokens) for tokens in counted.streams())
        self._gold = gold

    @staticmethod
    def _stream(sentence: list[Token], vocabulary: Vocabulary) -> tuple[Tokens, list[int]]:
        """A sentence as a stream, and which of its tokens each stream token is (-1: none that counts)."""
        parts, places = [], []
        for n, token in enumerate(sentence):
            part = tokenize(token.text, vocabulary)[:-1]
            word = len(part) and part[-1] >> 2 >= FIRST_FORM and token.counted
            parts.append(part)
            places += [-1] * (len(part) - 1) + [n if word else -1] * (len(part) > 0)
        return np.concatenate([*parts, np.zeros(1, np.uint32)]), [*places, -1]

    def _answers(self, rows: npt.NDArray[np.int64]) -> list[list[Pair]]:
        """Answers for all gold sentences from one analysis per token of their joined streams."""
        answers, at = [], 0
        for sentence, (tokens, places) in zip(self._gold, self._streams, strict=True):
            pairs = [(t.word.lower(), "X") for t in sentence]
            for place, row in zip(places, rows[at : at + len(tokens)].tolist(), strict=True):
                if place >= 0 and row >= 0:
                    a = self.analyses
                    pairs[place] = (a.lemmas[a.lemma[row]], upos(a.tags[a.tag[row]]))
            answers.append(pairs)
            at += len(tokens)
        return answers

    def _joined(self) -> Tokens:
        return renumber(np.concatenate([tokens for tokens, _ in self._streams]), self._renumber)

    def in_context(self) -> list[list[Pair]]:
        """The analysis chosen for every token by its context."""
        return self._answers(self.model.choose(self._joined(), self.analyses, self.weights))

    def form_alone(self, by_prior: bool = False) -> list[list[Pair]]:
        """The dominant concept of every form, whatever the context; `by_prior` asks the dictionary only."""
        a = self.analyses
        weights = a.prior if by_prior else self.model.probabilities(a, self.weights)
        form = a.form_index()
        pos = np.array([sorted(set(map(concept_pos, a.tags))).index(concept_pos(t)) for t in a.tags])
        _, concept = np.unique(np.stack([form, a.lemma, pos[a.tag]]), axis=1, return_inverse=True)
        likely = np.bincount(concept, weights)[concept]
        order = np.lexsort((-a.prior, -weights, -likely, form))
        best = np.append(order[a.offsets[:-1]], -1)
        number = (self._joined() >> 2).astype(np.int64) - FIRST_FORM
        return self._answers(best[np.maximum(number, -1)])


def main() -> None:
    conventions = Conventions(read_rules())
    gold = {name: read_treebank(CORPORA / path) for name, path in TREEBANKS.items()}
    ours = Ours(CORPORA, [s for sentences in gold.values() for s in sentences])
    cut = len(gold["GSD"])
    rows: list[tuple[str, Callable[[list[list[Token]]], list[list[Pair]]]]] = [
        ("pymorphy3, first parse", pymorphy_first()),
        ("simplemma", simplemma_lemmas()),
        ("natasha, in context", natasha_pipeline()),
    ]
    for name, answers in (
        ("pymorphy3 prior, summed by concept", ours.form_alone(by_prior=True)),
        ("**hypertok, form alone**", ours.form_alone()),
        ("**hypertok, in context**", ours.in_context()),
    ):
        rows.append((name, lambda s, a=answers: a[:cut] if s is gold["GSD"] else a[cut:]))
    rows.append(("best choice among pymorphy3's analyses", pymorphy_oracle(conventions)))
    print(f"Estimation over {ours.tokens:,} tokens of the train split: {ours.seconds:.1f} s of one core.\n")
    for treebank, sentences in gold.items():
        counted = [t for s in sentences for t in s if t.counted]
        left_out = sum(conventions.excluded(t) for t in counted) / len(counted)
        print(f"### UD {treebank} dev: {len(counted):,} words, {left_out:.1%} left out by rule\n")
        print("| system | lemma, strict | POS, strict | lemma, mapped | POS, mapped | both, mapped |")
        print("|---|---|---|---|---|---|")
        for name, system in rows:
            s = score(sentences, system(sentences), conventions)
            if name == "simplemma":
                print(f"| {name} | {s.lemma:.4f} | – | {s.mapped_lemma:.4f} ± {s.half_width:.4f} | – | – |")
            else:
                print(
                    f"| {name} | {s.lemma:.4f} | {s.pos:.4f} | {s.mapped_lemma:.4f} ± {s.half_width:.4f} "
                    f"| {s.mapped_pos:.4f} | {s.mapped_both:.4f} |"
                )
        print()


if __name__ == "__main__":
    main()
