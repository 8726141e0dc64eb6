"""Systematic erasure code over pictures: Reed-Solomon by a Cauchy matrix over GF(256)."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from ninefold.errors import InputError


@functools.cache
def _tables() -> tuple[np.ndarray, np.ndarray]:
    """Powers (512,) and logarithms (256,) of GF(256) with x^8 + x^4 + x^3 + x^2 + 1."""
    powers, logs, value = np.zeros(512, np.int64), np.zeros(256, np.int64), 1
    for exponent in range(255):
        powers[exponent] = powers[exponent + 255] = value
        logs[value] = exponent
        value = (value << 1) ^ (0x11D if value & 0x80 else 0)
    return powers, logs


def multiply(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Products in GF(256), broadcast, uint8."""
    powers, logs = _tables()
    product = powers[logs[a] + logs[b]]
    return np.where((np.asarray(a) == 0) | (np.asarray(b) == 0), 0, product).astype(np.uint8)


def inverse(a: np.ndarray) -> np.ndarray:
    """1 / a in GF(256) of non-zero values."""
    powers, logs = _tables()
    return powers[255 - logs[a]].astype(np.uint8)


@dataclass(frozen=True)
class ErasureCode:
    """Any `data` of the `data + parity` pictures of a group give the group.

    Attributes:
        data: pictures with payload in a group.
        parity: pictures added to it.
    """

    data: int
    parity: int

    def __post_init__(self) -> None:
        if self.data < 1 or self.parity < 1 or self.data + self.parity > 256:
            raise InputError("erasure code", got=f"{self.data},{self.parity}", expected="1 or more of both, 256 in all")

    @classmethod
    def from_spec(cls, spec: str) -> ErasureCode | None:
        """Read `DATA,PARITY`, e.g. `20,4`; "" or `none` is no code."""
        if spec in ("", "none"):
            return None
        match = re.fullmatch(r"(\d+),(\d+)", spec)
        if match is None:
            raise InputError("erasure code", got=repr(spec), expected="DATA,PARITY, e.g. 20,4")
        return cls(int(match[1]), int(match[2]))

    @property
    def _matrix(self) -> np.ndarray:
        """Cauchy matrix (parity, data): each square part of it has an inverse."""
        rows = np.arange(self.data, self.data + self.parity)[:, None]
        return inverse(rows ^ np.arange(self.data))

    def encode(self, groups: np.ndarray) -> np.ndarray:
        """(groups, data, bytes) uint8 -> (groups, data + parity, bytes)."""
        parity = np.zeros((len(groups), self.parity, groups.shape[2]), np.uint8)
        for column, weights in enumerate(self._matrix.T):
            parity ^= multiply(weights[None, :, None], groups[:, column : column + 1])
        return np.concatenate([groups, parity], axis=1)

    def decode(self, rows: Mapping[int, np.ndarray]) -> dict[int, np.ndarray]:
        """Data rows of a group by place, as far as they can be known.

        Args:
            rows: received rows (bytes,) uint8 by place in the group, parity from `data` on.
        """
        known = {place: row for place, row in rows.items() if place < self.data}
        lost = [place for place in range(self.data) if place not in known]
        checks = [place for place in rows if place >= self.data][: len(lost)]
        if not lost or len(checks) < len(lost):
            return known
        matrix = self._matrix[[place - self.data for place in checks]]
        right = np.stack([rows[place] for place in checks]).copy()
        for place, row in known.items():
            right ^= multiply(matrix[:, place : place + 1], row[None])
        solved = _solve(matrix[:, lost].copy(), right)
        return known | dict(zip(lost, solved, strict=True))


def _solve(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    """X of matrix X = right in GF(256), by Gauss-Jordan elimination; the matrix has an inverse."""
    for column in range(len(matrix)):
        pivot = column + int(np.flatnonzero(matrix[column:, column])[0])
        for array in (matrix, right):
            array[[column, pivot]] = array[[pivot, column]]
        scale = inverse(matrix[column, column])
        matrix[column], right[column] = multiply(matrix[column], scale), multiply(right[column], scale)
        for row in range(len(matrix)):
            factor = matrix[row, column]
            if row != column and factor:
                matrix[row] ^= multiply(matrix[column], factor)
                right[row] ^= multiply(right[column], factor)
    return right
