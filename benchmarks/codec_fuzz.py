"""Nightly-size proof that the codec loses nothing: millions of characters of random mixtures.

Words and phrases of a real lexicon in every spelling, symbols, marks, symbol text, and all Unicode planes are
shuffled together; every chunk must come back exactly, and its concepts-only text must be readable.

Run: python benchmarks/codec_fuzz.py notes.lexicon --characters 10000000 --seed 1
Prints what was checked and every mismatch (first 20 in full); exits 1 if there is one.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
import unicodedata
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from hypertok.codec import marks
from hypertok.codec.codec import Codec
from hypertok.errors import CodecError
from hypertok.lexicon.lexicon import Lexicon

#: Characters per chunk: long enough for phrases and neighbours, short enough to read a mismatch.
CHUNK = 2_000
SHOWN = 20
PLANES = (
    (0, 0xFFFF),
    (0x400, 0x52F),
    (0x2000, 0x2BFF),
    (0xD800, 0xDFFF),
    (0xE000, 0xE5FF),
    (0x10000, 0x10FFFF),
)
JOINTS = (
    " ",
    " ",
    " ",
    " ",
    "",
    "\n",
    "\n\n",
    ", ",
    ". ",
    "-",
    "--",
    "’",
    "'",
    " — ",
    "\t",
    "  ",
    "\u00a0",
    "\u0301",
)
Source = Callable[[random.Random], str]


def spellings(word: str, chance: random.Random) -> str:
    """The word in one of the ways in which it may be found: case patterns, ё, stress, joiners, NFD, slips."""
    way = chance.randrange(14)
    if way < 4:
        return word
    if way == 4:
        return word.upper()
    if way == 5:
        return word.capitalize()
    if way == 6:
        return word.title()
    if way == 7:
        return "".join(chance.choice((letter, letter.upper())) for letter in word)
    if way == 8:
        return word.replace("ё", "е") if "ё" in word else word.replace("е", "ё", 1)
    if way == 9:
        at = chance.randrange(len(word) + 1)
        return word[:at] + "\u0301" + word[at:]
    if way == 10:
        return unicodedata.normalize(chance.choice(("NFD", "NFKD")), word)
    if way == 11:
        return word.replace("-", chance.choice("\u2010\u2011–")).replace("'", "’").replace(" ", "  ")
    if way == 12:
        at = chance.randrange(len(word) + 1)
        return word[:at] + chance.choice("ъao-’ -\u0308\u0306\ue000") + word[at:]
    return spellings(spellings(word, chance), chance)


def sources(lexicon: Lexicon, codec: Codec) -> dict[str, tuple[int, Source]]:
    """What a chunk is mixed from: name -> (weight, maker of one piece)."""
    forms = lexicon.forms.filter("main")["form"]
    words = forms.gather_every(max(1, len(forms) // 300_000)).to_list()
    phrases = forms.filter(forms.str.contains(" ", literal=True)).to_list() or words
    phrases = phrases[:: max(1, len(phrases) // 100_000)]
    frequent = lexicon.forms.sort("count", descending=True).filter("main")["form"].head(2_000).to_list()
    symbols = lexicon.concepts["symbol"].to_list()
    own = [chr(code) for code in range(marks.BLOCK_FIRST, marks.BLOCK_LAST + 1)]

    def code_points(chance: random.Random) -> str:
        first, last = chance.choice(PLANES)
        return "".join(chr(chance.randint(first, last)) for _ in range(chance.randint(1, 6)))

    def letters(chance: random.Random) -> str:
        return "".join(chance.choice("абвеёийъьяАЕЁЯѣіїґ-’'\u0301") for _ in range(chance.randint(1, 9)))

    return {
        "word": (30, lambda chance: spellings(chance.choice(words), chance)),
        "frequent word": (30, lambda chance: spellings(chance.choice(frequent), chance)),
        "phrase": (12, lambda chance: spellings(chance.choice(phrases), chance)),
        "letters": (4, letters),
        "symbols": (5, lambda chance: "".join(chance.choices(symbols, k=chance.randint(1, 3)))),
        "marks": (5, lambda chance: "".join(chance.choices(own, k=chance.randint(1, 3)))),
        "symbol text": (4, lambda chance: codec.encode(spellings(chance.choice(frequent), chance))),
        "code points": (6, code_points),
        "ASCII": (4, lambda chance: "".join(chr(chance.randrange(128)) for _ in range(chance.randint(1, 8)))),
    }


def chunk(made_of: dict[str, tuple[int, Source]], chance: random.Random, seen: Counter[str]) -> str:
    """One text of about `CHUNK` characters."""
    names, weights = list(made_of), [weight for weight, _ in made_of.values()]
    pieces: list[str] = []
    length = 0
    while length < CHUNK:
        name = chance.choices(names, weights)[0]
        piece = made_of[name][1](chance)
        seen[name] += len(piece)
        pieces += (piece, chance.choice(JOINTS))
        length += len(piece) + len(pieces[-1])
    return "".join(pieces)


def faults(codec: Codec, concepts_only: Codec, text: str) -> list[str]:
    """What is wrong with the way this text is encoded; empty if nothing."""
    found = []
    try:
        symbols = codec.encode(text)
        if codec.decode(symbols) != text:
            found.append("decode(encode(text)) is another text")
        if codec.decode(codec.decode(codec.encode(symbols))) != text:
            found.append("symbol text encoded again does not come back")
        codec.decode(concepts_only.encode(text))
    except CodecError as error:
        found.append(f"CodecError: {error}")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lexicon", type=Path)
    parser.add_argument("--characters", type=int, default=10_000_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    lexicon = Lexicon.load(options.lexicon)
    codec, concepts_only = Codec(lexicon.book), Codec(lexicon.book, concepts_only=True)
    made_of = sources(lexicon, codec)
    chance, seen = random.Random(options.seed), Counter[str]()
    checked = raw = mismatches = 0
    started = time.monotonic()
    while checked < options.characters:
        text = chunk(made_of, chance, seen)
        for fault in faults(codec, concepts_only, text):
            mismatches += 1
            if mismatches <= SHOWN:
                print(f"MISMATCH (seed {options.seed}, after {checked} characters): {fault}\n{text!a}\n")
        checked += len(text)
        raw += len(codec.encode(text))
        if sys.stderr.isatty():
            print(f"\r{checked:,} characters, {mismatches} mismatches", end="", file=sys.stderr)
    print(f"lexicon: {lexicon.concepts.height:,} concepts, sha256 {lexicon.sha256[:12]}; seed {options.seed}")
    print("mixed from (characters): " + ", ".join(f"{name} {size:,}" for name, size in seen.most_common()))
    print(f"symbol text: {raw / checked:.3f} characters per character of text")
    seconds = time.monotonic() - started
    print(f"{checked:,} characters checked, {mismatches} mismatches, {seconds:.0f} s")
    return 1 if mismatches else 0


if __name__ == "__main__":
    sys.exit(main())
