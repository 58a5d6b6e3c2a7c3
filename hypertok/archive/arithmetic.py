"""Tables of the predictor, the same to the last bit on every machine.

Encoder and decoder must compute identical probabilities, so nothing here calls exp or log, whose last digits
differ between platforms: only + - * / on IEEE doubles, in a fixed order.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

_Doubles = npt.NDArray[np.float64]

#: Probabilities are handed to the coder as integers over 2**16.
ONE = 1 << 16
#: Logits are clamped to ±11.09 = ±ln(65535), beyond which 16 bits show no difference.
CLAMP = 11.09
#: Steps of the squash table per unit of logit; the error of 1/512 costs less than 1e-6 bits per decision.
STEPS = 256
_LN2 = 0.6931471805599453
_E_PER_STEP = 1.0039138893383475734  # e ** (1 / 256)


def _logarithms(count: int) -> _Doubles:
    """Natural logarithms of 1 … count (index 0 holds that of 1): halve into [1, 2), then the atanh series."""
    value = np.arange(count + 1, dtype=np.float64)
    value[0] = 1.0
    exponent = np.zeros(count + 1)
    while True:
        large = value >= 2.0
        if not large.any():
            break
        value[large] = value[large] * 0.5
        exponent[large] = exponent[large] + 1.0
    ratio = (value - 1.0) / (value + 1.0)
    square = ratio * ratio
    series = np.zeros(count + 1)
    for odd in range(35, 0, -2):
        series = series * square + 1.0 / odd
    result: _Doubles = exponent * _LN2 + 2.0 * ratio * series
    return result


@cache
def stretch_table() -> list[float]:
    """ln(p / (1 - p)) for p = i / 2**16; the ends repeat their neighbours."""
    logarithm = _logarithms(ONE)
    table = logarithm - logarithm[::-1]
    table[0], table[ONE] = table[1], table[ONE - 1]
    return [float(x) for x in table]


@cache
def squash_table() -> list[int]:
    """2**16 / (1 + e**-x) for x from -12 to 12 in `STEPS` steps per unit, within 1 … 2**16 - 1."""
    power = 1.0
    powers = []
    for _ in range(12 * STEPS + 1):
        powers.append(power)
        power = power * _E_PER_STEP
    upper = [ONE - max(1, int(ONE / (1.0 + p))) for p in powers]
    return [ONE - p for p in reversed(upper)] + upper[1:]


#: Counts of an adaptive cell grow to this, so that a cell keeps following the text.
_MOST = 250


@cache
def cell_tables() -> tuple[list[float], list[int], list[int], list[int]]:
    """For a cell `zeros << 8 | ones`: its logit, its confidence slot (0–19), and its next states.

    When one bit arrives, more than two counts of the other are halved: what came last weighs most (as in PAQ6: Mahoney,
    2005).
    """
    stretch = stretch_table()
    estimate = [0.0] * ONE
    slot = [0] * ONE
    after_zero = [0] * ONE
    after_one = [0] * ONE
    for zeros in range(_MOST + 1):
        for ones in range(_MOST + 1):
            cell = zeros << 8 | ones
            estimate[cell] = stretch[int((ones + 0.3) / (zeros + ones + 0.6) * ONE)]
            slot[cell] = confidence(zeros + ones) * 2 + (1 if zeros and ones else 0)
            after_zero[cell] = min(zeros + 1, _MOST) << 8 | (ones // 2 + 1 if ones > 2 else ones)
            after_one[cell] = (zeros // 2 + 1 if zeros > 2 else zeros) << 8 | min(ones + 1, _MOST)
    return estimate, slot, after_zero, after_one


def confidence(count: int) -> int:
    """Bucket 0–9 of a number of observations."""
    for bucket, limit in enumerate((1, 2, 3, 4, 6, 10, 20, 60, 300)):
        if count < limit:
            return bucket
    return 9


@cache
def confidence_table() -> list[int]:
    """`confidence` times 4 for 0 … 300 observations; more are in the last bucket."""
    return [confidence(count) * 4 for count in range(301)]
