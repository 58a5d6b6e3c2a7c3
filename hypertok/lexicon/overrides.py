"""A person's own say in what is a concept: add, forbid or merge, one per line of a tab-separated file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from hypertok.corpus.words import WORD, form_of
from hypertok.data import read_rows
from hypertok.errors import InputError
from hypertok.lexicon.grammemes import OTHER_POS, OUTSIDE, POS
from hypertok.lexicon.symbols import is_symbol

COLUMNS = ("action", "lemma", "pos", "target", "note")
_KEY = {"lemma": pl.String, "pos": pl.String}
_ALL_POS = {*POS.values(), OTHER_POS}


@dataclass(frozen=True)
class Overrides:
    """What to change, keyed by (lemma, part of speech).

    Attributes:
        add: concepts that must exist, with their symbol ('' to have one assigned).
        forbid: concepts that must not.
        merge: concepts whose forms go to another lemma of the same part of speech.
        places: file and line of each, for messages.
    """

    add: dict[tuple[str, str], str] = field(default_factory=dict)
    forbid: frozenset[tuple[str, str]] = frozenset()
    merge: dict[tuple[str, str], str] = field(default_factory=dict)
    places: dict[tuple[str, str], str] = field(default_factory=dict, compare=False)

    def __or__(self, other: Overrides) -> Overrides:
        """Both; `other` wins where they speak of the same concept."""
        spoken = other.add.keys() | other.forbid | other.merge.keys()
        wanted = {(target, pos) for (_, pos), target in other.merge.items()}
        add = {key: symbol for key, symbol in self.add.items() if key not in spoken}
        forbid = self.forbid - spoken - wanted
        merge = {
            (lemma, pos): other.merge.get((target, pos), target)
            for (lemma, pos), target in self.merge.items()
            if (lemma, pos) not in spoken | wanted and (target, pos) not in other.forbid
        }
        places = self.places | other.places
        return Overrides(add | other.add, forbid | other.forbid, merge | other.merge, places)

    def place_of(self, key: tuple[str, str]) -> str:
        """Where a concept is spoken of: file and line."""
        return self.places.get(key, "overrides")

    @property
    def added(self) -> pl.DataFrame:
        """What must exist: columns lemma, pos."""
        return pl.DataFrame(sorted(self.add), schema=_KEY, orient="row")

    def apply(self, rows: pl.DataFrame) -> pl.DataFrame:
        """`rows` (columns lemma, pos, kind) with forbidden concepts removed and merged lemmas renamed.

        What is merged is no concept of its own, so it has a kind that its target has: its own, or else the target's
        first one in the dictionary. Where the target has none there, but what is merged has («михаилович», as the
        dictionary spells «михайлович»), that is the kind of both.
        """
        forbidden = pl.DataFrame(sorted(self.forbid), schema=_KEY, orient="row")
        merges = [(*old, new) for old, new in self.merge.items()]
        merged = pl.DataFrame(merges, schema={**_KEY, "target": pl.String}, orient="row")
        rows = rows.join(forbidden, on=["lemma", "pos"], how="anti", maintain_order="left").join(
            merged, on=["lemma", "pos"], how="left", maintain_order="left"
        )
        outside = pl.col("kind").is_in(OUTSIDE)
        known = pl.col("kind").filter(~outside & pl.col("target").is_null())
        renamed = rows.with_columns(lemma=pl.coalesce("target", "lemma"))
        kinds = (
            renamed.join(merged.select("pos", lemma="target").unique(), on=[*_KEY], how="semi", maintain_order="left")
            .sort(outside, pl.col("target").is_not_null(), maintain_order=True)
            .group_by(*_KEY)
            .agg(first=pl.col("kind").first(), theirs=known)
        )
        stays = pl.col("theirs").list.contains(pl.col("kind")).fill_null(True)
        return (
            renamed.join(kinds, on=[*_KEY], how="left", maintain_order="left")
            .with_columns(kind=pl.when(stays).then("kind").otherwise("first"))
            .drop("target", "first", "theirs")
        )


def read_overrides(path: Path) -> Overrides:
    """Read an overrides file.

    Columns: action (add, forbid, merge), lemma, pos, target (for merge: the lemma to merge into; for add: a
    symbol, or empty), note (free). Lines starting with # are comments.

    Raises:
        InputError: names the file, the line and what is wrong.
    """
    add: dict[tuple[str, str], str] = {}
    forbid: set[tuple[str, str]] = set()
    merge: dict[tuple[str, str], str] = {}
    lines: dict[tuple[str, str], int] = {}
    for number, row in read_rows(path, COLUMNS):
        key = row["lemma"], row["pos"]
        problem = _problem(row) or (f"the same concept as line {lines[key]}" if key in lines else "")
        if problem:
            raise InputError(f"{path}:{number}: {problem}")
        lines[key] = number
        if row["action"] == "add":
            if row["target"] and row["target"] in add.values():
                raise InputError(
                    f"{path}:{number}: the symbol {row['target']!r} is given to two concepts; give one of them another"
                )
            add[key] = row["target"]
        elif row["action"] == "forbid":
            forbid.add(key)
        else:
            merge[key] = row["target"]
    for (lemma, pos), target in merge.items():
        if (target, pos) in merge:
            raise InputError(
                f"{path}:{lines[lemma, pos]}: {lemma!r} is merged into {target!r}, which is itself merged "
                f"elsewhere on line {lines[target, pos]}; name the final lemma"
            )
        if (target, pos) in forbid:
            raise InputError(
                f"{path}:{lines[lemma, pos]}: {lemma!r} is merged into {target!r}, which line "
                f"{lines[target, pos]} forbids; drop one of the two lines"
            )
    return Overrides(add, frozenset(forbid), merge, {key: f"{path}:{line}" for key, line in lines.items()})


def _problem(row: dict[str, str]) -> str:
    """What is wrong with a row, '' if nothing."""
    lemma, target = row["lemma"], row["target"]
    if row["action"] not in ("add", "forbid", "merge"):
        return f"unknown action {row['action']!r}; expected add, forbid or merge"
    if not all(map(_is_form, lemma.split(" "))):
        return (
            f"the lemma {lemma!r} must be Cyrillic words in lower case, without stress marks, joined by single spaces"
        )
    if row["pos"] not in _ALL_POS:
        return f"unknown part of speech {row['pos']!r}; expected one of {', '.join(sorted(_ALL_POS))}"
    if row["action"] == "merge" and (not _is_form(target) or " " in lemma):
        return f"merge needs single words in lower case; got {lemma!r} into {target!r}"
    if row["action"] == "merge" and lemma == target:
        return f"{lemma!r} is merged into itself; drop the line"
    if row["action"] == "forbid" and target:
        return f"forbid takes no target; got {target!r}"
    if row["action"] == "add" and target and len(target) != 1:
        return f"the symbol {target!r} must be exactly one character"
    if row["action"] == "add" and target and not is_symbol(target):
        return (
            f"{target!r} (U+{ord(target):04X}) cannot be a symbol; take one that normalisation leaves alone: "
            "a hanzi, an emoji or another sign"
        )
    return ""


def _is_form(word: str) -> bool:
    """Whether a word is written the way the lexicon keys its forms."""
    return WORD.fullmatch(word) is not None and form_of(word) == word
