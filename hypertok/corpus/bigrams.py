"""How well one letter follows another in Russian: a small table for telling encodings apart.

Made from 7.0 million characters of public-domain prose and technical documentation: for each pair of
letters, lower-cased, the bits -log2 P(second | first), rounded and capped at 9.
"""

from __future__ import annotations

from functools import lru_cache

#: Rows and columns of the table; the last stands for anything that is not a letter.
ALPHABET = "абвгдежзийклмнопрстуфхцчшщъыьэюяё "
_BITS = (
    "9747566496435496544996966899996592",
    "4979939949648639479498999672899595",
    "3999739639858537647699996994799793",
    "4999459949739619499599999999999994",
    "3959939939759438467499798995599695",
    "9654556695644386444996866799998892",
    "3899419939699389989599989999899995",
    "1645457959765359699599989995799594",
    "8757558566544488654995657899997592",
    "9999699999767599945999877999999990",
    "2979969939969629466499999999999993",
    "3998937939789739959599989996395593",
    "3999939939879438989499999995999692",
    "2999739939799429976599889894699594",
    "9544456675644496444988967999997792",
    "4999939959859819298599999996899698",
    "2867737939797629976498997995698595",
    "5959749959446545862698979997498474",
    "3949939949789629459599989995399793",
    "9554464697544695544996955699995892",
    "3999939929959939376479999997599996",
    "3969979959947629579699999999999991",
    "2959929939699949999499999994999993",
    "3999929939589479892499997999699995",
    "3989929929449459997599999999499996",
    "3999919929999699999599999999699987",
    "9999919999999999999999999999995197",
    "9647749893634697655994965999999992",
    "9888959679496499947999785999995591",
    "9998999999648797780987999999999998",
    "9499399999977699754999867499997991",
    "9967576698756599854996979799997791",
    "9999899899875497594998999999999990",
    "6535556549465343534587958999969699",
)
_LETTERS = 33
_SPACE = 33
_UPPER = 34  # upper-case letters: classes 34..66
_LATIN = 67
_KIN = 68
_FOREIGN = 69
CLASSES = 70
#: Marks that Russian text has beside letters and ASCII; any other sign hints at the wrong encoding.
_USUAL = frozenset("«»—–…№„“”’‘•§°\u00a0\u00ad")
#: Letters of the neighbours and of the old spelling: neither likely nor a sign of a wrong reading.
_KINDRED = frozenset("іїєґўђѓјљњћќѕџѣѳѵ")
_KIN_BITS = 9.0
#: Bits for two marks or a mark and a space: about what two letters cost, or readings with many marks win.
_BETWEEN = 4.0
#: Bits for a capital after a small letter («пЕЧЕНЬ»): rare in text, the rule in koi8-r read as cp1251.
_CASE_SLIP = 6.0
#: Bits for a Latin letter beside a Cyrillic one, and for a sign that Russian text does not use.
_ODD = 12.0


def letter_class(char: str) -> int:
    """The class of a character: a small letter, a capital, something between words, Latin, or foreign."""
    position = ALPHABET.find(char.lower())
    if 0 <= position < _LETTERS:
        return position if char.islower() else _UPPER + position
    if char.isascii():
        return _LATIN if char.isalpha() else _SPACE
    if char in _USUAL:
        return _SPACE
    return _KIN if char.lower() in _KINDRED else _FOREIGN


@lru_cache
def pair_costs() -> tuple[tuple[float, ...], ...]:
    """`pair_costs()[a][b]`: bits to pay for class `b` after class `a`; 0 says nothing either way."""
    return tuple(tuple(_cost(a, b) for b in range(CLASSES)) for a in range(CLASSES))


def _cost(a: int, b: int) -> float:
    if _FOREIGN in (a, b):
        return _ODD
    if a == b == _SPACE:
        return _BETWEEN
    if _LATIN in (a, b):
        # A word that starts or ends with Latin letters is cut off there by whoever samples.
        return 0.0 if {a, b} <= {_LATIN, _SPACE} else _ODD
    if _KIN in (a, b):
        return _KIN_BITS
    bits = float(_BITS[_small(a)][_small(b)])
    return bits + _CASE_SLIP if a < _LETTERS and b >= _UPPER else bits


def _small(letter: int) -> int:
    return letter - _UPPER if letter >= _UPPER else letter
