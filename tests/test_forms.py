"""The table of forms does not depend on the order in which its rows were made."""

from __future__ import annotations

import random

import polars as pl

from hypertok.lexicon.forms import COLUMNS, number_variants, without_yo

ROWS = [
    # Two verbs meet in one spelling without ё: «подметён» and «подмётен», the commoner one last by spelling.
    ("подметён", 7, 3),
    ("подмётен", 4, 3),
    ("ёлка", 1, 4),
    ("ёлки", 1, 5),
    ("елки", 9, 5),
    ("тёплый", 2, 22),
]


def table(rows: list[tuple[str, int, int]]) -> pl.DataFrame:
    frame = pl.DataFrame(rows, schema=["form", "concept", "inflection"], orient="row")
    return frame.with_columns(main=True, attested=True, count=1.0, probability=1.0)


def test_the_same_table_for_every_order_of_rows() -> None:
    expected = number_variants(without_yo(table(ROWS)))
    assert expected.columns == list(COLUMNS)
    for seed in range(20):
        rows = random.Random(seed).sample(ROWS, len(ROWS))
        assert number_variants(without_yo(table(rows))).equals(expected)


def test_the_commoner_concept_owns_a_spelling_without_yo_and_no_other_form_is_taken() -> None:
    forms = without_yo(table(ROWS))
    assert forms.filter(form="подметен")["concept"].to_list() == [4]
    assert forms.filter(form="елки")["concept"].to_list() == [9]
    assert forms.filter(form="елка").select("concept", "attested").rows() == [(1, False)]


def test_variants_of_a_base_stay_over_many_builds() -> None:
    """Also when a spelling is another concept's for a time, and whichever is the commoner one."""
    rows = table([("весной", 3, 7), ("весною", 3, 7)]).with_columns(count=pl.Series([5.0, 1.0]))
    first = number_variants(rows)
    taken = rows.with_columns(main=pl.Series([False, True]), count=pl.Series([0.0, 9.0]))
    second = number_variants(taken, old=first)
    third = number_variants(pl.concat([taken, table([("весною́", 3, 7)])]), old=second)
    for found in (first, second, third):
        assert found["form"].to_list()[:2] == ["весной", "весною"]
        assert found["variant"].to_list()[:2] == [0, 1]
    assert number_variants(taken)["form"].to_list() == ["весною", "весной"], "without a base the main one is the first"


def test_the_last_variant_of_a_base_is_no_other_spelling_afterwards() -> None:
    """Of 18 spellings the last two have the last mark's number, and one of them alone is written with it."""
    rows = table([(f"слово{number}", 3, 7) for number in range(18)])
    first = number_variants(rows.with_columns(count=pl.Series([20.0 - number for number in range(18)])))
    assert first["variant"].to_list()[-2:] == [16, 16]
    assert first["main"].to_list()[-2:] == [True, False]
    counts = [20.0 - number for number in range(17)] + [900.0]
    second = number_variants(rows.with_columns(count=pl.Series(counts)), old=first)
    assert second["form"].to_list() == first["form"].to_list()
    assert second["main"].to_list() == first["main"].to_list()
