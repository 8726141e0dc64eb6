"""The inner loop of a live switch, compiled by numba (extra `fast`); `_resident` holds its torch twin, bit for bit.

One kernel for all floating types. It goes through a tensor in blocks that stay in the first-level cache. Of each block
it first checks that it still holds what the bank wrote there, by the block's digest; then it writes base + terms and
takes the digest of that. A block that somebody else wrote is left as it is: the kernel stops in front of it, and the
bank keeps what it holds. So nothing is read only to be checked, and nothing is lost.

numba knows neither bfloat16 nor float16: their bits are widened to float32, summed there, and rounded to nearest even
once, as torch does. Only the payload of a NaN is not kept. Signs are looked up four at a time, from a byte of codes;
all other loops are over neighbours, which the compiler makes vectors of.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

_compiled: Any = njit(nogil=True, cache=True)
BLOCK = 2048  # entries, a multiple of 4
LANES = 64  # words that a digest folds side by side
MIX = np.arange(1, 2 * LANES, 2, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
PLAIN, BFLOAT16, FLOAT16 = range(3)
_PLACES = np.arange(256)[:, None] >> np.array([0, 2, 4, 6]) & 3
_SIGNS = np.array([0, 1, -1, 0], np.int8)[_PLACES].view(np.uint32).reshape(256)  # four int8 signs of each byte


@_compiled
def digest(words, tail):
    """A number of 64 bits that depends on every bit of `words` (m,) uint64 and of `tail`, up to seven bytes after them.

    Words stand in rows of 64. Each column is folded, c <- rotate(c, 1) + (w ^ (w >> 29)), and the columns are added
    with odd weights, and the tail with the first of these.
    """
    lanes = np.zeros(LANES, np.uint64)
    left, right, shift = np.uint64(1), np.uint64(63), np.uint64(29)
    rows = words.size // LANES
    for row in range(rows):
        part = words[LANES * row : LANES * row + LANES]
        for lane in range(LANES):
            word = part[lane]
            lanes[lane] = ((lanes[lane] << left) | (lanes[lane] >> right)) + (word ^ (word >> shift))
    for lane in range(words.size - rows * LANES):
        word = words[rows * LANES + lane]
        lanes[lane] = ((lanes[lane] << left) | (lanes[lane] >> right)) + (word ^ (word >> shift))
    rest = np.uint64(0)
    for i in range(tail.size):
        rest |= np.uint64(tail[i]) << np.uint64(8 * i)
    total = rest * MIX[0]
    for lane in range(LANES):
        total += lanes[lane] * MIX[lane]
    return total


@_compiled
def digests(words, tail, per_block, sums):
    """Digest of each block of `per_block` words into `sums`; the last one ends with `tail`."""
    for block in range(sums.size):
        end = tail if block == sums.size - 1 else tail[:0]
        sums[block] = digest(words[block * per_block : (block + 1) * per_block], end)


@_compiled
def add_signs(codes, first, scale, signs, quads, total):
    """total (count,) += scale * signs of the elements from `first` on; quads: `signs` (BLOCK,) int8 by fours."""
    count = total.size
    part = codes[first // 4 : (first + count + 3) // 4]
    for i in range(part.size):
        quads[i] = _SIGNS[part[i]]
    some = signs[:count]
    for i in range(count):
        total[i] += total.dtype.type(some[i]) * scale


@_compiled
def write_plain(base, out, words, tail, per_block, codes, scales, sums, checked, kept):
    """float32 and float64: out = base + sum of scales[t] * signs of codes[t].

    base, out: (n,). words: the memory of out as (m,) uint64, tail: its last bytes beyond them; per_block: words of a
    block. codes: (T, ceil(n / 4)) uint8. scales: (T,) of out's dtype. sums: (blocks,) uint64, the digests of out, in
    and out; `checked`: stop at the first block whose digest differs; `kept`: whether digests are wanted at all.

    Returns: elements that were written, from the first on.
    """
    signs = np.zeros(BLOCK, np.int8)
    quads = signs.view(np.uint32)
    for block in range(sums.size):
        first = block * BLOCK
        count = min(BLOCK, out.size - first)
        memory = words[block * per_block : (block + 1) * per_block]
        end = tail if block == sums.size - 1 else tail[:0]
        if checked and digest(memory, end) != sums[block]:
            return first
        target, source = out[first : first + count], base[first : first + count]
        for i in range(count):
            target[i] = source[i]
        for term in range(scales.size):
            add_signs(codes[term], first, scales[term], signs, quads, target)
        if kept:
            sums[block] = digest(memory, end)
    return out.size


@_compiled
def widen(kind, source, bits, small):
    """Patterns of 16 bits as those of float32, into `bits` (BLOCK,) uint32; small: (BLOCK,) float32 scratch."""
    if kind == BFLOAT16:
        for i in range(source.size):
            bits[i] = np.uint32(source[i]) << np.uint32(16)
        return
    small_bits = small.view(np.uint32)
    for i in range(source.size):  # below 2^-14: multiples of 2^-24
        small[i] = np.float32(np.int32(source[i] & np.uint16(0x3FF))) * np.float32(2.0**-24)
    for i in range(source.size):
        size = np.uint32(source[i] & np.uint16(0x7FFF))
        shifted = np.uint32(size << np.uint32(13))
        normal = np.uint32(shifted + np.uint32(0x38000000))
        normal = np.uint32(shifted + np.uint32(0x70000000)) if size >= np.uint32(0x7C00) else normal
        value = small_bits[i] if size < np.uint32(0x400) else normal
        bits[i] = np.uint32(value | np.uint32(np.uint32(source[i] & np.uint16(0x8000)) << np.uint32(16)))


@_compiled
def narrow(kind, wide, bits, small, target):
    """float32 values rounded to nearest even, as patterns of 16 bits, into `target` (count,) uint16."""
    if kind == BFLOAT16:
        for i in range(target.size):
            value = bits[i]
            odd = np.uint32(np.uint32(value >> np.uint32(16)) & np.uint32(1))
            rounded = np.uint32(np.uint32(value + np.uint32(0x7FFF)) + odd)
            nothing = np.uint32(value & np.uint32(0x7FFFFFFF)) > np.uint32(0x7F800000)
            rounded = np.uint32(0x7FC00000) if nothing else rounded
            target[i] = np.uint16(np.uint32(rounded >> np.uint32(16)))
        return
    small_bits = small.view(np.uint32)
    for i in range(target.size):  # below 2^-14 float16 has steps of 2^-24, which are float32's from 0.5 on
        small[i] = abs(wide[i]) + np.float32(0.5)
    for i in range(target.size):
        size = np.uint32(bits[i] & np.uint32(0x7FFFFFFF))
        odd = np.uint32(np.uint32(size >> np.uint32(13)) & np.uint32(1))
        normal = np.uint32(np.uint32(np.uint32(size - np.uint32(0x38000000)) + np.uint32(0xFFF)) + odd)
        normal = np.uint32(normal >> np.uint32(13))
        tiny = np.uint32(small_bits[i] - np.uint32(0x3F000000))
        new = tiny if size < np.uint32(0x38800000) else normal
        huge = np.uint32(0x7E00) if size > np.uint32(0x7F800000) else np.uint32(0x7C00)
        new = huge if size >= np.uint32(0x47800000) else new
        sign = np.uint32(np.uint32(bits[i] >> np.uint32(16)) & np.uint32(0x8000))
        target[i] = np.uint16(np.uint32(new | sign))


@_compiled
def write_half(kind, base, out, words, tail, per_block, codes, scales, sums, checked, kept):
    """bfloat16 and float16, as (n,) uint16; else as `write_plain`, with scales in float32."""
    signs = np.zeros(BLOCK, np.int8)
    quads = signs.view(np.uint32)
    wide, small = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
    bits = wide.view(np.uint32)
    for block in range(sums.size):
        first = block * BLOCK
        count = min(BLOCK, out.size - first)
        memory = words[block * per_block : (block + 1) * per_block]
        end = tail if block == sums.size - 1 else tail[:0]
        if checked and digest(memory, end) != sums[block]:
            return first
        target, source = out[first : first + count], base[first : first + count]
        if scales.size == 0:
            for i in range(count):
                target[i] = source[i]
        else:
            widen(kind, source, bits, small)
            for term in range(scales.size):
                add_signs(codes[term], first, scales[term], signs, quads, wide[:count])
            narrow(kind, wide, bits, small, target)
        if kept:
            sums[block] = digest(memory, end)
    return out.size
