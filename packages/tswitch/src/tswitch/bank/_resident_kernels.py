"""The inner loop of a live switch, compiled by numba (extra `fast`); `_resident` holds its torch twin, bit for bit.

One kernel for all floating types. It goes through a tensor in blocks, and through a block in rows that stay in the
first-level cache. A block is written only if it still holds what the bank wrote there, which its digest tells; one that
somebody else wrote is left as it is: the kernel stops in front of it, and the bank keeps what it holds. While a row is
written, the same row of the next block is read and digested, so that memory is not idle while signs are decoded.

numba knows neither bfloat16 nor float16: their bits are widened to float32, summed there, and rounded to nearest even
once, as torch does. Only the payload of a NaN is not kept. All loops are over neighbours, which the compiler makes
vectors of.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

_compiled: Any = njit(nogil=True, cache=True)
BLOCK = 2048  # entries of a digest, a whole number of rows in each type
ROW = 128  # words of 64 bits
BFLOAT16, FLOAT16, PLAIN = range(3)
_STEP = np.uint64(0x9E3779B97F4A7C15)
_KEY = np.cumsum(np.full(ROW, 0xBF58476D1CE4E5B9, np.uint64))
_KEY = (_KEY ^ (_KEY >> np.uint64(31))) * np.uint64(0x94D049BB133111EB)  # words that look random
_KEY ^= _KEY >> np.uint64(29)


@_compiled
def fold(total, row):
    """A digest with one more row (up to ROW,) uint64: step * total + sum over words w ^ key of lower half * upper half.

    The sum is the hash NH (Black et al., UMAC, CRYPTO 1999) with "exclusive or" in place of its additions.
    """
    found = np.uint64(0)
    for i in range(row.size):
        word = row[i] ^ _KEY[i]
        found += (word & np.uint64(0xFFFFFFFF)) * (word >> np.uint64(32))
    return total * _STEP + found


@_compiled
def ended(total, tail):
    """A digest with the last bytes, up to seven that make no whole word."""
    rest = _KEY[0]
    for i in range(tail.size):
        rest ^= np.uint64(tail[i]) << np.uint64(8 * i)
    return total * _STEP + (rest & np.uint64(0xFFFFFFFF)) * (rest >> np.uint64(32))


@_compiled
def digest(words, tail):
    """A number of 64 bits that depends on every bit of `words` (m,) uint64 and of `tail`, up to seven bytes."""
    total = np.uint64(0)
    for start in range(0, words.size, ROW):
        total = fold(total, words[start : start + ROW])
    return ended(total, tail)


@_compiled
def digests(words, tail, per_block, sums):
    """Digest of each block of `per_block` words into `sums`; the last one ends with `tail`."""
    for block in range(sums.size):
        end = tail if block == sums.size - 1 else tail[:0]
        sums[block] = digest(words[block * per_block : (block + 1) * per_block], end)


@_compiled
def decode(codes, quads):
    """Signs of codes (m,), four int8 in each of the first m of `quads` (uint32)."""
    for i in range(codes.size):
        code = np.uint32(codes[i])
        twos = np.uint32(code | np.uint32(code << np.uint32(12)))
        twos = np.uint32(
            twos | np.uint32(twos << np.uint32(6))
        )  # each pair of bits stands at the start of its own byte
        plus = np.uint32(twos & np.uint32(0x01010101))
        minus = np.uint32(np.uint32(twos >> np.uint32(1)) & np.uint32(0x01010101))
        quads[i] = np.uint32(plus + np.uint32(np.uint32(minus << np.uint32(8)) - minus))  # 255 is -1


@_compiled
def copy(source, target):
    """target = source."""
    for i in range(target.size):
        target[i] = source[i]


@_compiled
def add(source, signs, scale, target):
    """target = source + scale * signs."""
    for i in range(target.size):
        target[i] = source[i] + target.dtype.type(signs[i]) * scale


@_compiled
def wide_bfloat16(bits):
    """A pattern of bfloat16 as float32."""
    return np.uint32(np.uint32(bits) << np.uint32(16)).view(np.float32)


@_compiled
def narrow_bfloat16(value):
    """A float32 rounded to nearest even, as a pattern of bfloat16."""
    bits = np.float32(value).view(np.uint32)
    odd = np.uint32(np.uint32(bits >> np.uint32(16)) & np.uint32(1))
    rounded = np.uint32(np.uint32(bits + np.uint32(0x7FFF)) + odd)
    nothing = np.uint32(bits & np.uint32(0x7FFFFFFF)) > np.uint32(0x7F800000)
    rounded = np.uint32(0x7FC00000) if nothing else rounded
    return np.uint16(np.uint32(rounded >> np.uint32(16)))


@_compiled
def wide_float16(bits):
    """A pattern of float16 as float32."""
    size = np.uint32(bits & np.uint16(0x7FFF))
    shifted = np.uint32(size << np.uint32(13))
    # below 2^-14: multiples of 2^-24, here the last digits of a number from 2^-14 on
    tiny = np.float32(np.uint32(shifted + np.uint32(0x38800000)).view(np.float32) - np.float32(2.0**-14))
    normal = np.uint32(shifted + np.uint32(0x38000000))
    normal = np.uint32(shifted + np.uint32(0x70000000)) if size >= np.uint32(0x7C00) else normal
    value = tiny.view(np.uint32) if size < np.uint32(0x400) else normal
    return np.uint32(value | np.uint32(np.uint32(bits & np.uint16(0x8000)) << np.uint32(16))).view(np.float32)


@_compiled
def narrow_float16(value):
    """A float32 rounded to nearest even, as a pattern of float16."""
    bits = np.float32(value).view(np.uint32)
    size = np.uint32(bits & np.uint32(0x7FFFFFFF))
    odd = np.uint32(np.uint32(size >> np.uint32(13)) & np.uint32(1))
    normal = np.uint32(np.uint32(np.uint32(size - np.uint32(0x38000000)) + np.uint32(0xFFF)) + odd)
    normal = np.uint32(normal >> np.uint32(13))
    # below 2^-14 float16 has steps of 2^-24, which are float32's from 0.5 on
    tiny = np.uint32(np.float32(size.view(np.float32) + np.float32(0.5)).view(np.uint32) - np.uint32(0x3F000000))
    new = tiny if size < np.uint32(0x38800000) else normal
    huge = np.uint32(0x7E00) if size > np.uint32(0x7F800000) else np.uint32(0x7C00)
    new = huge if size >= np.uint32(0x47800000) else new
    return np.uint16(np.uint32(new | np.uint32(np.uint32(bits >> np.uint32(16)) & np.uint32(0x8000))))


@_compiled
def add_bfloat16(source, signs, scale, target):
    """target = source + scale * signs, of patterns; scale in float32."""
    for i in range(target.size):
        target[i] = narrow_bfloat16(np.float32(wide_bfloat16(source[i]) + np.float32(signs[i]) * scale))


@_compiled
def add_float16(source, signs, scale, target):
    """As `add_bfloat16`."""
    for i in range(target.size):
        target[i] = narrow_float16(np.float32(wide_float16(source[i]) + np.float32(signs[i]) * scale))


@_compiled
def widen(kind, source, wide):
    """Patterns as float32."""
    for i in range(source.size):
        wide[i] = wide_bfloat16(source[i]) if kind == BFLOAT16 else wide_float16(source[i])


@_compiled
def narrow(kind, wide, target):
    """float32 as patterns."""
    for i in range(target.size):
        target[i] = narrow_bfloat16(wide[i]) if kind == BFLOAT16 else narrow_float16(wide[i])


@_compiled
def write_plain(base, out, words, tail, per_block, codes, scales, sums, checked, kept):
    """out = base + sum of scales[t] * signs of codes[t] in float32 or float64, a block at a time.

    base, out: (n,). words: the memory of out as (m,) uint64, tail: its last bytes beyond them; per_block: words of a
    block. codes: (T, ceil(n / 4)) uint8. scales: (T,) of out's dtype. sums: (blocks,) uint64, the digests of out, in
    and out; `checked`: stop at the first block whose digest differs; `kept`: whether digests are wanted at all.

    Returns: elements that were written, from the first on.
    """
    per_row = ROW * BLOCK // per_block
    signs = np.zeros(per_row, np.int8)
    quads = signs.view(np.uint32)
    if checked and sums.size > 0 and digest(words[:per_block], tail if sums.size == 1 else tail[:0]) != sums[0]:
        return 0
    for block in range(sums.size):
        first, last = block * BLOCK, min((block + 1) * BLOCK, out.size)
        here = words[block * per_block : (block + 1) * per_block]
        ahead = words[(block + 1) * per_block : (block + 2) * per_block]
        made, found, at = np.uint64(0), np.uint64(0), 0
        for start in range(first, last, per_row):
            stop = min(start + per_row, last)
            if checked and at < ahead.size:
                found = fold(found, ahead[at : at + ROW])
            if scales.size == 0:
                copy(base[start:stop], out[start:stop])
            for term in range(scales.size):
                decode(codes[term, start // 4 : (stop + 3) // 4], quads)
                if term == 0:
                    add(base[start:stop], signs, scales[0], out[start:stop])
                else:
                    add(out[start:stop], signs, scales[term], out[start:stop])
            if kept and at < here.size:
                made = fold(made, here[at : at + ROW])
            at += ROW
        if kept:
            sums[block] = ended(made, tail if block == sums.size - 1 else tail[:0])
        end = tail if block + 2 == sums.size else tail[:0]
        if checked and block + 1 < sums.size and ended(found, end) != sums[block + 1]:
            return last
    return out.size


@_compiled
def write_half(kind, base, out, words, tail, per_block, codes, scales, sums, checked, kept):
    """bfloat16 and float16, as (n,) uint16; else as `write_plain`, with scales in float32."""
    per_row = ROW * BLOCK // per_block
    signs, wide = np.zeros(per_row, np.int8), np.empty(per_row, np.float32)
    quads = signs.view(np.uint32)
    if checked and sums.size > 0 and digest(words[:per_block], tail if sums.size == 1 else tail[:0]) != sums[0]:
        return 0
    for block in range(sums.size):
        first, last = block * BLOCK, min((block + 1) * BLOCK, out.size)
        here = words[block * per_block : (block + 1) * per_block]
        ahead = words[(block + 1) * per_block : (block + 2) * per_block]
        made, found, at = np.uint64(0), np.uint64(0), 0
        for start in range(first, last, per_row):
            stop = min(start + per_row, last)
            if checked and at < ahead.size:
                found = fold(found, ahead[at : at + ROW])
            if scales.size == 0:
                copy(base[start:stop], out[start:stop])
            elif scales.size == 1:
                decode(codes[0, start // 4 : (stop + 3) // 4], quads)
                if kind == BFLOAT16:
                    add_bfloat16(base[start:stop], signs, scales[0], out[start:stop])
                else:
                    add_float16(base[start:stop], signs, scales[0], out[start:stop])
            else:
                widen(kind, base[start:stop], wide)
                for term in range(scales.size):
                    decode(codes[term, start // 4 : (stop + 3) // 4], quads)
                    add(wide[: stop - start], signs, scales[term], wide[: stop - start])
                narrow(kind, wide, out[start:stop])
            if kept and at < here.size:
                made = fold(made, here[at : at + ROW])
            at += ROW
        if kept:
            sums[block] = ended(made, tail if block == sums.size - 1 else tail[:0])
        end = tail if block + 2 == sums.size else tail[:0]
        if checked and block + 1 < sums.size and ended(found, end) != sums[block + 1]:
            return last
    return out.size
