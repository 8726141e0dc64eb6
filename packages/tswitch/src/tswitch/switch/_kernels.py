"""The inner loops of selection and coding, compiled by numba. All release the interpreter lock."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

compiled: Any = njit(nogil=True, cache=True)
LOW_BITS = 12  # most low bits of a Rice code: enough for two active entries in a block
UNARY = 15  # longest quotient in unary


@compiled
def count_high(bits, counts):
    """Add the upper 16 bits of each of `bits` (n, uint32) that is not plus or minus zero to `counts` (65536, int64)."""
    other = np.zeros_like(counts)  # a second table, so that equal neighbours do not wait for each other
    for i in range(bits.size // 2):
        first = bits[2 * i]
        second = bits[2 * i + 1]
        counts[first >> np.uint32(16)] += (first & np.uint32(0x7FFFFFFF)) != 0
        other[second >> np.uint32(16)] += (second & np.uint32(0x7FFFFFFF)) != 0
    if bits.size % 2:
        first = bits[bits.size - 1]
        counts[first >> np.uint32(16)] += (first & np.uint32(0x7FFFFFFF)) != 0
    counts += other


@compiled
def count_low(bits, high, counts):
    """Add the lower half of those of `bits` (n, uint32) whose upper half is high[s] to counts[s] (2, 65536, int64)."""
    first = np.uint32(high[0])
    second = np.uint32(high[1])
    for value in bits:
        upper = value >> np.uint32(16)
        if upper == first:
            counts[0, value & np.uint32(0xFFFF)] += 1
        elif upper == second:
            counts[1, value & np.uint32(0xFFFF)] += 1


@compiled
def active_entries(delta, positive, negative, squared, positions, minus, lanes):
    """Find the active entries of one block and sum their squares (or magnitudes) in `lanes` (64, float64).

    Fills positions (block + 1, int32) and minus (block + 1, uint8); returns how many there are.
    """
    count = 0
    for i in range(delta.size):
        value = delta[i]
        positions[count] = i
        minus[count] = value < 0
        count += (value >= positive) | (value <= -negative)
    rows = delta.size // 64
    for row in range(rows):
        for lane in range(64):
            value = delta[row * 64 + lane]
            wide = np.float64(value)
            term = wide * wide if squared else abs(wide)
            lanes[lane] += term if (value >= positive) | (value <= -negative) else 0.0
    for lane in range(delta.size - rows * 64):
        value = delta[rows * 64 + lane]
        if (value >= positive) | (value <= -negative):
            wide = np.float64(value)
            lanes[lane] += wide * wide if squared else abs(wide)
    return count


@compiled
def code_sizes(positions, count, size, gaps, sizes):
    """Bytes, without signs, of each way to code the mask: sizes = [bitmap, grouped, Rice with 0, 1, ... low bits]."""
    groups = 0
    last = np.int32(-1)
    previous = np.int32(-1)
    for i in range(count):
        position = positions[i]
        gaps[i] = position - previous - 1
        previous = position
        group = position >> 2
        groups += group != last
        last = group
    sizes[0] = (size + 7) // 8
    sizes[1] = ((size + 3) // 4 + 7) // 8 + (groups + 1) // 2
    for low in range(LOW_BITS + 1):
        unary = 0
        escapes = 0
        for i in range(count):
            quotient = gaps[i] >> low
            unary += min(quotient, UNARY)
            escapes += quotient >= UNARY
        sizes[2 + low] = (unary + count + 7) // 8 + (count * low + 7) // 8 + 2 * escapes


@compiled
def write_signs(minus, count, out):
    """Pack `count` sign bits, least significant first, into the zeroed `out`; returns the bytes used."""
    full = count // 8
    for i in range(full):
        byte = np.uint8(0)
        for j in range(8):
            byte |= np.uint8(minus[8 * i + j] << j)
        out[i] = byte
    for i in range(8 * full, count):
        out[i >> 3] |= np.uint8(minus[i] << (i & 7))
    return (count + 7) // 8


@compiled
def write_bitmap(positions, count, out):
    """Set one bit for each position in the zeroed `out`."""
    for i in range(count):
        out[positions[i] >> 3] |= np.uint8(1 << (positions[i] & 7))


@compiled
def write_grouped(positions, count, marks, out):
    """Mark each group of four that is not empty in the zeroed out[:marks], then write its four bits."""
    last = np.int32(-1)
    nibble = -1
    for i in range(count):
        position = positions[i]
        group = position >> 2
        if group != last:
            last = group
            nibble += 1
            out[group >> 3] |= np.uint8(1 << (group & 7))
        out[marks + (nibble >> 1)] |= np.uint8(1 << ((nibble & 1) * 4 + (position & 3)))


@compiled
def write_rice(gaps, count, low, out):
    """Write low bits, then unary quotients, then the quotients that escaped, into the zeroed `out`."""
    start = (count * low + 7) // 8
    if low:
        mask = (1 << low) - 1
        bits = np.uint64(0)
        held = 0
        at = 0
        for i in range(count):
            bits |= np.uint64(gaps[i] & mask) << np.uint64(held)
            held += low
            while held >= 8:
                out[at] = np.uint8(bits & np.uint64(255))
                bits >>= np.uint64(8)
                held -= 8
                at += 1
        if held:
            out[at] = np.uint8(bits & np.uint64(255))
    bit = -1
    for i in range(count):
        bit += min(gaps[i] >> low, UNARY) + 1
        out[start + (bit >> 3)] |= np.uint8(1 << (bit & 7))
    at = start + (bit >> 3) + 1
    for i in range(count):
        quotient = gaps[i] >> low
        if quotient >= UNARY:
            out[at] = np.uint8(quotient & 255)
            out[at + 1] = np.uint8(quotient >> 8)
            at += 2
    return at


@compiled
def encode(delta, block, positive, negative, squared, out, lanes):
    """Code a run of whole blocks of `delta` (n, float32) into the zeroed `out`; lanes is (blocks, 64) float64, zeroed.

    Returns (bytes written, active entries). Layout: see `_codec`.
    """
    positions = np.empty(block + 1, np.int32)
    gaps = np.empty(block + 1, np.int32)
    minus = np.empty(block + 1, np.uint8)
    sizes = np.empty(LOW_BITS + 3, np.int64)
    at = 0
    total = 0
    for index in range((delta.size + block - 1) // block):
        part = delta[index * block : (index + 1) * block]
        count = active_entries(part, positive, negative, squared, positions, minus, lanes[index])
        total += count
        if count == 0:
            at += 5
            continue
        code_sizes(positions, count, part.size, gaps, sizes)
        choice = np.argmin(sizes)
        body = at + 5 + write_signs(minus, count, out[at + 5 :])
        if choice == 0:
            write_bitmap(positions, count, out[body:])
        elif choice == 1:
            write_grouped(positions, count, ((part.size + 3) // 4 + 7) // 8, out[body:])
        else:
            write_rice(gaps, count, choice - 2, out[body:])
        length = body - at - 5 + sizes[choice]
        out[at] = np.uint8(1 + choice)
        out[at + 1] = np.uint8((count - 1) & 255)
        out[at + 2] = np.uint8((count - 1) >> 8)
        out[at + 3] = np.uint8(length & 255)
        out[at + 4] = np.uint8(length >> 8)
        at += 5 + length
    return at, total
