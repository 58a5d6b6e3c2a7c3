"""From OpenCorpora tags to concepts and inflections, against paradigms that a linguist can read."""

from __future__ import annotations

import doctest
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import pytest

from hypertok.lexicon import grammemes
from hypertok.lexicon.grammemes import OTHER_POS, POS, concept_pos, inflection_of, kind_of
from hypertok.lexicon.inflections import UNINFLECTED, shipped_inflections
from hypertok.lexicon.morphology import analyzer

FILE = Path(__file__).with_name("paradigms.txt")


class Place(NamedTuple):
    """One line of the file."""

    line: int
    lemma: str
    pos: str
    kind: str
    form: str
    inflections: frozenset[str]


def read_places() -> list[Place]:
    places, concept = [], ("", "", "")
    for number, line in enumerate(FILE.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        if not line.startswith(" "):
            lemma, pos, kind = line.split()
            concept = lemma, pos, kind
            continue
        form, _, keys = line.strip().partition(" ")
        inflections = {UNINFLECTED if key.strip() == "-" else key.strip() for key in keys.split(";")}
        places.append(Place(number, *concept, form, frozenset(inflections)))
    return places


PLACES = read_places()


def test_the_file_covers_every_part_of_speech_and_kind() -> None:
    assert len(PLACES) > 100
    assert {place.pos for place in PLACES} == set(POS.values())
    assert {place.kind for place in PLACES} == {"word", "name", "abbreviation"}


@pytest.mark.parametrize("place", PLACES, ids=lambda place: f"{place.line}-{place.form}-{place.lemma}")
def test_paradigm(place: Place) -> None:
    found = {
        inflection_of(str(parse.tag))
        for parse in analyzer().parse(place.form)
        if parse.normal_form == place.lemma
        and concept_pos(str(parse.tag)) == place.pos
        and kind_of(str(parse.tag), parse.is_known) == place.kind
    }
    assert found == place.inflections, f"{FILE.name}:{place.line}: {place.form}"


def test_every_tag_of_the_dictionary_has_a_part_of_speech_and_a_numbered_inflection() -> None:
    tags = {str(tag) for tag in analyzer().dictionary.gramtab}
    assert len(tags) > 1000
    assert not {tag for tag in tags if concept_pos(tag) == OTHER_POS}
    assert not {tag for tag in tags if inflection_of(tag) not in shipped_inflections().ids}


def test_an_inflection_never_mixes_parts_of_speech() -> None:
    """Marks are shared between concepts, so «sing,gent» may mean the same thing only."""
    by_key = defaultdict(set)
    for tag in map(str, analyzer().dictionary.gramtab):
        by_key[inflection_of(tag)].add(concept_pos(tag))
    verbal = {key for key, pos in by_key.items() if key.startswith(("INFN", "PRTF", "PRTS", "GRND")) and pos}
    assert verbal
    assert all(by_key[key] == {"VERB"} for key in verbal)
    assert all(by_key[key] == {"ADJ"} for key in by_key if key.startswith(("ADJS", "COMP")))


def test_the_inventory_is_numbered_without_gaps_and_never_twice() -> None:
    inventory = shipped_inflections()
    assert len(set(inventory.keys)) == len(inventory.keys) == len(inventory.ids)
    for number, key in enumerate(inventory.keys, 1):
        assert inventory.id_of(key) == number
        assert inventory.key_of(number) == key
    assert inventory.id_of("a newer grammeme") == inventory.id_of(UNINFLECTED) == 1


@pytest.mark.parametrize(
    ("tag", "known", "kind"),
    [
        ("NOUN,inan,femn sing,nomn", True, "word"),
        ("NOUN,inan,femn sing,nomn", False, "unknown"),
        ("NOUN,anim,masc,Name sing,nomn", True, "name"),
        ("NOUN,anim,masc,Sgtm,Surn sing,gent", True, "name"),
        ("NOUN,inan,femn,Sgtm,Geox sing,nomn", True, "name"),
        ("NOUN,inan,masc,Fixd,Abbr sing,nomn", True, "abbreviation"),
        ("NOUN,anim,masc,Sgtm,Name,Fixd,Abbr,Init sing,nomn", True, "name"),
        ("LATN", True, "unknown"),
        ("UNKN", False, "unknown"),
        ("NUMB,intg", True, "unknown"),
    ],
)
def test_kind(tag: str, known: bool, kind: str) -> None:
    assert kind_of(tag, known) == kind


def test_docstrings_tell_the_truth() -> None:
    results = doctest.testmod(grammemes)
    assert results.attempted >= 3
    assert results.failed == 0
