"""Russian that was UTF-8 but was read as something else, found and undone line by line.

UTF-8 writes a Russian letter as two bytes, the first D0 or D1. Read one byte a character, every letter
becomes a pair whose first half is one of two signs: «РџСЂРёРІРµС‚» (cp1251), "ÐŸÑ€Ð¸Ð²ÐµÑ‚" (cp1252,
latin-1), «–ü—Ä–∏–≤–µ—Ç» (Mac Roman), «╨Я╤А╨╕╨▓╨╡╤В» (cp866), «п÷я─п╦п╡п╣я┌» (koi8-r). Text that merely
has capital Р and С, or dashes, has no such runs of pairs, and a text without one is returned untouched.

ftfy gives the codecs used here. Its own repair is not used: it leaves Mac Roman, cp866 and koi8-r, and all
but the first word of a line that is only partly broken, as they are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

import ftfy.bad_codecs  # noqa: F401  registers sloppy-windows-*, which map every byte

#: What a repaired run may consist of; anything else means that it was no mojibake.
_PLAUSIBLE = re.compile("[А-яЁё«»—–…„“”’‘•№°§©\u00a0\u00ad\u0301\u2011\u2212]+")


@dataclass(frozen=True, slots=True)
class Misreading:
    """One way in which UTF-8 is misread, with the patterns that give it away."""

    name: str
    to_bytes: dict[int, str]  # for str.translate: sign -> the latin-1 character of its byte
    quick: tuple[re.Pattern[str], ...]  # two pairs in a row, loosely; one for each lead (see `_may_hold`)
    run: re.Pattern[str]  # two or more pairs in a row, each a Russian letter
    segment: re.Pattern[str]  # a run of UTF-8 in disguise, not inside a word
    lost: tuple[tuple[str, str], ...]  # signs that often got lost on the way, and what they were


def repair_mojibake(text: str) -> tuple[str, tuple[str, ...]]:
    """`text` with mojibake undone, and the names of what was undone.

    >>> repair_mojibake("РџСЂРёРІРµС‚, РСФСР!")
    ('Привет, РСФСР!', ('UTF-8 read as cp1251',))
    >>> repair_mojibake("РСФСР и СССР — Россия")
    ('РСФСР и СССР — Россия', ())
    """
    names = []
    for misreading in misreadings():
        if _may_hold(text, misreading) and _is_evidence(text, misreading):
            text = _repair(text, misreading)
            names.append(misreading.name)
    return text, tuple(names)


@lru_cache
def misreadings() -> tuple[Misreading, ...]:
    """The misreadings that are looked for."""
    return (
        _misreading("cp1251", "sloppy-windows-1251", lost=(("Р?", "Р\x98"), ("Р\ufffd", "Р\x98"))),
        # Real files mix both: C1 controls stay, or become the signs that cp1252 has there.
        _misreading("cp1252", "sloppy-windows-1252", "latin-1"),
        _misreading("Mac Roman", "mac_roman"),
        _misreading("cp866", "cp866"),
        _misreading("koi8-r", "koi8-r"),
    )


def _misreading(name: str, *codecs: str, lost: tuple[tuple[str, str], ...] = ()) -> Misreading:
    signs: dict[int, dict[str, None]] = {}  # byte -> the signs it may have become
    # Latin-1 signs that the misreading cannot give must not pass for bytes.
    to_bytes = dict.fromkeys(range(0x80, 0x100), "\ufffd")
    for codec in codecs:
        for byte in range(0x80, 0x100):
            sign = bytes([byte]).decode(codec)
            signs.setdefault(byte, {})[sign] = None
            to_bytes[ord(sign)] = chr(byte)

    def one_of(*ranges: tuple[int, int]) -> str:
        found = (sign for low, high in ranges for byte in range(low, high + 1) for sign in signs[byte])
        return "[" + "".join(map(re.escape, found)) + "]"

    tail = one_of((0x80, 0xBF))
    lead = one_of((0xD0, 0xD1))
    # А..п are D0 90..BF, Ё is D0 81; р..я are D1 80..8F, ё is D1 91.
    pair = (
        f"{one_of((0xD0, 0xD0))}{one_of((0x90, 0xBF), (0x81, 0x81))}"
        f"|{one_of((0xD1, 0xD1))}{one_of((0x80, 0x8F), (0x91, 0x91))}"
    )
    sequence = f"{one_of((0xC2, 0xDF))}{tail}|{one_of((0xE0, 0xEF))}{tail}{{2}}|{one_of((0xF0, 0xF4))}{tail}{{3}}"
    # The no-break space that stands for a byte is often typed over with a plain one.
    first = next(iter(signs[0xD0]))
    spaces = ((f"{first} ", f"{first}\u00a0"),) if "\u00a0" in tail else ()
    return Misreading(
        f"UTF-8 read as {name}",
        to_bytes,
        tuple(re.compile(f"{char}{tail}{lead}{tail}") for char in (*signs[0xD0], *signs[0xD1])),
        re.compile(f"(?:{pair}){{2,}}"),
        re.compile(rf"(?<![^\W\d_])(?:{sequence})+"),
        lost + spaces,
    )


def _may_hold(text: str, misreading: Misreading) -> bool:
    """A first look that costs little: a pattern that starts with one given sign is sought by memchr.

    One pattern with both leads runs at 70 million characters a second, these two at 400 together.
    """
    return any(pattern.search(text) for pattern in misreading.quick)


def _is_evidence(text: str, misreading: Misreading) -> bool:
    """Whether a run of pairs spells something: two different letters and not just two capitals.

    The bonds of a formula, «С–С–С–», and «Р—Р—» are pairs as well; they spell «іі» and «ЗЗ».
    """
    for match in misreading.run.finditer(text):
        word = _decode(match[0], misreading) or ""
        if len(set(word)) > 1 and (len(word) > 3 or word != word.upper()):
            return True
    return False


def _repair(text: str, misreading: Misreading) -> str:
    # Split at \n only: splitlines() would cut at U+0085, which is half a letter here.
    return "\n".join(_repair_line(line, misreading) for line in text.split("\n"))


def _repair_line(line: str, misreading: Misreading) -> str:
    if line.isascii() or not misreading.segment.search(line):
        return line
    whole = line
    for old, new in misreading.lost:
        whole = whole.replace(old, new)
    for candidate in (line, whole):
        decoded = _decode(candidate, misreading)
        if decoded is not None:
            return decoded
    return misreading.segment.sub(lambda match: _repair_segment(match[0], misreading), line)


def _repair_segment(segment: str, misreading: Misreading) -> str:
    decoded = _decode(segment, misreading)
    return decoded if decoded and _PLAUSIBLE.fullmatch(decoded) else segment


def _decode(text: str, misreading: Misreading) -> str | None:
    try:
        return text.translate(misreading.to_bytes).encode("latin-1").decode("utf-8")
    except UnicodeError:
        return None
