"""The one definition of a Russian word; everything that counts, encodes or measures words uses it.

(What counts them leaves out initials, abbreviations with a point and endings of numbers: `stream.py`.)

A word is a run of Cyrillic letters, joined inside by single hyphens or apostrophes, with optional
stress marks (U+0301) after a letter: «печень», «кое-кто», «д’Артаньян», «за́мок».

A word as written is a *surface*; its *form* is what the lexicon is keyed by: NFC, lower case, stress
marks removed, typographic hyphens and apostrophes made plain. The letter ё is kept.

>>> WORD.findall("Кое-кто видел За́мок д’Иф в 1844-м.")
['Кое-кто', 'видел', 'За́мок', 'д’Иф', 'в', 'м']
>>> [form_of(w) for w in WORD.findall("Кое-кто видел За́мок д’Иф")]
['кое-кто', 'видел', 'замок', "д'иф"]
"""

from __future__ import annotations

import re
import unicodedata

STRESS = "\u0301"
#: Cyrillic letters: modern Russian, its neighbours and the letters dropped in 1918 (ѣ, і, ѳ, ѵ).
LETTERS = "\u0400-\u0481\u048a-\u052f"
JOINERS = "-'\u2019\u2010\u2011"
WORD_PATTERN = rf"[{LETTERS}]+(?:(?:{STRESS}[{JOINERS}]?|[{JOINERS}])[{LETTERS}]+)*{STRESS}?"
WORD = re.compile(WORD_PATTERN)
_RUSSIAN = re.compile(r"[а-яё]+(?:[-'][а-яё]+)*")
_TOUCH = re.compile(rf"[A-Za-z](?:(?<=[{LETTERS}][A-Za-z])|(?=[{LETTERS}]))")
_LETTER = re.compile(rf"[A-Za-z{LETTERS}]")
_LETTERS_RUN = re.compile(rf"[A-Za-z{LETTERS}]+")
_TO_FORM = {ord(STRESS): None, 0x2019: "'", 0x2010: "-", 0x2011: "-"}
#: Latin letters drawn like a Russian one, upright or in italics (u is и).
_LOOKALIKE_LATIN = frozenset("ABCEHKMOPTXYaceopxyu")


def form_of(surface: str) -> str:
    """The form of a surface word: NFC, lower case, no stress marks, plain hyphens and apostrophes."""
    return unicodedata.normalize("NFC", surface).lower().translate(_TO_FORM)


def is_russian(form: str) -> bool:
    """Whether a form is written in the modern Russian alphabet only (hyphens and apostrophes allowed)."""
    return _RUSSIAN.fullmatch(form) is not None


def blank_mixed(text: str) -> tuple[str, list[str]]:
    """`text` with every mixed run blanked by spaces, so that no half of it counts, and the runs.

    A run of letters is mixed when a Latin letter touches a Cyrillic one, as in «cлово» typed with a Latin c.
    Two scripts joined by a hyphen («HTML-код») are not mixed. Runs are looked for only where two scripts
    touch: one expression for whole runs costs 5 s on 66 million characters, this 1.6 s.

    >>> blank_mixed("Cлово и дело")
    ('      и дело', ['Cлово'])
    """
    kept: list[str] = []
    mixed: list[str] = []
    position = 0
    for touch in _TOUCH.finditer(text):
        start = touch.start()
        if start < position:
            continue
        while start > position and _LETTER.match(text, start - 1):
            start -= 1
        run = _LETTERS_RUN.match(text, start)
        stop = run.end() if run else start
        mixed.append(text[start:stop])
        kept += (text[position:start], " " * (stop - start))
        position = stop
    return ("".join(kept) + text[position:] if mixed else text), mixed


def is_lookalike(run: str) -> bool:
    """Whether every Latin letter of a mixed run has a Russian double: probably a typing slip."""
    latin = {c for c in run if c.isascii() and c.isalpha()}
    return bool(latin) and latin <= _LOOKALIKE_LATIN
