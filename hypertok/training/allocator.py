"""Memory that a step frees is kept for the next one.

The C library of Linux gives large blocks back to the system when they are freed, and the system clears every page
before it gives it out again. A training step frees gigabytes that the next one asks for: kept, a step of Gemma-3-270M
with 16,384 new rows takes 3.0 to 3.2 s instead of 4.1 on two cores, with the same bits, and the peak is 4.38 GiB
instead of 4.25.
"""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress

#: Names of parameters in glibc's malloc.h.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
#: Asked of the system beyond what is needed, so that it is asked seldom.
_PAD = 64 << 20


def keep_freed_memory() -> bool:
    """For the rest of this process; gives whether the C library knows how (glibc does)."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # another C library
        return False
    wanted = {_MMAP_MAX: 0, _TRIM_THRESHOLD: -1, _TOP_PAD: _PAD}  # -1: never
    return all(mallopt(name, value) == 1 for name, value in wanted.items())


def give_back_freed_memory() -> None:
    """What was kept goes back to the system, as far as the C library knows how: what comes next begins without it."""
    if sys.platform.startswith("linux"):
        with suppress(AttributeError, OSError):
            ctypes.CDLL(None).malloc_trim(0)
