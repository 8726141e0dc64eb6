"""The inner loops of the seeded code, compiled by numba: a hash for each entry, and an adaptive binary range coder.

Everything that a reader needs is exact in whole numbers, so that a reader draws the places that the writer drew.
"""

from typing import Any

import numpy as np
from numba import njit

compiled: Any = njit(nogil=True, cache=True)
LEVELS, MIDDLE = 32, 15  # levels of rows, in octaves; the one of a row of median size
NEVER_CHANGES = 255  # level of a row that does not change
BUCKETS, REACH = 64, 8  # of the draws below `REACH` sizes of an entry, above which an entry stays as it is
_ONE = 1 << 15  # probabilities are in units of 2^-15
_MOST = 400  # entries that a probability remembers
_FLAG, _SAME, _TREE = BUCKETS, BUCKETS + 2, BUCKETS + 3
CONTEXTS = _TREE + LEVELS
LOW, RANGE, CACHE, PENDING, AT, LEVEL, CHANGED = range(7)  # of the state of a coder; AT: bytes written or read
STATE = 7


@compiled
def _drawn(key, index):
    """32 random bits of entry `index` (SplitMix64)."""
    z = key + (np.uint64(index) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (z ^ (z >> np.uint64(31))) >> np.uint64(32)


@compiled
def _learn(chances, counts, context, bit):
    chance = chances[context]
    count = counts[context]
    goal = _ONE - 32 if bit else 32
    step = (goal - chance) / (count + 1.5)
    chances[context] = chance + (int(step) if step >= 0 else -int(-step))
    if count < _MOST:
        counts[context] = count + 1


@compiled
def _shift(state, out):
    low = state[LOW]
    if low < 0xFF000000 or low > 0xFFFFFFFF:
        carry = low >> 32
        at = state[AT]
        out[at] = (state[CACHE] + carry) & 0xFF
        at += 1
        for _ in range(state[PENDING]):
            out[at] = (0xFF + carry) & 0xFF
            at += 1
        state[AT] = at
        state[PENDING] = 0
        state[CACHE] = (low >> 24) & 0xFF
    else:
        state[PENDING] += 1
    state[LOW] = (low & 0x00FFFFFF) << 8


@compiled
def _put(state, out, chance, bit):
    bound = (state[RANGE] >> 15) * chance
    if bit:
        state[RANGE] = bound
    else:
        state[LOW] += bound
        state[RANGE] -= bound
    while state[RANGE] < 1 << 24:
        state[RANGE] <<= 8
        _shift(state, out)


@compiled
def _get(state, data, chance):
    bound = (state[RANGE] >> 15) * chance
    bit = state[LOW] < bound
    if bit:
        state[RANGE] = bound
    else:
        state[LOW] -= bound
        state[RANGE] -= bound
    while state[RANGE] < 1 << 24:
        state[RANGE] <<= 8
        at = state[AT]
        state[LOW] = (state[LOW] << 8) | (data[at] if at < data.size else 0)
        state[AT] = at + 1
    return bit


@compiled
def measure(chunk, start, columns, squares):
    """Add squares of `chunk` (n,), the entries from `start` on, to those of their rows; (sum of sizes, not finite)."""
    total = 0.0
    bad = 0
    for place in range(chunk.size):
        value = np.float64(chunk[place])
        if not np.isfinite(value):
            bad += 1
            continue
        total += abs(value)
        squares[(start + place) // columns] += value * value
    return total, bad


@compiled
def encode(chunk, start, columns, levels, cuts, key, inverse, chances, counts, state, out):
    """Code entries `start` and up of a tensor into `out`; returns how many are not zero.

    Args:
        chunk: (n,) float32 changes. columns: entries of a row. levels: (rows,) uint8.
        cuts: (LEVELS,) uint64, see `_seeded.cuts`. key: of the draws. inverse: 2^32 / scale.
        chances, counts, state: of the coder.
    """
    active = 0
    place = 0
    while place < chunk.size:
        row = (start + place) // columns
        column = (start + place) % columns
        level = np.int64(levels[row])
        changed = level != NEVER_CHANGES
        if column == 0:
            context = _FLAG + state[CHANGED]
            _put(state, out, chances[context], changed)
            _learn(chances, counts, context, changed)
            state[CHANGED] = changed
            if changed:
                same = level == state[LEVEL]
                _put(state, out, chances[_SAME], same)
                _learn(chances, counts, _SAME, same)
                if not same:
                    node = 1
                    for shift in range(4, -1, -1):
                        bit = (level >> shift) & 1
                        _put(state, out, chances[_TREE + node], bit)
                        _learn(chances, counts, _TREE + node, bit)
                        node = 2 * node + bit
                    state[LEVEL] = level
        stop = min(chunk.size, place + columns - column)
        if changed:
            cut = cuts[level]
            for at in range(place, stop):
                draw = _drawn(key, start + at)
                if draw >= cut:
                    continue
                value = np.float64(chunk[at])
                bit = abs(value) * inverse > np.float64(draw) + 0.5
                bucket = np.int64(draw * np.uint64(BUCKETS) // cut)
                _put(state, out, chances[bucket], bit)
                _learn(chances, counts, bucket, bit)
                if bit:
                    _put(state, out, _ONE >> 1, value > 0)
                    active += 1
        place = stop
    return active


@compiled
def finish(state, out):
    """Write the fewest bytes from which the rest can be read."""
    low = state[LOW]
    for bits in range(32, -1, -1):
        value = ((low + (1 << bits) - 1) >> bits) << bits
        if value < low + state[RANGE]:
            state[LOW] = value
            break
    for _ in range(5):
        _shift(state, out)


@compiled
def decode(data, start, columns, rows_level, cuts, key, chances, counts, state, out):
    """Read entries `start` and up into the zeroed `out` (n,) int8; returns how many are not zero.

    `rows_level` (1,) keeps the level of the row in which the last call ended.
    """
    active = 0
    place = 0
    while place < out.size:
        column = (start + place) % columns
        if column == 0:
            context = _FLAG + state[CHANGED]
            changed = _get(state, data, chances[context])
            _learn(chances, counts, context, changed)
            state[CHANGED] = changed
            rows_level[0] = NEVER_CHANGES
            if changed:
                same = _get(state, data, chances[_SAME])
                _learn(chances, counts, _SAME, same)
                if not same:
                    node = 1
                    for _ in range(5):
                        bit = _get(state, data, chances[_TREE + node])
                        _learn(chances, counts, _TREE + node, bit)
                        node = 2 * node + bit
                    state[LEVEL] = node - LEVELS
                rows_level[0] = state[LEVEL]
        stop = min(out.size, place + columns - column)
        if rows_level[0] != NEVER_CHANGES:
            cut = cuts[rows_level[0]]
            for at in range(place, stop):
                draw = _drawn(key, start + at)
                if draw >= cut:
                    continue
                bucket = np.int64(draw * np.uint64(BUCKETS) // cut)
                bit = _get(state, data, chances[bucket])
                _learn(chances, counts, bucket, bit)
                if bit:
                    out[at] = 1 if _get(state, data, _ONE >> 1) else -1
                    active += 1
        place = stop
    return active
