"""What reading a text in units costs, where what follows is written in stock tokens.

A passage is read in four ways: in stock tokens; in units; in units but for its end, as a long memory before a question
is; and in as many stock tokens as that, the last ones, which is what the same memory would hold without units. What
follows is the same stock tokens each time and the units are forbidden in it, so the bits compare token by token. As
long as no adapter was trained, only the rows of the units are others than the stock model's, and the first way is its
own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from hypertok.errors import InputError
from hypertok.measure.bootstrap import Interval, paired_ratio
from hypertok.measure.emission import require_new_units
from hypertok.measure.passages import spread
from hypertok.measure.quality import check_windows
from hypertok.measure.scoring import Window, token_bits
from hypertok.measure.subject import Coding, Subject, encode_checked
from hypertok.tokenizer.spelling import Ids, Spelling

#: Stock tokens that follow a passage, and are predicted: at most, and at most half of the context.
FOLLOW = 128
#: Stock tokens, about, that stay at the end of what is read: what follows hangs on these most.
RECENT = 64
_WAYS = 4


@dataclass(frozen=True)
class Reading:
    """Bits per character of what follows passages that were read in four ways.

    Attributes:
        passages, documents: how many there were.
        context: stock tokens of a passage with what is predicted, start included: at most.
        characters: of what is predicted.
        stock_tokens, unit_tokens, recent_tokens: of what is read: in stock tokens, in units, in units but for its end.
        stock, units, recent, as_many: bits per character after stock tokens, after units, after units but for the last
            `RECENT` stock tokens, and after as many stock tokens as that.
        units_over_stock, recent_over_stock, as_many_over_stock: ratios of them, by document; None for a single one.
    """

    passages: int
    documents: int
    context: int
    characters: int
    stock_tokens: int
    unit_tokens: int
    recent_tokens: int
    stock: float
    units: float
    recent: float
    as_many: float
    units_over_stock: Interval | None = None
    recent_over_stock: Interval | None = None
    as_many_over_stock: Interval | None = None


@dataclass(frozen=True, eq=False)
class _Passage:
    """What is read, in the four ways, and what follows."""

    document: int
    stock: Ids
    units: Ids
    recent: Ids
    follows: Ids
    characters: int

    @property
    def ways(self) -> tuple[Ids, ...]:
        return self.stock, self.units, self.recent, self.stock[-len(self.recent) :]


def measure_reading(
    subject: Subject,
    texts: Sequence[str],
    *,
    context: int = 512,
    passages: int = 128,
    seed: int = 0,
) -> Reading:
    """Read passages of the texts and predict what follows, `context` stock tokens together.

    Args:
        passages: at most, evenly over the texts.

    Raises:
        InputError: the model has no new units or units that stock tokens do not spell, or no text is long enough.
    """
    coding = subject.coding
    require_new_units(coding, subject.name)
    if coding.spelling is None:
        raise InputError(
            f"{subject.name}: its units are of symbol text, which no stock tokens spell; leave reading out"
        )
    check_windows(subject.model.config, context, None, len(coding.start))
    spelling = coding.spelling()
    encoded = (encode_checked(coding.encode, text, subject.rows) for text in texts)
    cut = (one for number, ids in enumerate(encoded) for one in _passages(ids, number, context, coding, spelling))
    found = spread(list(cut), passages)
    if not found:
        raise InputError(
            f"no text has {context} stock tokens, so none is a passage; give longer texts, or less context"
        )
    start = np.asarray(coding.start, np.int64)
    windows = [
        Window(np.concatenate([start, before, one.follows]), len(one.follows)) for one in found for before in one.ways
    ]
    bits = token_bits(subject.model, windows, without=sorted(coding.new_ids))
    documents = sorted({one.document for one in found})
    sums, characters = np.zeros((len(documents), _WAYS)), np.zeros(len(documents))
    for number, one in enumerate(found):
        row = documents.index(one.document)
        sums[row] += [some.sum() for some in bits[number * _WAYS : (number + 1) * _WAYS]]
        characters[row] += one.characters
    stock, units, recent, as_many = (sums.sum(axis=0) / characters.sum()).tolist()
    over = [
        paired_ratio((way, characters), (sums[:, 0], characters), seed=seed) if len(documents) > 1 else None
        for way in sums.T[1:]
    ]
    return Reading(
        passages=len(found),
        documents=len(documents),
        context=context,
        characters=int(characters.sum()),
        stock_tokens=sum(len(one.stock) for one in found),
        unit_tokens=sum(len(one.units) for one in found),
        recent_tokens=sum(len(one.recent) for one in found),
        stock=stock,
        units=units,
        recent=recent,
        as_many=as_many,
        units_over_stock=over[0],
        recent_over_stock=over[1],
        as_many_over_stock=over[2],
    )


def _passages(ids: Ids, document: int, context: int, coding: Coding, spelling: Spelling) -> Iterator[_Passage]:
    """Pieces of a text's ids that come to `context` stock tokens with the start; no unit is cut."""
    _, sizes = spelling.spell(ids)
    ends = np.concatenate([[0], sizes.cumsum()])
    room, begin = context - len(coding.start), 0
    while ends[-1] - ends[begin] >= room:
        read = room - min(FOLLOW, room // 2)
        middle, end = (int(np.searchsorted(ends, ends[begin] + size, side="right")) - 1 for size in (read, room))
        if not begin < middle < end:
            return  # a context that a single unit fills
        units, follows = ids[begin:middle], spelling.spell(ids[middle:end])[0]
        kept = ends[middle] - ends[begin:middle] > RECENT
        text = coding.continuation([*coding.start, *units.tolist()], follows.tolist())
        stock, recent = spelling.spell(units)[0], spelling.spell(units, kept)[0]
        yield _Passage(document, stock, units, recent, follows, len(text))
        begin = end
