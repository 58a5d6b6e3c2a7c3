"""The proof that an extended tokenizer does what the stock one did, and that every new unit is there, line by line.

Each line says what it found and on how much; a line that found nothing to check fails. A line that needs a package
which is not installed (transformers) or a thing which the stock tokenizer lacks is *skipped*: it is neither passed nor
failed, and it says why. Some lines are exact (ids, merges, the bytes of all new merges); those on texts are trials, and
the exact ones are the reason why they must come out: stock merges are all there, in order, before every new one.
"""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path

from hypertok.corpus.sources import Skipped
from hypertok.tokenizer.stock import Stock
from hypertok.tokenizer.verify_loaders import auto_lines
from hypertok.tokenizer.verify_pair import Extension, open_pair
from hypertok.tokenizer.verify_parts import bijection_line, part_line, raw_id_lines, reserved_line
from hypertok.tokenizer.verify_passes import NEVER_MORE, SAME_CUTS, text_lines
from hypertok.tokenizer.verify_report import Line, Report
from hypertok.tokenizer.verify_tables import delta_line, given_up_lines
from hypertok.tokenizer.verify_texts import Text, file_texts
from hypertok.tokenizer.verify_units import IN_A_SENTENCE, unit_lines

#: Lines that a tokenizer for symbol text does not promise: raw text is not what it reads.
_SURFACE_ONLY = frozenset({IN_A_SENTENCE, NEVER_MORE, SAME_CUTS})


def verify(
    folder: Path | str,
    against: Path | str,
    *,
    texts: Path | str | None = None,
    lexicon: Path | str | None = None,
    progress: Callable[[Line], None] | None = None,
    skipped: Skipped | None = None,
) -> Report:
    """Verify an extended tokenizer against the stock one it was made of.

    Args:
        folder: what `hypertok extend` wrote.
        against: the stock tokenizer, a folder or a file.
        texts: more texts to check on, a folder of UTF-8 files or one file, besides those that hypertok has.
        lexicon: the lexicon that the units were learned from, to be checked for being that one.
        progress: told each line as it is finished.
        skipped: told path and reason of each file of `texts` that is passed over.

    Raises:
        ArtifactError: the folder is no extended tokenizer or damaged, or was made from another stock tokenizer or
            lexicon.
        InputError: the stock tokenizer or the texts cannot be read.
    """
    folder, lines = Path(folder), []
    lexicon = Path(lexicon) if lexicon else None
    pair = open_pair(folder, Stock.load(against), lexicon)
    extra = file_texts(Path(texts), skipped) if texts else iter(())
    first = next(extra, None)  # a wrong path is told before the work, not after it
    extra = chain(() if first is None else (first,), extra)
    steps: list[tuple[str, Callable[[], Iterable[Line]]]] = [
        ("artefact", lambda: [_artefact(pair, lexicon)]),
        ("delta", lambda: [delta_line(pair)]),
        ("tokens given up", lambda: given_up_lines(pair)),
        ("stock ids", lambda: raw_id_lines(pair)),
        ("stock merges and other parts", lambda: [part_line(pair)]),
        ("ids", lambda: [bijection_line(pair), reserved_line(pair)]),
        ("units", lambda: unit_lines(pair)),
        ("AutoTokenizer and texts", lambda: _loaders_and_texts(pair, extra)),
    ]
    for name, step in steps:
        for line in _guarded(name, step):
            if pair.symbol_text and line.name in _SURFACE_ONLY:
                why = "holds for text as written; of symbol text cuts are compared, and HyperTokenizer's line is tried"
                line = Line.untried(line.name, line.unit, why)
            lines.append(line)
            if progress:
                progress(line)
    return Report(str(folder), pair.stock.sha256, tuple(lines))


def _guarded(name: str, step: Callable[[], Iterable[Line]]) -> Iterator[Line]:
    """The lines of a step; what it raises is a failed line too (a tokenizer that does not load, a Rust panic).

    Not so errors of the system, as a full disk: they say nothing of the tokenizer. Those without a number, or of a file
    that is not there, come from loaders.
    """
    lines = (line for lazy in (step,) for line in lazy())
    while True:
        try:
            line = next(lines)
        except StopIteration:
            return
        except BaseException as error:
            # A panic of the Rust library is no Exception.
            if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
                raise
            if isinstance(error, OSError) and error.errno not in (None, errno.ENOENT):
                raise
            yield Line(name, False, 0, "", f"{type(error).__name__}: {str(error)[:300]}")
            return
        yield line


def _artefact(pair: Extension, lexicon: Path | None) -> Line:
    """What `open_pair` has seen to."""
    detail = "every file is what the manifest says; made from this stock tokenizer"
    detail += " and this lexicon" if lexicon else "; the lexicon is not checked (none was given)"
    return Line("artefact", True, len(pair.manifest.files), "files", detail)


def _loaders_and_texts(pair: Extension, extra: Iterable[Text]) -> Iterator[Line]:
    with tempfile.TemporaryDirectory() as place:
        loaders = yield from auto_lines(pair, Path(place))
        yield from text_lines(pair, extra, loaders)
