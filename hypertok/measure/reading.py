"""What reading a text in units costs, where what comes after it is written in stock tokens.

A passage is read in four ways: in stock tokens; in units; in units but for its end, as a long memory before a question
is; and in as many stock tokens as that, the last ones, which is what the same memory would hold without units. After it
comes first what follows it in the text, which hangs on its end most, and then some of the passage again, which is a
matter of memory. That is the same stock tokens each time and the units are forbidden in it, so the bits compare token
by token. As long as no adapter was trained, only the rows of the units are others than the stock model's, and the first
way is its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from hypertok.errors import InputError
from hypertok.measure.bootstrap import Interval, paired_ratio
from hypertok.measure.coding import Coding, encode_checked
from hypertok.measure.emission import require_new_units
from hypertok.measure.passages import spread
from hypertok.measure.quality import check_windows
from hypertok.measure.scoring import Bits, Window, token_bits
from hypertok.measure.subject import Subject
from hypertok.tokenizer.spelling import Ids, Spelling

#: Stock tokens that follow a passage, and as many of it that come again: at most, and at most a quarter of the context.
FOLLOW = 128
#: Stock tokens, about, that stay at the end of what is read: what follows hangs on these most.
RECENT = 64
#: Between what follows and what comes again.
_BREAK = "\n\n"
_WAYS = 4


@dataclass(frozen=True)
class Ways:
    """Bits per character of the same stock tokens, after a passage that was read in four ways.

    Attributes:
        characters: of what is predicted.
        stock, units, recent, as_many: bits per character where the passage was read in stock tokens, in units, in units
            but for the last `RECENT` stock tokens, and in as many stock tokens as that.
        units_over_stock, recent_over_stock, as_many_over_stock: ratios of them, by document; None for a single one.
    """

    characters: int
    stock: float
    units: float
    recent: float
    as_many: float
    units_over_stock: Interval | None = None
    recent_over_stock: Interval | None = None
    as_many_over_stock: Interval | None = None


@dataclass(frozen=True)
class Reading:
    """What comes after passages that were read in four ways.

    Attributes:
        passages, documents: how many there were.
        context: stock tokens of a passage with what comes after it, start included: at most.
        stock_tokens, unit_tokens, recent_tokens: of what is read: in stock tokens, in units, in units but for its end.
        follows: what follows the passage.
        again: a stretch of the passage that comes again, after that.
    """

    passages: int
    documents: int
    context: int
    stock_tokens: int
    unit_tokens: int
    recent_tokens: int
    follows: Ways
    again: Ways


@dataclass(frozen=True, eq=False)
class _Passage:
    """What is read, in the four ways, and what comes after it, with the characters that it stands for."""

    document: int
    stock: Ids
    units: Ids
    recent: Ids
    follows: Ids
    again: Ids
    characters: tuple[int, int]

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
    """Read passages of the texts and predict what follows and some of them again, `context` stock tokens together.

    Args:
        passages: at most, evenly over the texts.
        seed: of the places of what comes again, and of the intervals.

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
    cut = _Cut(coding, coding.spelling(), context, np.random.default_rng(seed))
    encoded = (encode_checked(coding.encode, text, subject.rows, subject.name) for text in texts)
    found = spread([one for number, ids in enumerate(encoded) for one in cut.passages(ids, number)], passages)
    if not found:
        raise InputError(
            f"no text has {context} stock tokens, so none is a passage; give longer texts, or less context"
        )
    tails = [np.concatenate([one.follows, cut.gap, one.again]) for one in found]
    windows = [
        Window(np.concatenate([cut.start, before, tail]), len(tail))
        for one, tail in zip(found, tails, strict=True)
        for before in one.ways
    ]
    bits = token_bits(subject.model, windows, without=sorted(coding.new_ids))
    documents = sorted({one.document for one in found})
    sums, characters = np.zeros((2, len(documents), _WAYS)), np.zeros((2, len(documents)))
    for number, one in enumerate(found):
        row, ways = documents.index(one.document), bits[number * _WAYS : (number + 1) * _WAYS]
        sums[0, row] += [way[: len(one.follows)].sum() for way in ways]
        sums[1, row] += [way[len(way) - len(one.again) :].sum() for way in ways]
        characters[:, row] += one.characters
    follows, again = (_ways(*columns, seed) for columns in zip(sums, characters, strict=True))
    return Reading(
        passages=len(found),
        documents=len(documents),
        context=context,
        stock_tokens=sum(len(one.stock) for one in found),
        unit_tokens=sum(len(one.units) for one in found),
        recent_tokens=sum(len(one.recent) for one in found),
        follows=follows,
        again=again,
    )


def _ways(sums: Bits, characters: Bits, seed: int) -> Ways:
    """Bits (documents, ways) and characters (documents,)."""
    over = [
        paired_ratio((way, characters), (sums[:, 0], characters), seed=seed) if len(characters) > 1 else None
        for way in sums.T[1:]
    ]
    return Ways(int(characters.sum()), *(sums.sum(axis=0) / characters.sum()).tolist(), *over)


class _Cut:
    """Cuts texts into passages of `context` stock tokens, start and what comes after included; no unit is cut."""

    def __init__(self, coding: Coding, spelling: Spelling, context: int, generator: np.random.Generator) -> None:
        self.coding, self.spelling, self.generator = coding, spelling, generator
        self.start = np.asarray(coding.start, np.int64)
        self.gap = spelling.spell(np.asarray(coding.encode(_BREAK), np.int64))[0]
        self.after = min(FOLLOW, (context - len(self.start)) // 4)
        self.room = context - len(self.start) - len(self.gap) - self.after  # for a passage and what follows it

    def passages(self, ids: Ids, document: int) -> Iterator[_Passage]:
        """Those of a text."""
        ends = np.concatenate([[0], self.spelling.spell(ids)[1].cumsum()])
        begin, read = 0, self.room - self.after

        def within(place: int, tokens: int) -> int:
            """Where a stretch ends that begins at a token and has so many stock tokens at most."""
            return int(np.searchsorted(ends, ends[place] + tokens, side="right")) - 1

        while ends[-1] - ends[begin] >= self.room:
            middle, end = within(begin, read), within(begin, self.room)
            last = int(np.searchsorted(ends[: middle + 1], ends[middle] - self.after, side="right")) - 1
            place = int(self.generator.integers(begin, max(begin, last) + 1))
            till = within(place, self.after)
            if not (begin < middle < end and place < till):
                return  # a context that a single unit fills
            units, (follows, characters) = ids[begin:middle], self._text(ids, begin, middle, end)
            again, repeated = self._text(ids, begin, place, till)
            kept = ends[middle] - ends[begin:middle] > RECENT
            stock, recent = self.spelling.spell(units)[0], self.spelling.spell(units, kept)[0]
            yield _Passage(document, stock, units, recent, follows, again, (characters, repeated))
            begin = end

    def _text(self, ids: Ids, begin: int, first: int, end: int) -> tuple[Ids, int]:
        """Stock tokens of a part of the ids, and the characters that they stand for behind what begins at `begin`."""
        part = self.spelling.spell(ids[first:end])[0]
        before = [*self.coding.start, *ids[begin:first].tolist()]
        return part, len(self.coding.continuation(before, part.tolist()))
