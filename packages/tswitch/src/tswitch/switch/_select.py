"""Exact k-th largest value of a stream, in two passes and 1 MB, without sorting.

The bits of non-negative floats order like integers. A first pass counts the upper 16 bits of every value, which tells
in which of 65,536 bins the k-th largest lies; a second pass counts the lower 16 bits inside that bin, which tells its
value. One count table serves both signs, because the sign is the uppermost bit.
"""

from __future__ import annotations

import numpy as np
from ninefold.errors import InputError

_BINS = 1 << 16
_SIGN = 1 << 15
_INFINITY = 0x7F80  # upper bits of infinity and, above it, NaN
UNTHRESHOLDED = float(np.float32(1e-45))
"""The smallest positive float32: as a threshold it keeps every non-zero entry."""


class RadixSelect:
    """The k-th largest positive and the k-th largest negated negative value of a stream of float32 chunks.

    Feed all chunks to `count`, call `seek`, feed the same chunks to `refine`, read `thresholds`.

    Attributes:
        size: values counted so far, zeros included.
    """

    def __init__(self) -> None:
        self.size = 0
        self._high = np.zeros(_BINS, np.int64)
        self._low = np.zeros((2, _BINS), np.int64)
        self._bins = np.zeros(2, np.int64)
        self._ranks = [0, 0]  # rank of the wanted value inside its bin; 0: that sign has no threshold

    def count(self, chunk: np.ndarray) -> None:
        """First pass over one chunk (float32, any shape)."""
        from tswitch.switch import _kernels  # numba, loaded when it is first needed

        bits = _bits(chunk)
        self.size += bits.size
        _kernels.count_high(bits, self._high)

    @property
    def not_finite(self) -> int:
        """How many NaN and infinite values were counted."""
        return int(self._high.reshape(2, _SIGN)[:, _INFINITY:].sum())

    @property
    def positives(self) -> int:
        """How many values above zero were counted."""
        return int(self._high[:_SIGN].sum())

    @property
    def negatives(self) -> int:
        """How many values below zero were counted (-0.0 is not below zero)."""
        return int(self._high[_SIGN:].sum())

    @property
    def zeros(self) -> int:
        """How many plus or minus zeros were counted."""
        return self.size - int(self._high.sum())

    def seek(self, positive: int, negative: int) -> None:
        """Choose the ranks, from 1 = largest: a rank of 0 leaves that sign without a threshold.

        Raises:
            InputError: if a rank is negative or above the number of values of its sign.
        """
        table = self._high.reshape(2, _SIGN)
        for sign, rank in enumerate((positive, negative)):
            there = int(table[sign].sum())
            if not 0 <= rank <= there:
                raise InputError("rank", got=rank, expected=f"0 to {there}, the number of values of that sign")
            self._bins[sign], self._ranks[sign] = _from_top(table[sign], rank) if rank else (0, 0)
            self._bins[sign] += sign * _SIGN
        self._low[:] = 0

    def refine(self, chunk: np.ndarray) -> None:
        """Second pass over one chunk (float32, any shape)."""
        from tswitch.switch import _kernels

        _kernels.count_low(_bits(chunk), self._bins, self._low)

    def thresholds(self) -> tuple[float, float]:
        """(positive, negative) thresholds as magnitudes, exact float32 values; `UNTHRESHOLDED` where the rank was 0."""
        found = []
        for sign, rank in enumerate(self._ranks):
            if not rank:
                found.append(UNTHRESHOLDED)
                continue
            lower, _ = _from_top(self._low[sign], rank)
            bits = (int(self._bins[sign]) % _SIGN) << 16 | lower
            found.append(float(np.array(bits, np.uint32).view(np.float32)))
        return found[0], found[1]


def kth_largest(values: np.ndarray, rank: int) -> float:
    """The `rank`-th largest (1 = largest) of non-negative float32 values of any shape.

    Raises:
        InputError: if a value is negative, NaN or infinite, or the rank is not in 1..number of values.

    Examples:
        >>> import numpy as np
        >>> from tswitch import kth_largest

        >>> kth_largest(np.array([0.5, 2.0, 1.5, 1.0], np.float32), rank=2)
        1.5
    """
    values = np.asarray(values, np.float32)
    select = RadixSelect()
    select.count(values)
    if select.negatives or select.not_finite:
        raise InputError("values", got="negative, NaN or infinite ones", expected="finite values from zero up")
    if not 1 <= rank <= values.size:
        raise InputError("rank", got=rank, expected=f"1 to {values.size}, the number of values")
    if rank > select.positives:
        return 0.0
    select.seek(rank, 0)
    select.refine(values)
    return select.thresholds()[0]


def _bits(chunk: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(chunk, np.float32).reshape(-1).view(np.uint32)


def _from_top(counts: np.ndarray, rank: int) -> tuple[int, int]:
    """(bin that holds the value of that rank counted from the uppermost bin, its rank inside the bin)."""
    found = 0
    for width in (256, 1):  # 256 bins at a time first: most of the table need not be walked bin by bin
        above = np.cumsum(counts.reshape(-1, width).sum(1)[::-1])
        index = int(np.searchsorted(above, rank))
        rank -= int(above[index - 1]) if index else 0
        first = above.size - 1 - index
        counts = counts[first * width : (first + 1) * width]
        found += first * width
    return found, rank
