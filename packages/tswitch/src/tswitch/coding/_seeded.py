"""The seeded code of one tensor: signs at random places, so that the mean over seeds is the change itself.

An entry x of a change is read as +-scale with probability |x| / scale, else as zero. The draw v in [0, 1) that decides
it follows from the seed and the entry's index: the entry is not zero where |x| > scale v. A reader knows v and about
how large a row's entries are, so that most places are known to be zero and cost nothing; the others are stored by a
range coder that learns how often an entry exceeds v, of each size of v. That takes some 2.8 bits for each entry that is
not zero, its place and its sign.

A code is a byte for the scale in sizes of an entry, then the range coder's bytes: of each row, whether it changes and
its size in octaves, and its entries.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

CHUNK = 1 << 20  # entries that are read at once
_QUARTERS = (1.0, 1.189207115002721, 1.4142135623730951, 1.681792830507429)  # 2^(k/4)
_ZERO_BYTE = 128  # a scale of one size


class SeededError(Exception):
    """A code that cannot be read; the text says why."""


@dataclass(frozen=True)
class Measured:
    """What a change looks like.

    Attributes:
        total: sum of the sizes of its entries; 0 if nothing changes.
        size: root mean square of the entries of a row of median size.
        largest: root mean square of all rows that change.
        levels: (rows,) uint8, sizes of rows in octaves below 2^15 `size`.
        columns: entries of a row.
    """

    total: float
    size: float
    largest: float
    levels: np.ndarray
    columns: int

    @property
    def changed(self) -> int:
        """Rows that change."""
        from tswitch.coding._coder import NEVER_CHANGES

        return int((self.levels != NEVER_CHANGES).sum())


def measure(chunks: Iterable[np.ndarray], shape: tuple[int, int]) -> tuple[Measured, int]:
    """(what a change looks like, entries that are not finite); `chunks` are its flat entries in order, float32."""
    from tswitch.coding import _coder

    rows, columns = shape
    squares, total, bad, start = np.zeros(rows), 0.0, 0, 0
    for chunk in chunks:
        added, wrong = _coder.measure(chunk, start, max(columns, 1), squares)
        total, bad, start = total + added, bad + wrong, start + chunk.size
    sizes = np.sqrt(squares / max(columns, 1))
    levels = np.full(rows, _coder.NEVER_CHANGES, np.uint8)
    changed = sizes > 0
    if not changed.any():
        return Measured(0.0, 0.0, 0.0, levels, columns), bad
    size = max(float(np.median(sizes[changed])), float(sizes.max()) * 2.0**-_coder.MIDDLE)
    with np.errstate(divide="ignore"):
        octaves = np.rint(_coder.MIDDLE - np.log2(sizes / size))
    held = changed & (octaves < _coder.LEVELS)
    levels[held] = octaves[held].clip(0).astype(np.uint8)
    return Measured(total, size, float(np.sqrt(np.square(sizes[changed]).mean())), levels, columns), bad


def encode(chunks: Iterable[np.ndarray], measured: Measured, scale: float, seed: int, name: str) -> tuple[bytes, int]:
    """(code, entries that are not zero) of a change whose entries are read as `scale` or minus it."""
    from tswitch.coding import _coder

    byte = round(4 * math.log2(scale / measured.size)) + _ZERO_BYTE
    byte = min(max(byte, 0), 255)
    chances, counts, state = _started()
    parts, active, start = [], 0, 0
    for chunk in chunks:
        out = np.empty(12 * chunk.size + int(state[_coder.PENDING]) + 64, np.uint8)
        active += _coder.encode(
            chunk, start, max(measured.columns, 1), measured.levels, cuts(byte), key_of(seed, name), 2.0**32 / scale,
            chances, counts, state, out,
        )  # fmt: skip
        start += chunk.size
        parts.append(out[: state[_coder.AT]].tobytes())
        state[_coder.AT] = 0
    out = np.empty(int(state[_coder.PENDING]) + 64, np.uint8)
    _coder.finish(state, out)
    made = b"".join([*parts, out[: state[_coder.AT]].tobytes()])
    return bytes([byte]) + made[1:].rstrip(b"\0"), active  # the range coder's first byte is always zero


def decode(code: np.ndarray, shape: tuple[int, int], seed: int, name: str) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield (slice of the flat tensor, int8 entries in {-1, 0, 1}), `CHUNK` entries at a time.

    Args:
        code: (n,) uint8, what `encode` made.
        shape, seed, name: as it was made with.
    Raises: SeededError if it is damaged.
    """
    from tswitch.coding import _coder

    if not code.size:
        raise SeededError("is truncated")
    rows, columns = shape
    chances, counts, state = _started()
    data, level = np.ascontiguousarray(code[1:]), np.full(1, _coder.NEVER_CHANGES, np.int64)
    state[_coder.LOW] = int.from_bytes(data[:4].tobytes().ljust(4, b"\0"), "big")
    state[_coder.AT] = 4
    limits, key = cuts(int(code[0])), key_of(seed, name)
    for start in range(0, rows * columns, CHUNK):
        out = np.zeros(min(CHUNK, rows * columns - start), np.int8)
        _coder.decode(data, start, columns, level, limits, key, chances, counts, state, out)
        yield slice(start, start + out.size), out
    if state[_coder.AT] < data.size:
        raise SeededError(f"has {data.size - int(state[_coder.AT])} bytes too many")


def cuts(byte: int) -> np.ndarray:
    """(LEVELS,) uint64: draws of 32 bits at and above which an entry of a level is zero, beyond 2^32 where none is."""
    from tswitch.coding import _coder

    whole, quarter = divmod(_ZERO_BYTE - byte, 4)
    powers = 35 + whole + _coder.MIDDLE - np.arange(_coder.LEVELS)  # `REACH` sizes, of 2^32
    return np.ldexp(_QUARTERS[quarter], np.minimum(powers, 56)).astype(np.uint64)


def key_of(seed: int, name: str) -> np.uint64:
    """Key of a tensor's draws."""
    mixed = (seed * 0x9E3779B97F4A7C15 ^ zlib.crc32(name.encode()) * 0xD6E8FEB86659FD93) & (1 << 64) - 1
    return np.uint64((mixed ^ mixed >> 32) * 0xD6E8FEB86659FD93 & (1 << 64) - 1)


def _started() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(chances, counts, state) of a coder before its first entry: entries exceed v as those of a normal law do."""
    from tswitch.coding import _coder

    chances = np.full(_coder.CONTEXTS, 1 << 14, np.int64)
    counts = np.zeros(_coder.CONTEXTS, np.int64)
    middles = (np.arange(_coder.BUCKETS) + 0.5) * _coder.REACH / _coder.BUCKETS
    normal = [math.erfc(one / math.sqrt(2)) for one in middles]
    chances[: _coder.BUCKETS] = np.clip(np.rint(np.array(normal) * (1 << 15)), 32, (1 << 15) - 32)
    counts[: _coder.BUCKETS] = 16
    state = np.zeros(_coder.STATE, np.int64)
    state[_coder.RANGE], state[_coder.LEVEL], state[_coder.CHANGED] = 0xFFFFFFFF, _coder.MIDDLE, 1
    return chances, counts, state
