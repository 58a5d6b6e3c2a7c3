"""What must hold of any lexicon, as helpers, so that every way of building is held to the same; and looks into one."""

from __future__ import annotations

import re

import polars as pl

from hypertok.codec import marks
from hypertok.lexicon.lexicon import Lexicon

KEY = ["lemma", "pos", "kind"]


def files_of(lexicon: Lexicon) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(lexicon.folder.iterdir())}


def symbols_of(lexicon: Lexicon) -> dict[tuple[str, ...], str]:
    return {(row[0], row[1], row[2]): row[3] for row in lexicon.concepts.select(*KEY, "symbol").iter_rows()}


def concept_keys(lexicon: Lexicon) -> set[tuple[str, str]]:
    return set(lexicon.concepts.select("lemma", "pos").iter_rows())


def code_words(lexicon: Lexicon, form: str) -> str:
    """The lemma of the concept by which a form is written, '' if it stays raw."""
    row = lexicon.book.main_row(form)
    return "" if row is None else str(lexicon.concepts["lemma"][lexicon.book.concept_at(row)])


def assert_consistent(lexicon: Lexicon) -> None:
    """Everything that must hold of any lexicon's tables."""
    concepts, forms = lexicon.concepts, lexicon.forms
    assert concepts.height
    assert forms.height
    assert concepts.null_count().sum_horizontal().item() == forms.null_count().sum_horizontal().item() == 0
    assert concepts["symbol"].is_unique().all()
    assert concepts.select(KEY).is_unique().all()
    assert set(concepts["symbol"].str.len_chars()) == {1}

    main = forms.filter("main")
    assert main["form"].is_unique().all(), "two main rows for one form"
    assert main.select("concept", "inflection", "variant").is_unique().all(), "two forms with one code"
    assert forms.select("form", "concept", "inflection").is_unique().all(), "a reading twice"
    assert main["variant"].max() <= len(marks.VARIANTS)

    sums = forms.group_by("form").agg(pl.col("probability").sum())["probability"]
    assert ((sums - 1).abs() < 1e-3).all(), "probabilities do not sum to 1"
    assert forms["probability"].is_between(0, 1.0001).all()
    assert (forms["count"] >= 0).all()
    assert (forms.filter(~pl.col("attested"))["count"] == 0).all()
    assert (forms.filter("attested").group_by("form").agg(pl.col("count").sum())["count"] > 0).all()

    order = forms.select("concept", "inflection")
    assert order.equals(order.sort("concept", "inflection"))
    by_form = forms["form"].gather(forms["by_form"])
    assert by_form.is_sorted()
    assert forms["concept"].max() < concepts.height
    words = concepts["lemma"].str.split(" ").list.len()
    assert (concepts["cases"].str.len_chars().cast(words.dtype) == words).all()


def assert_decodes(lexicon: Lexicon) -> None:
    """Every main form comes back from its own code, in its usual case and in others, never raw."""
    raw = []
    for form in lexicon.forms.filter("main")["form"].to_list():
        for surface in (form, form.capitalize(), form.upper()):
            code = lexicon.encode(surface)
            assert lexicon.decode(code) == surface
            if re.search("[а-яё]", code.lower()):
                raw.append(surface)
    assert not raw, raw[:20]
