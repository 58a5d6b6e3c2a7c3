"""Characters per token for growing numbers of new rows: what an extension would buy, before anything is changed."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hypertok.corpus.documents import read_documents
from hypertok.corpus.sources import Skipped
from hypertok.corpus.words import WORD
from hypertok.errors import InputError, install
from hypertok.lexicon.lexicon import Lexicon
from hypertok.measure.tokens import count_tokens, without_words
from hypertok.progress import Steps, silent
from hypertok.tokenizer.extend import ExtendOptions, learn
from hypertok.tokenizer.stock import Stock, tokenizer_of
from hypertok.tokenizer.surgery import extended
from hypertok.vocabulary.units import Method, Span

_NUMBER = re.compile(r"([0-9]+)(k?)")


@dataclass(frozen=True)
class Point:
    """One number of new rows: `emitted` of them occur in the texts. The first point, with no rows, is the stock."""

    rows: int
    characters_per_token: float
    tokens_per_word: float
    tokens: int
    whole_words: float
    emitted: int


def parse_rows(text: str) -> list[int]:
    """Numbers of rows from «4k,32k»; k is a thousand.

    Raises:
        InputError: something else, or no number above 0.

    >>> parse_rows("500,4k")
    [500, 4000]
    """
    found = [_NUMBER.fullmatch(part.strip()) for part in text.split(",")]
    if not all(found):
        raise InputError(f"{text!r} is no list of row numbers; write for example 4k,32k,128k")
    rows = sorted({int(match[1]) * (1000 if match[2] else 1) for match in found if match} - {0})
    if not rows:
        raise InputError(f"{text!r} has no number of rows above 0; write for example 4k,32k,128k")
    return rows


def measure_curve(
    lexicon: Path | str,
    tokenizer: Path | str,
    corpus: Path | str,
    rows: Sequence[int],
    *,
    span: Span = "phrase",
    units: Method = "concept",
    general: float = 0.05,
    progress: Steps | None = None,
    skipped: Skipped | None = None,
) -> list[Point]:
    """Learn units once, for the largest number of rows, and count the corpus with the best of them.

    Raises:
        InputError: an unsupported tokenizer, no Russian in the corpus, no rows, or more than there are units.
        ArtifactError: the lexicon is damaged.
    """
    if not rows or min(rows) < 1:
        raise InputError(f"rows {list(rows)}: nothing to measure; give one or more numbers above 0")
    tell = progress or silent
    stock, texts = Stock.load(tokenizer), [document.text for document in read_documents(corpus, skipped=skipped)]
    if not any(map(WORD.search, texts)):  # learning takes a minute
        raise without_words()
    options = ExtendOptions(rows=max(rows), span=span, units=units, general=general)
    learned = learn(stock, Lexicon.load(lexicon), options, progress=progress)
    points = []
    for place, number in enumerate([0, *sorted(rows)]):
        tell("measure", place, len(rows) + 1)
        data = extended(stock, learned.first(number), span=span)
        counts = count_tokens(tokenizer_of(stock.path, data), texts, stock.first_free_id)
        share = counts.whole_words / counts.words
        points.append(
            Point(number, counts.characters_per_token, counts.tokens_per_word, counts.tokens, share, counts.emitted)
        )
    tell("measure", len(points), len(points))
    return points


def plot_curve(points: Sequence[Point]) -> bytes:
    """The curve as a PNG file.

    Raises:
        InputError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise InputError(f"drawing needs matplotlib; install it with: {install('plot')}") from None
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    new = [point for point in points if point.rows]
    axes.plot(
        [point.rows for point in new], [point.characters_per_token for point in new], marker="o", label="extended"
    )
    axes.axhline(points[0].characters_per_token, linestyle="--", color="grey", label="stock")
    axes.set_xscale("log", base=2)
    axes.set_xticks([point.rows for point in new], [f"{point.rows / 1000:g}k" for point in new])
    axes.set_xlabel("new rows")
    axes.set_ylabel("characters per token")
    axes.grid(alpha=0.3)
    axes.legend()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150)
    return buffer.getvalue()
