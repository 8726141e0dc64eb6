"""Masks of equal weight in each group of patches: fewer bits than one number for the picture, and errors stay local."""

from __future__ import annotations

import math

import numpy as np
from ninefold.errors import InputError
from numba import njit


class BlockCodec:
    """`masked` of each group of `size` neighbouring patches; groups are visited in an interleaved order."""

    def __init__(self, num_patches: int, masked: int, size: int) -> None:
        if not 0 < masked < size or num_patches % size:
            expected = f"0 < A < B and B a divisor of {num_patches}"
            raise InputError("blocks", got=f"{masked},{size}", expected=expected)
        patterns = [p for p in range(2**size) if p.bit_count() == masked] if size <= 16 else []
        if not patterns:
            raise InputError("blocks", got=f"groups of {size}", expected="groups of at most 16 patches")
        self.bits = len(patterns).bit_length() - 1
        self.groups = num_patches // size
        self.capacity_bits = self.groups * self.bits
        shifts = np.arange(size)
        self._patterns = ((np.array(patterns)[:, None] >> shifts) & 1).astype(bool)  # (patterns, size)
        self._codes = np.full(2**size, -1, np.int32)
        self._codes[patterns] = np.arange(len(patterns))
        grid = math.isqrt(num_patches)
        places = np.arange(num_patches).reshape(self.groups, size)
        if size == 4 and grid * grid == num_patches and grid % 2 == 0:  # squares of two by two
            cut = np.arange(num_patches).reshape(grid // 2, 2, grid // 2, 2)
            places = cut.swapaxes(1, 2).reshape(self.groups, 4)
        step = next(
            s for s in range(max(1, int(self.groups * 0.618)), self.groups + 1) if math.gcd(s, self.groups) == 1
        )
        self._places = places[np.arange(self.groups) * step % self.groups]  # (groups, size)

    def encode(self, bits: np.ndarray) -> np.ndarray:
        """(rows, B) -> (rows, N) masks."""
        masks = np.empty((len(bits), self._places.size), np.bool_)
        masks_of_groups(np.ascontiguousarray(bits), self._patterns, self._places, self.bits, masks)
        return masks

    def decode(self, masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(rows, N) -> bits (rows, B), and (rows,) whether a group is out of range."""
        bits, bad = np.empty((len(masks), self.capacity_bits), np.uint8), np.zeros(len(masks), np.bool_)
        bits_of_groups(np.ascontiguousarray(masks), self._codes, self._places, self.bits, bits, bad)
        return bits, bad

    def detect(self, llr: np.ndarray) -> np.ndarray:
        """Likeliest allowed pattern of each group."""
        usable = self._patterns[: 1 << self.bits]
        best = (llr[:, self._places] @ (~usable).astype(llr.dtype).T).argmax(axis=2)
        masks = np.empty(llr.shape, np.bool_)
        masks[:, self._places.ravel()] = usable[best].reshape(len(llr), -1)
        return masks


@njit(cache=True)
def masks_of_groups(bits, patterns, places, width, masks):
    """Fill `masks` (rows, N) with the pattern that `width` bits of each group choose."""
    for row in range(len(bits)):
        for group in range(len(places)):
            value = 0
            for at in range(group * width, (group + 1) * width):
                value = 2 * value + bits[row, at]
            for place in range(places.shape[1]):
                masks[row, places[group, place]] = patterns[value, place]


@njit(cache=True)
def bits_of_groups(masks, codes, places, width, bits, bad):
    """Inverse of `masks_of_groups`: fills `bits` (rows, B); `bad` (rows,) is set where a pattern is out of range."""
    for row in range(len(masks)):
        for group in range(len(places)):
            pattern = 0
            for place in range(places.shape[1]):
                if masks[row, places[group, place]]:
                    pattern |= 1 << place
            code = codes[pattern]
            if code < 0 or code >= 1 << width:
                bad[row], code = True, 0
            for at in range(width):
                bits[row, group * width + at] = (code >> (width - 1 - at)) & 1
