"""Mean of the constituents' rows by their place: input from the last ones mostly, output from the first ones.

What a transformer knows of a word it has gathered where the word ends, and what it has to guess when a word begins is
the first piece: so the last constituent says more of the input row, the first one more of the output row. Taken alone
each is far too much (first constituent 2.99 bits per character, last 3.08, `weighted` 2.40 on tied Gemma-3-270M),
hence a mix, with no attention weights to learn or to run. Mean in and a mix with the first constituent out was 2.52 on
that model, so for tied ones expect nothing of it; it is meant for untied ones, on which nothing is measured yet. The
ratio is a guess, not a fit.

Source: weights that fall with the place, last first for the input and first first for the output, are AdaptiVocab's
(Nakash et al., 2025: exp(2 x place)); the ratio and the mean for tied models are the project's own.
"""

from __future__ import annotations

from hypertok.model.constituents import Constituents, combine
from hypertok.model.initialise.rows import NewRows, StockRows

#: Weight of a constituent against that of its neighbour nearer to the heavy end.
RATIO = 0.5


def initialise(rows: StockRows, units: Constituents) -> NewRows:
    """New rows; a tied model, whose rows serve both ends, gets the mean of both mixes."""
    last, first = units.by_place(RATIO, last=True), units.by_place(RATIO, last=False)
    if rows.output is None:
        return NewRows(combine(rows.input, units, (last + first) / 2))
    return NewRows(combine(rows.input, units, last), combine(rows.output, units, first))
