"""What a base lexicon brings along: concepts that the recipe alone would leave out, and symbols already given."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from hypertok.corpus.segments import CASES
from hypertok.errors import ArtifactError
from hypertok.lexicon.recipe import Recipe
from hypertok.lexicon.symbols import KEY


def kept_from_base(
    base: pl.DataFrame, found: pl.DataFrame, own: pl.DataFrame, forms: pl.DataFrame, vocabulary: pl.DataFrame,
    recipe: Recipe,
) -> int:  # fmt: skip
    """How many concepts of the base stay though the recipe would leave them out.

    Words that the texts lack are not counted; phrases are, all of them, and only where the recipe has none: how often
    they come is not known here.

    Args:
        base: its concepts, which have the first ids of the new lexicon, too.
        found: concepts of the texts by this recipe, but for the limit on their number.
        own: of them those within it.
        forms: of the new lexicon.
        vocabulary: of the texts.
    """
    rest = base.with_row_index("concept").join(own, on=KEY, how="anti")
    main = forms.filter("main").select("form", "concept")
    rest = rest.join(main, on="concept", how="semi")  # one that is forbidden has no forms
    rare = rest.join(found, on=KEY, how="anti")
    phrases = rare.filter(kind="phrase").height if not recipe.phrases else 0
    used = main.join(vocabulary.filter(pl.sum_horizontal(CASES) > 0), on="form", how="semi")
    words = rare.join(used, on="concept", how="semi").height if recipe.min_count > 1 else 0
    return rest.height - rare.height + phrases + words


def refuse_other_symbols(output: Path, standing: pl.DataFrame, concepts: pl.DataFrame) -> None:
    """See that no symbol of the lexicon at `output` comes to mean another concept: symbol text would be read wrongly.

    Args:
        standing: its concepts.
        concepts: those that are to take their place, or some of them.

    Raises:
        ArtifactError: one does.
    """
    both = standing.select("symbol", *KEY).join(concepts.select("symbol", *KEY), on="symbol", suffix="_now")
    other = both.filter(pl.any_horizontal(pl.col(name) != pl.col(f"{name}_now") for name in KEY))
    if other.is_empty():
        return
    first = other.sort("symbol").row(0, named=True)
    raise ArtifactError(
        f"{output}: a lexicon stands there in which {first['symbol']} is {first['lemma']!r}, and over the base "
        f"it would be {first['lemma_now']!r}: {other.height:,} symbols would mean something else, and symbol text be "
        "read wrongly; leave out the base to keep its symbols, or name another output"
    )
