"""Bits with known probabilities to bytes and back, by the range coder of the library `constriction`."""

from __future__ import annotations

import constriction
import numpy as np

from hypertok.archive.arithmetic import ONE
from hypertok.errors import ArtifactError

_bernoulli = constriction.stream.model.Bernoulli
_BIG_ENDIAN = np.dtype(">u4")


#: Bits that a writer collects: coding many at once is ten times faster than one by one, and a megabyte of text has
#: millions, which as Python's numbers took 70 MB.
BATCH = 1 << 18


class BitWriter:
    """Codes bits, `BATCH` at a time."""

    def __init__(self) -> None:
        self._encoder = constriction.stream.queue.RangeEncoder()
        self._bits: list[int] = []
        self._probabilities: list[int] = []

    def code(self, bit: int, probability: int) -> int:
        """Take one bit whose probability of being 1 is `probability` / 2**16."""
        self._bits.append(bit)
        self._probabilities.append(probability)
        if len(self._bits) == BATCH:
            self._flush()
        return bit

    def _flush(self) -> None:
        # Dyadic fractions are exact in floating point, so the coder's own quantisation is exact too.
        probabilities = np.array(self._probabilities, dtype=np.float64) / ONE
        self._encoder.encode(np.array(self._bits, dtype=np.int32), _bernoulli(perfect=False), probabilities)
        self._bits.clear()
        self._probabilities.clear()

    def to_bytes(self) -> bytes:
        """The code; zero bytes at its end are left out, for the reader sees zeros beyond the end anyway."""
        if self._bits:
            self._flush()
        words = self._encoder.get_compressed()
        data: bytes = words.astype(_BIG_ENDIAN).tobytes()
        return data.rstrip(b"\0")


class BitReader:
    """Reads what a `BitWriter` wrote."""

    def __init__(self, data: bytes) -> None:
        padded = data + bytes(-len(data) % 4)
        words = np.frombuffer(padded, dtype=_BIG_ENDIAN).astype(np.uint32)
        # The surest decision still costs log2(1 + 1 / 65535) bits, so honest data holds no more than these.
        self._left = (len(data) + 16) * 8 * ONE
        self._decode = constriction.stream.queue.RangeDecoder(words).decode

    def code(self, bit: int, probability: int) -> int:
        """The next bit; `bit` is ignored.

        Raises:
            ArtifactError: the data hold no such bit.
        """
        self._left -= 1
        if self._left < 0:
            raise ArtifactError("the archive's text does not end: it was not made by hypertok")
        try:
            return int(self._decode(_bernoulli(probability / ONE, perfect=False)))
        except AssertionError as error:  # what constriction raises where no encoder can have been
            raise ArtifactError("the archive's text is damaged, or was not made by hypertok") from error
