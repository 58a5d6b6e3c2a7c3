"""Which scripts a language is written in, and of which script a letter, or the first bytes of one, is.

Scripts are Unicode's, by the tables of polars' regular expressions. Letters that belong to no single script (Common and
Inherited: ー, stress marks) and Greek ones, which formulas in every language use (239 tokens of Qwen3, 1,507
of Gemma 3), are no letters here; nor is ASCII.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache

import polars as pl

from hypertok.errors import InputError

#: Languages (ISO 639-1) by the scripts they are or lately were written in; a script too many only keeps more tokens.
LANGUAGES = {
    "Latin": "aa ae af ak an av ay az bi bm br bs ca ce ch co cr cs cu cv cy da de ee en eo es et eu ff fi fj fo fr fy "
    "ga gd gl gn gv ha ho hr ht hu hz ia id ie ig ik io is it iu jv kg ki kj kk kl kr ks ku kv kw la lb lg li ln lt lu "
    "lv mg mh mi ms mt na nb nd ng nl nn no nr nv ny oc oj om pi pl pt qu rm rn ro rw sa sc se sg sk sl sm sn so sq sr "
    "ss st su sv sw tk tl tn to tr ts tt tw ty ug uz ve vi vo wa wo xh yo za zu",
    "Cyrillic": "ab av az ba be bg bs ce cu cv kk ku kv ky mk mn os ro ru sr tg tk tt ug uk uz",
    "Arabic": "ar av az ce ff fa ha id kk kr ks ku ky ms pa ps sd so sw tg tk tt ug ur uz wo",
    "Devanagari": "hi ks mr ne pi sa sd",
    "Bengali": "as bn",
    "Gurmukhi": "pa",
    "Gujarati": "gu",
    "Oriya": "or",
    "Tamil": "ta",
    "Telugu": "te",
    "Kannada": "kn",
    "Malayalam": "ml",
    "Sinhala": "pi si",
    "Thai": "pi th",
    "Lao": "lo",
    "Tibetan": "bo dz",
    "Myanmar": "my pi",
    "Khmer": "km pi",
    "Georgian": "ab ka os",
    "Armenian": "hy",
    "Ethiopic": "am om ti",
    "Hebrew": "he yi",
    "Thaana": "dv",
    "Mongolian": "mn",
    "Hangul": "ko",
    "Han": "ja ko vi za zh",
    "Hiragana": "ja",
    "Katakana": "ja",
    "Bopomofo": "zh",
    "Yi": "ii",
    "Canadian_Aboriginal": "cr iu oj",
    "Greek": "el",
    "Javanese": "jv",
    "Sundanese": "su",
    "Nko": "bm",
    "Adlam": "ff",
    "Tifinagh": "",
    "Syriac": "",
    "Cherokee": "",
    "Glagolitic": "cu",
    "Coptic": "",
    "Avestan": "ae",
}
_LETTER = r"[[\p{L}\p{M}]--[\p{ASCII}\p{Common}\p{Inherited}\p{Greek}]]"
_OTHER = "Other"
#: Units are Russian, so its tokens always stay.
RUSSIAN = "ru"


def scripts_of(languages: Sequence[str]) -> frozenset[str]:
    """The scripts that the languages (ISO 639-1 codes) are written in.

    Raises:
        InputError: no language, or one that is not known.
    """
    known = {code for codes in LANGUAGES.values() for code in codes.split()}
    wanted = [code.strip().lower() for code in languages]
    for code in wanted or [""]:
        if code not in known:
            raise InputError(
                f"--replace-unused: {code!r} is no language to keep; give ISO 639-1 codes such as ru,en; "
                f"known are {' '.join(sorted(known))}"
            )
    return frozenset(script for script, codes in LANGUAGES.items() if not set(wanted).isdisjoint(codes.split()))


@cache
def script_of_letter() -> Mapping[str, str]:
    """The script of each letter and combining mark of one script, "Other" if it is not among those of `LANGUAGES`."""
    every = "".join(map(chr, [*range(0x80, 0xD800), *range(0xE000, 0x110000)]))
    letters = pl.Series([every]).str.extract_all(_LETTER)[0]
    script_of = dict.fromkeys(letters, _OTHER)
    text = pl.Series(["".join(letters)])
    for script in LANGUAGES:
        script_of.update(dict.fromkeys(text.str.extract_all(rf"\p{{{script}}}")[0], script))
    return script_of


def foreign_script(raw: bytes, foreign: Mapping[str, str]) -> str | None:
    """The script of the first foreign letter that bytes of UTF-8 are sure to hold, or to hold the beginning of.

    Continuation bytes at the front are the end of a character; they say little (the end of a Chinese character may be
    that of a dash) and count for nothing. None, too, for bytes that no text can have.

    Args:
        raw: bytes, cut anywhere.
        foreign: script of each foreign letter.
    """
    begin = 0
    while begin < len(raw) and raw[begin] & 0xC0 == 0x80:
        begin += 1
    whole, tail = raw[begin:], b""
    try:
        text = whole.decode()
    except UnicodeDecodeError as error:
        if error.reason != "unexpected end of data":
            return None
        whole, tail = whole[: error.start], whole[error.start :]
        text = whole.decode()
    found = next((foreign[letter] for letter in text if letter in foreign), None)
    if found is None and tail:
        scripts = Counter(foreign.get(letter) for letter in _characters_from(tail))
        return None if None in scripts else max(scripts, key=lambda script: scripts[script])
    return found


def _characters_from(tail: bytes) -> list[str]:
    """All code points, assigned or not, whose UTF-8 begins with these bytes, which must begin one and end none."""
    length = 2 if tail[0] < 0xE0 else 3 if tail[0] < 0xF0 else 4
    point = tail[0] & 0xFF >> length + 1
    for byte in tail[1:]:
        point = point << 6 | byte & 0x3F
    bits = 6 * (length - len(tail))
    shortest = {2: 0x80, 3: 0x800, 4: 0x10000}[length]
    points = range(max(point << bits, shortest), min(point + 1 << bits, 0x110000))
    return [chr(one) for one in points if not 0xD800 <= one < 0xE000]
