"""Columns of a factorisation machine's design that are drawn together: they never meet in a row.

A block owns `size` columns. For parameters theta of its columns it knows X theta and, for a Gibbs sweep, how to draw
them given the residual e = y - prediction and, for factors, q = X v over all blocks (Rendle 2012, section 4.4):
with h = x (for weights) or h = x (q - v x) (for factors),

    theta* ~ N((alpha sum h (e + h theta) + lambda mu) / (lambda + alpha sum h^2), 1 / (lambda + alpha sum h^2)).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from recsys.data._untyped import Csr


@dataclass
class Normal:
    """Precision of the noise, and a block's prior: mean, precision; the generator draws."""

    alpha: float
    mean: float
    precision: float
    draw: np.random.Generator

    def sample(self, old: np.ndarray, slope: np.ndarray, square: np.ndarray) -> np.ndarray:
        """New parameters from sum h e (`slope`) and sum h^2 (`square`), (columns,)."""
        precision = self.precision + self.alpha * square
        mean = (self.alpha * (slope + square * old) + self.precision * self.mean) / precision
        return mean + self.draw.standard_normal(len(old)) / np.sqrt(precision)


class OneHot:
    """One column a row: a group of categories. All columns are drawn at once, by counting."""

    def __init__(self, index: np.ndarray, size: int, weight: np.ndarray | None = None) -> None:
        """index (n,): column of each row, -1 for none; weight (n,): its value, 1 if None."""
        if (index < 0).any():  # a row without a column: a value of 0 in any one
            weight = np.where(index < 0, 0.0, 1.0 if weight is None else weight)
        self.size, self._index, self._x = size, np.maximum(index, 0).astype(np.int64), weight
        x2 = np.ones(len(index)) if weight is None else weight * weight
        self._count = np.bincount(self._index, x2, size)

    def times(self, theta: np.ndarray) -> np.ndarray:
        """X theta, (n,)."""
        return theta[self._index] if self._x is None else self._x * theta[self._index]

    def squares(self, v: np.ndarray) -> np.ndarray:
        """sum x^2 v^2, (n,)."""
        return self.times(v) ** 2

    def draw_weights(self, w: np.ndarray, e: np.ndarray, law: Normal) -> None:
        """Draw w (columns,) and update e (n,), both in place."""
        slope = np.bincount(self._index, e if self._x is None else e * self._x, self.size)
        new = law.sample(w, slope, self._count)
        e -= self.times(new - w)
        w[:] = new

    def draw_factor(self, v: np.ndarray, e: np.ndarray, q: np.ndarray, law: Normal) -> None:
        """Draw v (columns,) of one factor and update e and q (n,), all in place."""
        h = q - self.times(v)
        if self._x is not None:
            h *= self._x
        new = law.sample(v, np.bincount(self._index, h * e, self.size), np.bincount(self._index, h * h, self.size))
        change = (new - v)[self._index]
        q += change if self._x is None else change * self._x
        h *= change
        e -= h
        v[:] = new


class SetColumns:
    """Sets that many rows share, e.g. the items of the row's user: row r has the columns of set key[r].

    What rows have in common is kept by set (Rendle, VLDB 2013), so that a draw costs the sets' size, not the rows'.
    Columns that meet in no set are drawn at once: they get the same colour.
    """

    def __init__(self, key: np.ndarray, sets: Csr) -> None:
        """key (n,): set of each row, -1 for none; sets: CSR (sets, columns) of values x."""
        self.size = sets.shape[1]
        self._key, self._sets, self._count = key, sets.tocsr(), sets.shape[0]
        self._has = key >= 0
        self._rows = np.bincount(key[self._has], minlength=self._count).astype(np.float64)
        columns = sets.tocsc()
        self._steps = []
        for colour in colours(sets):
            starts, counts = columns.indptr[colour], np.diff(columns.indptr)[colour]
            place = np.repeat(starts - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
            member = np.repeat(np.arange(len(colour)), counts)
            self._steps.append((colour, columns.indices[place], member, columns.data[place].astype(np.float64)))

    def times(self, theta: np.ndarray) -> np.ndarray:
        """X theta, (n,)."""
        return self._spread(self._sets @ theta)

    def squares(self, v: np.ndarray) -> np.ndarray:
        """sum x^2 v^2, (n,)."""
        return self._spread(self._sets.multiply(self._sets) @ (v * v))

    def draw_weights(self, w: np.ndarray, e: np.ndarray, law: Normal) -> None:
        """Draw w (columns,) and update e (n,), both in place."""
        total, start = self._sum(e), self._sets @ w
        for colour, who, member, x in self._steps:
            slope = np.bincount(member, x * total[who], len(colour))
            new = law.sample(w[colour], slope, np.bincount(member, x * x * self._rows[who], len(colour)))
            total[who] -= ((new - w[colour])[member] * x) * self._rows[who]
            w[colour] = new
        e -= self._spread(self._sets @ w - start)

    def draw_factor(self, v: np.ndarray, e: np.ndarray, q: np.ndarray, law: Normal) -> None:
        """Draw v (columns,) of one factor and update e and q (n,), all in place."""
        start = self._sets @ v
        other = q - self._spread(start)  # of the other blocks; own, the part of the set, changes as columns are drawn
        c1, c2, e0, e1 = self._sum(other), self._sum(other * other), self._sum(e), self._sum(e * other)
        own, pushed, n = start.copy(), np.zeros(self._count), self._rows
        for colour, who, member, x in self._steps:
            g = own[who] - x * v[colour][member]
            square = np.bincount(member, x * x * (n[who] * g * g + 2 * g * c1[who] + c2[who]), len(colour))
            slope = np.bincount(member, x * (g * e0[who] + e1[who]), len(colour))
            new = law.sample(v[colour], slope, square)
            d = (new - v[colour])[member] * x
            e1[who] -= d * (g * c1[who] + c2[who])
            e0[who] -= d * (g * n[who] + c1[who])
            own[who] += d
            pushed[who] += d * g
            v[colour] = new
        q += self._spread(own - start)
        e -= self._spread(pushed) + other * self._spread(own - start)

    def _sum(self, values: np.ndarray) -> np.ndarray:
        return np.bincount(self._key[self._has], values[self._has], self._count)

    def _spread(self, by_set: np.ndarray) -> np.ndarray:
        return np.where(self._has, by_set[self._key], 0.0)


Block: TypeAlias = OneHot | SetColumns  # what the sampler draws, one after the other


def colours(sets: Csr) -> list[np.ndarray]:
    """Columns of a CSR matrix in groups, of which no two meet in a row; greedy, those in most rows first."""
    columns = sets.tocsc()
    taken = [0] * sets.shape[0]  # by row, as bits: the colours it has
    counts = np.diff(columns.indptr)
    colour = np.full(sets.shape[1], -1)
    for column in np.argsort(-counts, kind="stable"):
        rows = columns.indices[columns.indptr[column] : columns.indptr[column + 1]].tolist()
        used = 0
        for row in rows:
            used |= taken[row]
        free = ~used & (used + 1)
        for row in rows:
            taken[row] |= free
        colour[column] = free.bit_length() - 1
    return [np.flatnonzero(colour == one) for one in range(colour.max() + 1)]
