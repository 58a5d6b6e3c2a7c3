"""Which candidates are terms: how firmly they hold together, and whether they stand on their own.

The thresholds were chosen on technical documentation (1.35 million words), reading samples of every band of
association; benchmarks/phrases.md has the precision they give.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from hypertok.lexicon.phrase_counts import Candidates, Numbers, sub_candidates
from hypertok.lexicon.phrase_readings import KEYS
from hypertok.lexicon.phrase_uses import Uses
from hypertok.lexicon.phrase_words import WordTable

Floats = npt.NDArray[np.float64]

#: Least association by kind of a term that occurs as rarely as allowed. Relational adjectives name
#: («операционная система»), qualitative ones describe, genitives combine freely, those after a noun that is a frame
#: for any other («день рождения») most of all, and a long phrase must be more than its parts.
MIN_SCORE = {"relational": 0.45, "describing": 0.60, "genitive": 0.56, "framed": 0.66, "long": 0.58}
#: (association that each doubling of the count above the minimum stands for, limit). Of judged terms seen
#: 4 to 7 times 71 % were good, of commoner ones 92 %. Describing adjectives get less: «полный список» is
#: frequent because lists are.
BONUS = {
    "relational": (0.075, 0.36),
    "describing": (0.04, 0.20),
    "genitive": (0.075, 0.36),
    "framed": (0.04, 0.20),
    "long": (0.04, 0.20),
}
#: Share of one and the same neighbour from which a candidate is a piece of something longer.
SURROUNDED = 0.8
#: Share of its uses inside one longer term from which the shorter one is not listed beside it.
NESTED = 0.75
#: Share of one form from which a phrase that always follows the same word is a set expression («по мере …»).
FROZEN = 0.9


def associate(
    concepts: pl.DataFrame,
    of_row: Sequence[Numbers],
    tables: tuple[Candidates, Candidates, Candidates],
    words: WordTable,
    total: float,
) -> Floats:
    """How firmly each concept holds together, 0 (chance) to 1 (its words never occur apart). Shape (C,)

    Normalised pointwise mutual information of the weaker of two splits, first word against the rest and
    last word against the rest. It is discounted for small counts, because one meeting of two words that
    occur once proves nothing. `total` is the number of words in the corpus.
    """
    count = concepts["count"].to_numpy().astype(np.float64)
    length = concepts["length"].to_numpy()
    keys = concepts.select(KEYS).to_numpy()
    word_counts = words.words["count"].to_numpy()
    first = np.maximum(word_counts[keys[:, 0]], count) if len(keys) else count
    last = np.maximum(word_counts[keys[np.arange(len(keys)), length - 1]], count) if len(keys) else count
    beginning, rest = first.copy(), last.copy()
    for n, part, rows in sub_candidates(*tables):
        if part != n - 1:
            continue
        for side, column in ((beginning, rows[:, 0]), (rest, rows[:, 1])):
            parts = pl.DataFrame({"concept": of_row[n - 2], "part": column}).unique()
            parts = parts.filter((pl.col("concept") >= 0) & (pl.col("part") >= 0))
            uses = tables[part - 2].counts[parts["part"].to_numpy()]
            sums = np.bincount(parts["concept"].to_numpy(), uses, len(count))
            side[length == n] = np.maximum(sums, count)[length == n]
    return np.minimum(_npmi(count, first, rest, total), _npmi(count, beginning, last, total))


def _npmi(both: Floats, left: Floats, right: Floats, total: float) -> Floats:
    """Normalised PMI (Bouma, 2009), less where counts are small (discount of Pantel and Lin, 2002, with 1/2 for 1)."""
    smaller = np.minimum(left, right)
    normal = np.log(np.maximum(total / both, 2.0))
    npmi = np.log(both * total / (left * right)) / normal
    strength: Floats = np.clip(npmi, 0.0, 1.0) * both / (both + 0.5) * smaller / (smaller + 0.5)
    return strength


def threshold(concepts: pl.DataFrame, words: WordTable, min_count: int) -> Floats:
    """Association each concept needs, by its kind and count. Shape (C,)"""
    loose = words.words["loose"].gather(concepts["k0"]).alias("loose")
    kind = (
        pl.when(pl.col("length") > 2).then(pl.lit("long"))
        .when((pl.col("shape") == "NN") & pl.col("loose")).then(pl.lit("framed"))
        .when(pl.col("shape") == "NN").then(pl.lit("genitive"))
        .when(pl.col("loose")).then(pl.lit("describing"))
        .otherwise(pl.lit("relational"))
    )  # fmt: skip
    kinds = concepts.with_columns(loose).select(kind=kind)["kind"]
    doublings = np.log2(concepts["count"].to_numpy() / min_count)
    needed = np.zeros(len(kinds))
    for name, least in MIN_SCORE.items():
        slope, limit = BONUS[name]
        mine = (kinds == name).to_numpy()
        needed[mine] = least - np.minimum(slope * doublings[mine], limit)
    return needed


def observe(uses: Uses, words: WordTable) -> pl.DataFrame:
    """What surrounds each concept, from all its uses.

    Columns: concept, joined (share of uses with a number or a Latin word joined to the front), left_share and
    right_share (of the commonest neighbour, as part of all uses), left_content and right_content (whether that is a
    noun or an adjective), title and titles (share of uses in which the second word, and both of the first two, have a
    capital; for both inside sentences, if there are such uses: «Болезнь Крона» may begin one).
    """
    content = (words.adjective | words.noun) != 0
    all_uses, inside = pl.col("uses"), pl.col("inside")
    seen = uses.concepts.select(
        "concept",
        "uses",
        joined=pl.col("joined") / all_uses,
        title=pl.col("title") / all_uses,
        titles=pl.when(inside > 0).then(pl.col("titles_inside") / inside).otherwise(pl.col("titles") / all_uses),
    )
    for side, neighbours in (("left", uses.left), ("right", uses.right)):
        top = (
            neighbours.rename({"uses": "top"})
            .sort("concept", "top", side, descending=[False, True, False])
            .unique("concept", keep="first", maintain_order=True)
        )
        top = top.with_columns(pl.Series(f"{side}_content", content[top[side].to_numpy()]))
        seen = seen.join(top.drop(side), on="concept", how="left").with_columns(
            (pl.col("top").fill_null(0) / pl.col("uses")).alias(f"{side}_share"),
            pl.col(f"{side}_content").fill_null(False),
        )
        seen = seen.drop("top")
    return seen.drop("uses")


def stands_alone() -> pl.Expr:
    """Whether an observed concept is neither a fragment, nor a set expression, nor the name of a person."""
    left, right = pl.col("left_share") >= SURROUNDED, pl.col("right_share") >= SURROUNDED
    fragment = (pl.col("joined") >= 0.5) | (left & pl.col("left_content")) | (right & pl.col("right_content"))
    frozen = left & (pl.col("top_form") >= FROZEN)
    pair, noun_pair = pl.col("length") == 2, pl.col("shape") == "NN"
    person = pair & (pl.col("titles") >= SURROUNDED) & (noun_pair | pl.col("of_name"))
    # «князя Андрея» looks like a genitive after a noun, but the name follows its title through all cases.
    title = noun_pair & (pl.col("title") >= SURROUNDED) & (pl.col("animate") | (pl.col("no_genitive") < 0.2))
    return ~(fragment | frozen | person | title)


def nested(
    of_row: Sequence[Numbers], tables: tuple[Candidates, Candidates, Candidates], concepts: pl.DataFrame
) -> pl.Series:
    """Those of `concepts` that hardly occur outside one longer concept of the same table."""
    found = []
    for n, part, rows in sub_candidates(*tables):
        inner = np.append(of_row[part - 2], -1)
        found += [
            pl.DataFrame({"concept": inner[column], "whole": of_row[n - 2], "inside": tables[n - 2].counts})
            for column in rows.T
        ]
    chosen = concepts.select("concept", "count")
    return (
        pl.concat(found)
        .join(chosen, on="concept")
        .join(chosen.select(whole="concept"), on="whole")
        .group_by("concept", "whole")
        .agg(pl.col("inside").sum(), pl.col("count").first())
        .filter(pl.col("inside") >= NESTED * pl.col("count"))["concept"]
        .unique()
        .sort()
    )
