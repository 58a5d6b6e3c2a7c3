"""Makes lexicon/ru/symbol_ranges.tsv: which characters serve as concept symbols, in which order.

The table is committed and never regenerated for a newer Unicode: symbols already given out must keep their
place. Run with Python 3.11 (Unicode 14): python lexicon/recipes/symbol_ranges.py
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from pathlib import Path

#: Preferred first: hanzi of everyday fonts, then rarer hanzi and Yi, then every other script and sign.
PREFERRED = [(0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0xA000, 0xA4CF), (0x20000, 0x3134F), (0x2190, 0x1FFFF)]
#: Hangul syllables are NFC-stable but not NFD-stable, so they come after all other scripts.
HANGUL = (0xAC00, 0xD7A3)
PRIVATE = [(0xE500, 0xF8FF), (0xF0000, 0xFFFFD), (0x100000, 0x10FFFD)]
NOT_SYMBOLS = [(0x1F1E6, 0x1F1FF), (0x1F3FB, 0x1F3FF), (0xE000, 0xF8FF)]


def composing() -> set[str]:
    """Characters that NFC may join with a combining character after them."""
    pairs = (unicodedata.decomposition(chr(cp)) for cp in range(0x110000))
    return {chr(int(d.split()[0], 16)) for d in pairs if d and not d.startswith("<") and " " in d}


COMPOSING = composing()


def usable(char: str) -> bool:
    """Whether a character outside the private planes may stand for a concept."""
    hangul_with_final = HANGUL[0] <= ord(char) <= HANGUL[1] and (ord(char) - HANGUL[0]) % 28 != 0
    forms = ("NFC", "NFKC") if hangul_with_final else ("NFC", "NFKC", "NFD", "NFKD")
    return (
        unicodedata.category(char) in {"Lo", "So", "Sm", "Sc"}
        and unicodedata.bidirectional(char) not in {"R", "AL", "AN"}
        and char not in COMPOSING
        and not unicodedata.name(char, "").startswith(("CYRILLIC LETTER", "LATIN LETTER", "LATIN EPIGRAPHIC"))
        and not any(first <= ord(char) <= last for first, last in NOT_SYMBOLS)
        and all(unicodedata.normalize(form, char) == char for form in forms)
    )


def runs(first: int, last: int, taken: set[int]) -> Iterator[tuple[int, int]]:
    """Maximal runs of usable code points in a range that are not taken yet."""
    start = None
    for cp in range(first, last + 2):
        good = cp <= last and cp not in taken and usable(chr(cp))
        if good and start is None:
            start = cp
        if not good and start is not None:
            yield start, cp - 1
            taken.update(range(start, cp))
            start = None


def main() -> None:
    """Write the table beside the other data."""
    taken = set(range(HANGUL[0], HANGUL[1] + 1))
    table = [run for block in PREFERRED for run in runs(*block, taken)]
    table += runs(*HANGUL, set())
    table += PRIVATE
    path = Path(__file__).parents[1] / "ru" / "symbol_ranges.tsv"
    lines = [f"{a:04X}\t{b:04X}" for a, b in table]
    path.write_text("first\tlast\n" + "\n".join(lines) + "\n", encoding="utf-8")
    print(f"{path.name}: {len(table)} ranges, {sum(b - a + 1 for a, b in table)} characters")


if __name__ == "__main__":
    main()
