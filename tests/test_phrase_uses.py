"""Uses of concepts, summed up stream by stream."""

from __future__ import annotations

from collections import Counter

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypertok.corpus.stream import LOWER, TITLE, UPPER
from hypertok.lexicon import phrase_uses
from hypertok.lexicon.phrase_uses import sum_uses

SCHEMA = {
    "concept": pl.Int64, "left": pl.Int64, "right": pl.Int64, "cases": pl.UInt8, "inside": pl.Boolean,
    "joined": pl.Boolean,
}  # fmt: skip
NUMBER = st.integers(0, 3)
USE = st.tuples(NUMBER, st.integers(-2, 3), st.integers(-2, 3), st.integers(0, 255), st.booleans(), st.booleans())
Use = tuple[int, int, int, int, bool, bool]


def table(uses: list[Use]) -> pl.DataFrame:
    return pl.DataFrame(uses, schema=SCHEMA, orient="row")


@given(st.lists(st.lists(USE, max_size=6), min_size=1, max_size=6))
def test_sums_are_those_of_all_uses_together(streams: list[list[Use]]) -> None:
    found = sum_uses(map(table, streams))
    every = [use for uses in streams for use in uses]
    assert dict(found.concepts.select("concept", "uses").iter_rows()) == Counter(use[0] for use in every)
    for side, neighbours in ((1, found.left), (2, found.right)):
        expected = Counter((use[0], use[side]) for use in every if use[side] >= 0)
        assert {(concept, word): uses for concept, word, uses in neighbours.iter_rows()} == expected
    counts = dict(zip(found.concepts["concept"].to_list(), found.case_counts().tolist(), strict=True))
    for row in found.concepts.iter_rows(named=True):
        mine = [use for use in every if use[0] == row["concept"]]
        words = [[use[3] >> 2 * place & 3 for place in range(4)] for use in mine]
        inside = [use[4] for use in mine]
        assert row["joined"] == sum(use[5] for use in mine)
        assert row["inside"] == sum(inside)
        assert row["title"] == sum(word[1] == TITLE for word in words)
        titles = [word[:2] == [TITLE, TITLE] for word in words]
        assert row["titles"] == sum(titles)
        assert row["titles_inside"] == sum(both and within for both, within in zip(titles, inside, strict=True))
        assert counts[row["concept"]] == [
            [
                sum(
                    word[place] == pattern and (place > 0 or within) for word, within in zip(words, inside, strict=True)
                )
                for pattern in (LOWER, TITLE, UPPER)
            ]
            for place in range(4)
        ]


def test_what_is_held_does_not_grow_with_the_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[int] = []
    concat = pl.concat
    monkeypatch.setattr(phrase_uses, "_ROWS", 20)
    monkeypatch.setattr(pl, "concat", lambda tables: held.append(sum(t.height for t in tables)) or concat(tables))
    uses: list[Use] = [(number % 3, number % 2, number % 5 - 2, number, True, False) for number in range(30)]
    found = sum_uses(table(uses) for _ in range(300))
    assert found.concepts["uses"].to_list() == [3000] * 3
    assert max(held) < 60
