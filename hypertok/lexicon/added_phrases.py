"""Multiword concepts that a person adds by hand: inflected by the dictionary alone, whatever the corpus has.

The head is the first word that can only be a noun in the nominative, or the last that can be one, if the adjectives
before it agree with it; else an adjective («переменная среды»). Adjectives before it inflect with it, and those after
it that agree with it, if no other noun in the nominative follows; all other words stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import polars as pl

from hypertok.corpus.segments import CASES
from hypertok.corpus.stream import LOWER, TITLE, UPPER
from hypertok.errors import InputError
from hypertok.lexicon.grammemes import inflection_of, kind_of
from hypertok.lexicon.morphology import analyzer
from hypertok.lexicon.overrides import Overrides
from hypertok.lexicon.phrases import Phrases

#: From which probability on the dictionary is believed that a word is a name («вера» is none).
_MOSTLY = 0.5
#: A single capital may be that of a sentence.
_OFTEN = 2
_ADJECTIVES = ("ADJF", "PRTF")


def with_overrides(phrases: Phrases, overrides: Overrides, vocabulary: pl.DataFrame) -> Phrases:
    """The phrases without forbidden ones, and with added ones that the corpus did not give.

    Args:
        vocabulary: forms of the corpus with the numbers of their cases: how words of added phrases are written.

    Raises:
        InputError: an added phrase has no noun to inflect.
    """
    forbidden = [lemma for lemma, _ in overrides.forbid if " " in lemma]
    have = set(phrases.phrases["lemma"])
    added = sorted({lemma for lemma, _ in overrides.add if " " in lemma} - have)
    if not added and have.isdisjoint(forbidden):
        return phrases
    numbered = phrases.phrases.with_row_index("phrase").filter(~pl.col("lemma").is_in(forbidden))
    forms = phrases.forms.filter(pl.col("phrase").is_in(numbered["phrase"].implode()))
    first = phrases.phrases.height
    places = {lemma: overrides.place_of((lemma, pos)) for lemma, pos in overrides.add}
    heads = {lemma: _head(lemma.split(" "), places[lemma]) for lemma in added}
    cases = _usual_cases(added, vocabulary)
    rows = [(number, lemma, 0, cases[lemma]) for number, lemma in enumerate(added, first)]
    made = [form for number, lemma in enumerate(added, first) for form in _forms(lemma, number, heads[lemma])]
    concepts = pl.concat([numbered, pl.DataFrame(rows, schema=numbered.schema, orient="row")])
    forms = pl.concat([forms, pl.DataFrame(made, schema=forms.schema, orient="row")])
    moved = concepts.select("phrase").with_row_index("place")
    forms = forms.join(moved, on="phrase", maintain_order="left").with_columns(phrase="place").drop("place")
    return Phrases(concepts.drop("phrase"), forms)


def _usual_cases(lemmas: Sequence[str], vocabulary: pl.DataFrame) -> dict[str, list[int]]:
    """How the words of each phrase are written: a name in «цикл Кребса» has its capital."""
    words = {word for lemma in lemmas for word in lemma.split(" ")}
    found = vocabulary.filter(pl.col("form").is_in(sorted(words))).select("form", *CASES[:3])
    counts = {form: tuple(cases) for form, *cases in found.iter_rows()}
    return {
        lemma: [_usual_case(word, counts.get(word, ()), first=not place) for place, word in enumerate(lemma.split(" "))]
        for lemma in lemmas
    }


def _usual_case(word: str, counts: Sequence[int], *, first: bool) -> int:
    """LOWER, TITLE or UPPER: by the corpus, else by the dictionary.

    Args:
        counts: of the three; () for a word that the corpus lacks.
        first: the phrase begins with it, so a capital may be that of a sentence.
    """
    kinds = [(kind_of(str(parse.tag), known=True), parse.score) for parse in analyzer().parse(word)]
    said = TITLE if sum(score for kind, score in kinds if kind == "name") > _MOSTLY else LOWER
    said = UPPER if kinds[0][0] == "abbreviation" else said
    if not any(counts):
        return said
    most = max((LOWER, TITLE, UPPER), key=counts.__getitem__)  # the lower case wins a tie
    return said if most == TITLE and (first or counts[TITLE] < _OFTEN) else most


def _forms(lemma: str, number: int, found: tuple[int, Any]) -> Iterable[tuple[int, str, str, int, bool]]:
    words = lemma.split(" ")
    place, head = found
    agreeing = {k for k, word in enumerate(words) if k < place or (k > place and _agrees(word, head))}
    if any(
        len(word) > 1 and _nominatives(word, "NOUN") for k, word in enumerate(words) if k > place and k not in agreeing
    ):
        agreeing = {k for k in agreeing if k < place}  # «журнал новый мир»: of another noun
    seen = {lemma}
    yield number, lemma, inflection_of(str(head.tag)), 0, False
    for form in head.lexeme:
        if head.tag.POS != form.tag.POS or (head.tag.POS == "ADJF" and not _as_a_noun(form, head)):
            continue
        surface = " ".join(
            form.word if k == place else _agreeing(word, form) if k in agreeing else word
            for k, word in enumerate(words)
        )
        if surface not in seen:
            seen.add(surface)
            yield number, surface, inflection_of(str(form.tag)), 0, False


def _head(words: list[str], said: str) -> tuple[int, Any]:
    """Place and analysis of the head; `said` is where the concept is added."""
    nouns = [_nominatives(word, "NOUN") for word in words]
    adjectives = [_nominatives(word, "ADJF") for word in words]
    for place, parses in enumerate(nouns):
        if adjectives[place] and any(nouns[place + 1 :]):
            continue  # «горький» is a surname too, but before another noun it is an adjective
        before = [word for word, known in zip(words[:place], adjectives, strict=False) if known]
        for noun in parses:
            if all(_agrees(word, noun) for word in before):
                return place, noun
    for noun, adjective, place in zip(nouns, adjectives, range(len(words)), strict=True):
        if adjective:  # «переменная среды»: a noun that the dictionary has as an adjective, maybe alone
            return place, (noun or adjective)[0]
    raise InputError(
        f"{said}: the added concept {' '.join(words)!r} has no noun in the nominative to inflect; give its base form"
    )


def _as_a_noun(form: Any, head: Any) -> bool:
    """Whether a form of an adjective is one of the noun that it is here: of its gender, and no superlative."""
    return form.tag.gender in (None, head.tag.gender) and "Supr" not in form.tag


def _nominatives(word: str, pos: str) -> list[Any]:
    return [parse for parse in analyzer().parse(word) if pos == parse.tag.POS and parse.tag.case == "nomn"]


def _agrees(word: str, noun: Any) -> bool:
    """Whether a word is an adjective that agrees with a nominative."""
    number, gender = noun.tag.number, noun.tag.gender
    return any(
        parse.tag.POS in _ADJECTIVES
        and (parse.tag.case, parse.tag.number) == ("nomn", number)
        and (number == "plur" or gender in (None, parse.tag.gender))
        for parse in analyzer().parse(word)
    )


def _agreeing(word: str, head: Any) -> str:
    """The adjective's form that agrees with a form of the head; the word itself if it is no adjective."""
    tag = head.tag
    wanted = {tag.case, tag.number} | ({tag.gender} if tag.number == "sing" and tag.gender else set())
    if tag.case == "accs" and (tag.number == "plur" or tag.gender == "masc"):
        wanted.add(tag.animacy)
    for parse in analyzer().parse(word):
        if parse.tag.POS in _ADJECTIVES:
            inflected = parse.inflect(wanted - {None})
            if inflected:
                return str(inflected.word)
    return word
