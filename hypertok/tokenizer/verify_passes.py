"""The proof on texts, in one pass over them: never more tokens, the same decoding, other scripts as before.

These lines are trials. Where the merges and the pre-tokenizer alone prove the same, the line says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from hypertok.errors import HypertokError
from hypertok.tokenizer.pretokenizer import crossing_tokens, phrase_pretokenizer
from hypertok.tokenizer.stock import Family, batches, encoded
from hypertok.tokenizer.verify_loaders import auto_text_line, hyper_text_line
from hypertok.tokenizer.verify_pair import Extension
from hypertok.tokenizer.verify_report import Line, Tally, short
from hypertok.tokenizer.verify_texts import CYRILLIC, SAMPLES, Text, library_texts, random_texts
from hypertok.vocabulary.symbols import own_bytes

#: Characters of text, the first ones, that the loaders beside the raw tokenizer are compared on. They run the same
#: tokenizer underneath and differ in its parts, which any text shows; transformers takes 3 s for so many.
COMPARED = 500_000
#: Lines that only a tokenizer for text as written promises.
NEVER_MORE = "texts: never more tokens than stock"
SAME_CUTS = "no merges, changed pre-tokenizer: stock ids"
#: Bytes that occur in UTF-8 as the first of a letter U+0400–U+04FF and nowhere else.
_CYRILLIC_BYTES = re.compile(b"[\xd0-\xd3]")
#: What to try a token without Cyrillic letters between.
_AROUND = ("", "a", "Yes", " ", "1", ")", "\n", "中", " b", ".")


def text_lines(pair: Extension, extra: Iterable[Text], loaders: Mapping[str, Any]) -> Iterator[Line]:
    """All that is tried on texts, in one pass over them.

    Args:
        pair: the two tokenizers.
        extra: texts besides those that hypertok has.
        loaders: what transformers loaded, by name.
    """
    checks = _TextChecks(pair)
    compared: list[str] = []
    room = COMPARED
    for batch in batches(_texts(pair, extra)):
        checks.take(batch)
        for text in batch:
            if len(text) <= room:
                room -= len(text)
                compared.append(text.content)
    yield from checks.lines()
    yield auto_text_line(pair, loaders, compared)
    yield hyper_text_line(pair, compared)


def _texts(pair: Extension, extra: Iterable[Text]) -> Iterator[Text]:
    stock = pair.stock
    texts = [text for token in stock.data["model"]["vocab"] if (text := stock.text_of(token)) is not None]
    russian = [text for text in texts if CYRILLIC.search(text)]
    special = [token["content"] for token in stock.added]
    yield from (Text("samples", sample) for sample in SAMPLES)
    yield from (Text("samples", " мир ".join(special[at : at + 50])) for at in range(0, len(special), 50))
    yield from random_texts(pair.unit_texts + russian, [*texts, *special * 3])
    yield from library_texts()
    yield from extra


class _TextChecks:
    """The lines on texts: never more tokens, decoding, other scripts, the pre-tokenizer alone."""

    def __init__(self, pair: Extension) -> None:
        self.pair = pair
        self.fewer = Tally(NEVER_MORE, "texts")
        self.decoded = Tally("texts: decoded as stock does", "texts")
        self.other = Tally("texts without Cyrillic: the same ids", "texts")
        self.cuts = Tally(SAME_CUTS, "texts")
        self.sources: dict[str, int] = {}
        self.characters = self.exempt = 0
        self.tokens = [0, 0]  # of texts with Cyrillic: stock, ours

    def take(self, batch: Sequence[Text]) -> None:
        """Check a batch of texts."""
        texts = [text.content for text in batch]
        stock, pair = self.pair.stock.tokenizer, self.pair
        before, after, bare = (encoded(one, texts) for one in (stock, pair.tokenizer, pair.bare))
        # The same ids are the same text, as the lines on ids and parts show; of long files only the others are decoded.
        spoken = [n for n, text in enumerate(batch) if text.source != "library" or before[n] != after[n]]
        ours, theirs = [after[number] for number in spoken], [before[number] for number in spoken]
        for skip in (False, True):
            found = pair.tokenizer.decode_batch(ours, skip_special_tokens=skip)
            expected = stock.decode_batch(theirs, skip_special_tokens=skip)
            for number, one, two in zip(spoken, found, expected, strict=True):
                self.decoded.want(one == two, partial(short, texts[number]), int(skip))
        for number, text in enumerate(batch):
            self.sources[text.source] = self.sources.get(text.source, 0) + 1
            self.characters += len(text)
            self._check(text.content, before[number], after[number], bare[number])

    def _check(self, text: str, before: list[int], after: list[int], bare: list[int]) -> None:
        if self.pair.freed and not self.pair.freed.isdisjoint(before):
            self.exempt += 1
            return
        self.fewer.want(len(after) <= len(before), lambda: f"{len(after)} for {len(before)}: {short(text)}")
        self.cuts.want(bare == before, lambda: self._where(text, before, bare))
        if self.pair.untouched(text):
            self.other.want(after == before, lambda: self._where(text, before, after))
        else:
            self.tokens[0] += len(before)
            self.tokens[1] += len(after)

    def _where(self, text: str, before: list[int], after: list[int]) -> str:
        at = next((n for n, (one, two) in enumerate(zip(before, after, strict=False)) if one != two), 0)
        offset = self.pair.stock.tokenizer.encode(text).offsets[at][0]
        return f"{before[at : at + 4]} became {after[at : at + 4]} at {short(text[max(offset - 12, 0) : offset + 24])}"

    def lines(self) -> Iterator[Line]:
        """The lines, when all texts are taken."""
        pair = self.pair
        sources = ", ".join(f"{number:,} {source}" for source, number in self.sources.items())
        saved = 1 - self.tokens[1] / max(self.tokens[0], 1)
        exempt = f"; {self.exempt:,} texts that use tokens given up are exempt" if pair.given_up is not None else ""
        figures = (
            f"{self.characters:,} characters ({sources}); {saved:.1%} fewer tokens where there is Cyrillic{exempt}"
        )
        yield self.fewer.line(figures)
        yield self.decoded.line("with special tokens and without")
        yield self.other.line(self._exact_other() + exempt)
        yield self.cuts.line(_exact_cuts(pair) + exempt)

    def _exact_other(self) -> str:
        """Every new merge makes a token with a Cyrillic letter in it, which no other text has."""
        pair = self.pair
        if pair.symbol_text:
            return self._exact_symbols()
        byte_level, others = pair.stock.family is Family.BYTE_LEVEL, []
        for merge in pair.new_merges:
            made = pair.stock.bytes_of("".join(merge))
            if not (_CYRILLIC_BYTES.search(made) if byte_level else CYRILLIC.search(made.decode("utf-8", "ignore"))):
                others.append((merge, pair.stock.text_of("".join(merge))))
        for merge, text in others:
            # Such a merge does no harm only if the pre-tokenizer cuts its token in all text but runs of words.
            tried = [f"{before}{text}{after}" for before in _AROUND for after in _AROUND]
            ids = [encoded(one, tried) for one in (pair.stock.tokenizer, pair.tokenizer)]
            self.other.want(text is not None and ids[0] == ids[1], f"the merge {merge} is made in any script", 0)
        return f"proved besides: each of {len(pair.new_merges):,} new merges makes a token with a Cyrillic letter" + (
            f", but for {len(others)} that other text is cut inside of (tried)" if others else ""
        )

    def _exact_symbols(self) -> str:
        """Every new merge makes a token with a Cyrillic letter or the beginning of a possible symbol in it."""
        pair, own = self.pair, own_bytes(self.pair.codec_symbols)
        for merge in pair.new_merges:
            right = own.search(pair.stock.bytes_of("".join(merge)))
            self.other.want(right is not None, f"the merge {merge} is made in any text", 0)
        return (
            "nor concept symbols, nor any character from U+2190 on; proved besides: each of "
            f"{len(pair.new_merges):,} new merges makes a token with one of these"
        )


def _exact_cuts(pair: Extension) -> str:
    """What proves that the changed pre-tokenizer alone changes no ids."""
    if pair.same_pre_tokenizer:
        return "the pre-tokenizer is the stock's"
    try:
        known = pair.data.get("pre_tokenizer") == phrase_pretokenizer(pair.stock)
    except HypertokError:
        known = False
    if not known:
        return "tried only: the pre-tokenizer is not the one that this version makes"
    crossing = crossing_tokens(pair.stock)
    if crossing:
        return f"{len(crossing):,} stock tokens cross joiners of words; runs leave those joiners out"
    return "proved besides: no stock token reaches over a cut that runs take away"
