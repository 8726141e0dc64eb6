"""The seeded code of one tensor.

Entry (i, j) of a change has the size r 2^-k, k = row level i + column level j: powers of two nearest to the root mean
squares of its row and column. It is kept with probability p = min(1, rate 2^-k), at a place that follows from the
seed. A kept entry x is stored as the symbol q = round(x / step + u), step = w r 2^-k, u its dither, and read as

    step (q - u) / p

so that the mean over seeds is the change itself. Levels and symbols are compressed by LZMA's range coder.
"""

from __future__ import annotations

import lzma
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tswitch.coding._places import draws, thresholds

LAST = 15  # greatest level of a row or a column
NEVER_CHANGES = 255  # level of a row or a column that does not change
_FILTER = ({"id": lzma.FILTER_LZMA2, "preset": 6, "lc": 0, "lp": 0, "pb": 0},)
_HEADER = struct.Struct("<III")  # bytes of the row levels, of the column levels; kept entries
_MOST = 127  # greatest symbol


class SeededError(Exception):
    """A code that cannot be read; the text says why."""


@dataclass(frozen=True)
class Draw:
    """How entries are kept and rounded, the same for all tensors of a model.

    Attributes:
        seed: of the kept places and the dither.
        rate: an entry of size s is kept with probability min(1, rate s).
        step: w, of the symbols, in sizes of an entry.
    """

    seed: int
    rate: float
    step: float = 3.0


@dataclass(frozen=True)
class Measured:
    """What a change looks like: its size, and the levels of its rows and columns.

    Attributes:
        size: r, root mean square of an entry of level 0; 0 if nothing changes.
        rows, columns: uint8 levels.
    """

    size: float
    rows: np.ndarray
    columns: np.ndarray

    def counts(self) -> np.ndarray:
        """(2 LAST + 1,) entries of each level."""
        each = [np.bincount(held[held <= LAST], minlength=LAST + 1) for held in (self.rows, self.columns)]
        return np.convolve(each[0], each[1])


def measure(change: np.ndarray) -> Measured:
    """Levels of a change (rows, columns) float32, finite."""
    rows, columns = (np.sqrt(np.square(change, dtype=np.float64).mean(axis=axis)) for axis in (1, 0))
    whole = float(np.sqrt(np.square(rows).mean())) if rows.size else 0.0
    if not whole or not columns.size:
        none = np.full(max(change.shape), NEVER_CHANGES, np.uint8)
        return Measured(0.0, none[: change.shape[0]], none[: change.shape[1]])
    size = float(np.float32(rows.max() * columns.max() / whole))
    return Measured(size, _levels(rows), _levels(columns))


def _levels(sizes: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        levels = np.rint(np.log2(sizes.max() / sizes))
    return np.where(levels > LAST, NEVER_CHANGES, levels).astype(np.uint8)


def encode(change: np.ndarray, measured: Measured, draw: Draw, name: str) -> tuple[bytes, int]:
    """(code, kept entries) of a change (rows, columns) float32.

    Args:
        change: finite values.
        measured: what `measure` says of it.
        draw, name: how entries are kept and rounded.
    """
    symbols = []
    for part, places, _, step, dither in _kept(measured, draw, name):
        values = change[part][places] / step + dither
        symbols.append(np.rint(values).clip(-_MOST, _MOST).astype(np.int8))
    kept = np.concatenate([np.empty(0, np.int8), *symbols])
    parts = [_packed(held.tobytes()) for held in (measured.rows, measured.columns, kept)]
    return b"".join([_HEADER.pack(len(parts[0]), len(parts[1]), len(kept)), *parts]), len(kept)


def decode(code: bytes, shape: tuple[int, int], size: float, draw: Draw, name: str) -> np.ndarray:
    """The change (rows, columns) float32 that a code stands for.

    Args:
        code: what `encode` made.
        shape, size, draw, name: as it was made with.
    Raises: SeededError if it is damaged.
    """
    if len(code) < _HEADER.size:
        raise SeededError("is truncated")
    rows, columns, count = _HEADER.unpack_from(code)
    at = _HEADER.size
    if at + rows + columns > len(code) or count > shape[0] * shape[1]:
        raise SeededError("is truncated, or its lengths make no sense")
    held = [
        _unpacked(code[start:stop], length)
        for start, stop, length in (
            (at, at + rows, shape[0]),
            (at + rows, at + rows + columns, shape[1]),
            (at + rows + columns, len(code), count),
        )
    ]
    levels = [np.frombuffer(one, np.uint8) for one in held[:2]]
    if any(((one > LAST) & (one != NEVER_CHANGES)).any() for one in levels):
        raise SeededError(f"has a level beyond {LAST}")
    symbols = np.frombuffer(held[2], np.int8)
    out, done = np.zeros(shape, np.float32), 0
    for part, places, chance, step, dither in _kept(Measured(size, *levels), draw, name):
        found = symbols[done : done + len(step)]
        if len(found) < len(step):
            raise SeededError("has fewer symbols than its seed draws places")
        out[part][places] = step * (found.astype(np.float32) - dither) / chance
        done += len(step)
    if done != count:
        raise SeededError("has more symbols than its seed draws places")
    return out


def _kept(
    measured: Measured, draw: Draw, name: str
) -> Iterator[tuple[slice, np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """(rows, places in them, probability, step, dither) of the kept entries, float32, from top to bottom."""
    below = thresholds(draw.rate * measured.size, 2 * LAST + 1)
    chances = (np.minimum(below, np.uint64(1 << 32)).astype(np.float64) / (1 << 32)).astype(np.float32)
    steps = np.ldexp(np.float32(draw.step * measured.size), -np.arange(2 * LAST + 1)).astype(np.float32)
    below = np.concatenate([below, np.zeros(2 * NEVER_CHANGES - 2 * LAST, np.uint64)])  # levels of what never changes
    columns = measured.columns.astype(np.int64)
    for part, drawn, dither in draws(draw.seed, name, len(measured.rows), len(columns)):
        level = measured.rows[part].astype(np.int64)[:, None] + columns
        places = drawn < below[level]
        chosen = level[places]
        yield part, places, chances[chosen], steps[chosen], dither[places]


def _packed(data: bytes) -> bytes:
    return lzma.compress(data, lzma.FORMAT_RAW, filters=_FILTER)


def _unpacked(data: bytes, length: int) -> bytes:
    """Exactly `length` bytes, never more memory than that."""
    reader = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=_FILTER)
    try:
        found = reader.decompress(data, max_length=length + 1)
    except (lzma.LZMAError, EOFError) as error:
        raise SeededError(f"is damaged ({error})") from None
    if len(found) != length:
        raise SeededError(f"has {len(found)} bytes where {length} are expected")
    return found
