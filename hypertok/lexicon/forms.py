"""The table of forms: what the corpus showed, completed by every other form of each concept's paradigm.

Every form has one *main* row, the one the codec writes: its dominant concept, and of that concept the first
inflection in grammar-book order («печени» is written as the genitive singular whatever the sentence says).
The other rows keep the other readings.
"""

from __future__ import annotations

import polars as pl

from hypertok.codec.marks import VARIANTS
from hypertok.lexicon.concepts import Readings, dominant, share_of_form
from hypertok.lexicon.grammemes import concept_pos, inflection_of
from hypertok.lexicon.inflections import Inflections
from hypertok.lexicon.morphology import Analyses, paradigm_places
from hypertok.lexicon.symbols import KEY

COLUMNS = {
    "form": pl.String,
    "concept": pl.UInt32,
    "inflection": pl.UInt16,
    "variant": pl.UInt8,
    "main": pl.Boolean,
    "attested": pl.Boolean,
    "count": pl.Float32,
    "probability": pl.Float32,
}


def form_table(
    readings: Readings, analyses: Analyses, concepts: pl.DataFrame, inflections: Inflections
) -> pl.DataFrame:
    """All forms of single-word concepts: form, concept, inflection, main, attested, count, probability.

    Args:
        concepts: the final concept table in id order, with columns lemma, pos, kind, count.
    """
    ids = concepts.with_row_index("concept").select(*KEY, "concept", total="count")
    rows = readings.rows.join(ids, on=KEY, maintain_order="left")
    # Of the concepts that are left: the commonest ones alone may be, and a form's dominant one not among them.
    main = dominant(rows).join(ids, on=KEY).select("form", main_concept="concept")
    attested = (
        rows.with_columns(probability=share_of_form())
        .join(main, on="form", how="left", maintain_order="left")
        .with_columns(chosen=pl.col("concept") == pl.col("main_concept"))
        .with_columns(first=pl.col("inflection").min().over("form", "concept"))
        .select(
            "form", "concept", "inflection",
            main=pl.col("chosen") & (pl.col("inflection") == pl.col("first")),
            attested=pl.col("count") > 0,
            count=pl.col("weight"),
            probability="probability",
        )
    )  # fmt: skip
    completed = _complete(rows, analyses, inflections, attested)
    return pl.concat([attested, completed], how="vertical_relaxed")


def without_yo(forms: pl.DataFrame) -> pl.DataFrame:
    """Adds the spelling with е of every form written with ё, where no other form is spelled so."""
    spelled = (
        forms.filter(pl.col("main") & pl.col("form").str.contains("ё", literal=True))
        # «подметён» and «подмётен» are spelled alike without ё: the commoner concept comes first.
        .sort("concept", "inflection", "form")
        .with_columns(
            form=with_e("form"),
            attested=pl.lit(False), count=pl.lit(0.0), probability=pl.lit(1.0),
        )
        .unique("form", keep="first", maintain_order=True)
        .join(forms.select("form"), on="form", how="anti")
    )  # fmt: skip
    return pl.concat([forms, spelled], how="vertical_relaxed")


def _complete(rows: pl.DataFrame, analyses: Analyses, inflections: Inflections, attested: pl.DataFrame) -> pl.DataFrame:
    """Forms of the concepts' paradigms that the corpus never showed; the commonest concept owns each."""
    wanted = rows.filter(pl.col("lexeme") >= 0).select("lexeme", "concept", "pos", "total").unique()
    lexemes = analyses.lexemes.with_row_index("lexeme").cast({"lexeme": pl.Int32})
    wanted = wanted.join(lexemes, on="lexeme")
    paradigms = _paradigm_table(wanted["paradigm"].unique().sort().to_list(), inflections)
    made = (
        wanted.join(paradigms, on=["paradigm", "pos"])
        .select("concept", "total", "inflection", form=pl.concat_str("prefix", "before", "stem", "ending"))
        .join(attested.select("form").unique(), on="form", how="anti")
        .group_by("form", "concept")
        .agg(pl.col("inflection").min(), pl.col("total").first())
    )
    owner = pl.col("concept").sort_by(["total", "concept"], descending=[True, False]).first().over("form")
    return made.select(
        "form", "concept", "inflection", main=pl.col("concept") == owner, attested=pl.lit(False),
        count=pl.lit(0.0), probability=(1 / pl.len().over("form")).cast(pl.Float64),
    )  # fmt: skip


def _paradigm_table(numbers: list[int], inflections: Inflections) -> pl.DataFrame:
    """One row per place of each paradigm: paradigm, before, ending, pos, inflection."""
    rows = []
    for number in numbers:
        for before, ending, tag in paradigm_places(number):
            rows.append((number, before, ending, concept_pos(tag), inflections.id_of(inflection_of(tag))))
    schema = {
        "paradigm": pl.Int32, "before": pl.String, "ending": pl.String, "pos": pl.String,
        "inflection": pl.UInt16,
    }  # fmt: skip
    return pl.DataFrame(rows, schema=schema, orient="row").unique(maintain_order=True)


def number_variants(
    forms: pl.DataFrame, lemmas: pl.Series | None = None, old: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Adds `variant` and sorts the table: forms of one concept with the same inflection are told apart.

    The commonest spelling is variant 0, and the lemma (with ё or е) before all others, so that a symbol
    without marks says its lemma («Иванович», not «Ивановна»). Where there are more spellings than variant
    marks, the rarest stay without a main row, and the codec leaves them as they are.

    Args:
        lemmas: the lemma of every concept.
        old: the table of the base lexicon, whose rows keep their variants: symbol text is written with them. Those that
            are not main too, for they may have been in a lexicon before that one.
    """
    lemmas = pl.Series([], dtype=pl.String) if lemmas is None else lemmas
    lemma = lemmas.alias("lemma").to_frame().with_row_index("concept")
    forms = forms.join(lemma, on="concept", how="left").with_columns(
        lemma=(with_e("form") == with_e("lemma")).fill_null(False)
    )
    place = pl.int_range(pl.len()).over("concept", "inflection")  # beyond the last mark `variant` is the same for all
    had = (pl.DataFrame(schema=COLUMNS) if old is None else old).select("concept", "inflection", "form", had=place)
    forms = forms.join(had, on=["concept", "inflection", "form"], how="left", maintain_order="left")
    order = ["concept", "inflection", "had", "main", "lemma", "count", "attested", "form"]
    forms = forms.sort(order, descending=[False, False, False, True, True, True, True, False], nulls_last=True)
    rank = pl.int_range(pl.len()).over("concept", "inflection")
    return (
        forms.with_columns(rank=rank)
        .with_columns(
            variant=pl.col("rank").clip(0, len(VARIANTS)).cast(pl.UInt8),
            main=pl.col("main") & (pl.col("rank") <= len(VARIANTS)),
        )
        .select([pl.col(name).cast(dtype) for name, dtype in COLUMNS.items()])
    )


def with_e(*columns: str) -> pl.Expr:
    """The columns with every ё written as е, so that two spellings of a word compare as equal."""
    return pl.col(*columns).str.replace_all("ё", "е", literal=True)
