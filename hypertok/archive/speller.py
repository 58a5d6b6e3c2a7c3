"""Pieces outside the vocabulary: spelled by characters, or named again by where they first occurred."""

from __future__ import annotations

from hypertok.archive.arithmetic import ONE
from hypertok.archive.predictor import REPEAT, SPELLING, Chain, Coder, Predictor
from hypertok.archive.statistics import END_OF_PIECE, UNKNOWN_CHARACTER, Statistics
from hypertok.archive.vocabulary import Cuts
from hypertok.errors import ArtifactError

#: Decisions of the speller, kept apart from those of pieces and of one another.
_REPEAT_NODE = 1 << 22
_SPELLING_NODE = 1 << 23
_CODE_POINT_BITS = 21


class Speller:
    """Codes keys that have no number; those it has coded before it knows by their order of appearance."""

    def __init__(self, statistics: Statistics, predictor: Predictor) -> None:
        self._predictor = predictor
        self._alphabet = ["", "", *statistics.alphabet]
        self._code = {character: code for code, character in enumerate(self._alphabet) if character}
        weights = [1] * len(self._alphabet)
        level = statistics.chains["characters"][0]
        for code, count in zip(level.symbols.tolist(), level.counts.tolist(), strict=True):
            weights[code] += count
        self._cuts = Cuts(weights)
        self._chain = Chain(statistics.chains["characters"], len(self._alphabet), 0)
        self._known: list[str] = []
        self._place: dict[str, int] = {}

    def code(self, coder: Coder, key: str, contexts: list[int]) -> tuple[str, int]:
        """Code a key (ignored when reading) after `contexts`; returns it with its number of appearance."""
        place = self._place.get(key, -1)
        decide = self._predictor.decide
        if self._known and decide(coder, int(place >= 0), REPEAT, _REPEAT_NODE, 0.5, contexts[:3], ()):
            place = self._repeat(coder, place, contexts)
            return self._known[place], place
        key = self._spell(coder, key, contexts)
        self._place[key] = len(self._known)
        self._known.append(key)
        return key, self._place[key]

    def _repeat(self, coder: Coder, place: int, contexts: list[int]) -> int:
        start, stop = 0, len(self._known)
        while stop - start > 1:
            middle = (start + stop) // 2
            node = _REPEAT_NODE + 1 + middle
            if self._predictor.decide(coder, int(place >= middle), REPEAT, node, 0.5, contexts, ()):
                start = middle
            else:
                stop = middle
        return start

    def _spell(self, coder: Coder, key: str, contexts: list[int]) -> str:
        spelled: list[str] = []
        rows = [0, END_OF_PIECE]
        last = [END_OF_PIECE] * 5
        while True:
            character = key[len(spelled)] if len(spelled) < len(key) else ""
            wanted = self._code.get(character, UNKNOWN_CHARACTER) if character else END_OF_PIECE
            hashes = _hashes(last)
            hashes.append(contexts[1] * 31 ^ hashes[3])
            ranges = self._chain.ranges(rows)
            start, stop = 0, len(self._alphabet)
            while stop - start > 1:
                cut = self._cuts.cut(start, stop)
                share = self._cuts.share_above(start, cut, stop)
                node = _SPELLING_NODE + cut
                bit = int(wanted >= cut)
                if self._predictor.decide(coder, bit, SPELLING, node, share, hashes, ((ranges, cut),)):
                    start = cut
                else:
                    stop = cut
            if start == END_OF_PIECE:
                if not spelled:
                    raise ArtifactError("the archive's text is damaged: it spells a piece without characters")
                return "".join(spelled)
            spelled.append(self._alphabet[start] or _code_point(coder, character))
            rows = self._chain.rows_after(start, ranges)
            last = [start, *last[:4]]


def _hashes(last: list[int]) -> list[int]:
    """Contexts of the last 0 … 5 characters."""
    hashes = [11]
    value = 0
    for order, code in enumerate(last, 1):
        value = (value * 1000003 + code + 1) & 0xFFFFFFFFFF
        hashes.append(value * 8 + order)
    return hashes


def _code_point(coder: Coder, character: str) -> str:
    value = ord(character) if character else 0
    found = 0
    for shift in range(_CODE_POINT_BITS - 1, -1, -1):
        found = found << 1 | coder.code(value >> shift & 1, ONE // 2)
    if found > 0x10FFFF or 0xD800 <= found <= 0xDFFF:
        raise ArtifactError("the archive's text is damaged: it names a character that does not exist")
    return chr(found)
