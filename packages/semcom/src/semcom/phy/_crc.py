"""Cyclic redundancy checks over bits (TS 38.212, section 5.1), as a product with a matrix: a whole batch at once."""

from __future__ import annotations

import functools

import numpy as np
from ninefold.errors import InputError

_POLYNOMIALS = {16: 0x1021, 24: 0x864CFB, 32: 0x04C11DB7}


@functools.cache
def _matrix(size: int, length: int, start: int) -> tuple[np.ndarray, np.ndarray]:
    """What each of `length` bits adds to the check (length, size), and what the start value adds (size,)."""
    polynomial, top, mask = _POLYNOMIALS[size], 1 << (size - 1), (1 << size) - 1

    def shifted(register: int) -> int:
        return ((register << 1) ^ (polynomial if register & top else 0)) & mask

    rows, register = [], polynomial  # of the last bit first
    for _ in range(length):
        rows.append(register)
        register = shifted(register)
    register = start
    for _ in range(length):
        register = shifted(register)
    places = np.arange(size - 1, -1, -1)
    table = (np.array(rows[::-1], dtype=np.uint64)[:, None] >> places.astype(np.uint64)) & np.uint64(1)
    return table.astype(np.float32), ((register >> places) & 1).astype(np.uint8)


def crc_bits(bits: np.ndarray, size: int = 16, *, start: int | None = None) -> np.ndarray:
    """Check bits of each row.

    Args:
        bits: (rows, n) of 0 and 1.
        size: 16, 24 or 32.
        start: value of the register before the first bit. All ones if left out, so that silence, which decodes to
            zeros, fails the check; 0 is the standard's.
    Returns: (rows, size) uint8, most significant first.
    """
    if size not in _POLYNOMIALS:
        raise InputError("CRC size", got=size, expected="16, 24 or 32")
    bits = np.asarray(bits)
    table, constant = _matrix(size, bits.shape[1], (1 << size) - 1 if start is None else start)
    return ((bits.astype(np.float32) @ table).astype(np.int64) & 1).astype(np.uint8) ^ constant


def append_crc(bits: np.ndarray, size: int = 16) -> np.ndarray:
    """(rows, n) -> (rows, n + size)."""
    return np.concatenate([np.asarray(bits, np.uint8), crc_bits(bits, size)], axis=1)


def check_crc(bits: np.ndarray, size: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """(rows, n + size) -> the n bits, and whether each row's check holds (rows,)."""
    own, check = bits[:, :-size], bits[:, -size:]
    return own, (crc_bits(own, size) == check).all(axis=1)
