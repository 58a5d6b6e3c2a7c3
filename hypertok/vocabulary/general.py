"""Words that the corpus shows rarely or not at all, with the weight they deserve: general Russian."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

import polars as pl

_RUSSIAN = re.compile("[а-яё]+")


def general_words(words: pl.DataFrame) -> pl.DataFrame:
    """Words of general Russian by how frequent they are: run (the word as written, with the space before it), share.

    The frequencies are those of the package wordfreq (Speer 2022), whose large Russian list holds every word used at
    least once in a hundred million. Upper and lower case, and whether a space stands before the word, are as in the
    corpus, for words it lacks as for its rarest ones.

    Args:
        words: the corpus's words: run, count (see `texts.word_table`).
    """
    general = _general_forms()
    seen = words.with_columns(form=pl.col("run").str.strip_chars().str.to_lowercase())
    total = pl.col("count").sum().over("form")
    seen = seen.with_columns(part=pl.col("count") / total, total=total)
    rare = seen.filter(pl.col("total") <= 2)
    known_words = general.join(seen.filter(pl.col("total") > 2).select("form", "run", "part"), on="form")
    unknown = general.join(seen.filter(pl.col("total") > 2).select("form").unique(), on="form", how="anti")
    shapes = pl.concat([unknown.with_columns(run=run, part=pl.lit(part)) for run, part in _shapes(rare)])
    table = pl.concat([frame.select("run", share=pl.col("share") * pl.col("part")) for frame in (known_words, shapes)])
    table = table.sort("share", "run", descending=[True, False])  # first: a sum of floats hangs on their order
    return table.with_columns(pl.col("share") / pl.col("share").sum())


@cache
def _general_forms() -> pl.DataFrame:
    """Forms in lower case and their shares: form, share. Takes two seconds, once."""
    import wordfreq

    known = wordfreq.get_frequency_dict("ru", wordlist="large")
    pairs: Iterable[tuple[str, float]] = ((word, share) for word, share in known.items() if _RUSSIAN.fullmatch(word))
    return pl.DataFrame(list(pairs), schema={"form": pl.String, "share": pl.Float64}, orient="row")


def _shapes(rare: pl.DataFrame) -> list[tuple[pl.Expr, float]]:
    """How rare words are written: (expression over `form`, share of the uses)."""
    form = pl.col("form")
    title = form.str.slice(0, 1).str.to_uppercase() + form.str.slice(1)
    spaced = pl.lit(" ")
    uses = rare.select(
        space=pl.col("run").str.starts_with(" "),
        title=pl.col("run").str.strip_chars().str.contains("^[А-ЯЁ]"),
        count="count",
    )
    total = max(1, int(uses["count"].sum()))
    made = []
    for space, capital, run in (
        (True, False, spaced + form), (True, True, spaced + title), (False, False, form), (False, True, title),
    ):  # fmt: skip
        matching = uses.filter((pl.col("space") == space) & (pl.col("title") == capital))
        made.append((run, int(matching["count"].sum()) / total))
    return made
