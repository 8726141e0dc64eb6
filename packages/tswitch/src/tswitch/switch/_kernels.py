"""The inner loops of selection, coding and decoding, compiled by numba. All release the interpreter lock."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

_compiled: Any = njit(nogil=True, cache=True)
_LOW_BITS = 12  # most low bits of a Rice code: enough for two active entries in a block
_UNARY = 15  # longest quotient in unary
FAULTS = (
    "",
    "ends before its last block",
    "ends inside a block",
    "uses a code that is unknown here",
    "has an empty block that is not empty",
    "has a block with more active entries than it can hold",
    "has a block whose contents and length disagree",
    "has a block with bits set beyond its end",
    "has a block with another number of active entries than it claims",
    "has an empty group that is marked as active",
    "has a block with too few gaps",
    "has a block with a short gap coded as a long one",
    "has a block with an active entry beyond its end",
)
"""What is wrong with a code, by the number whose negative `decode` returns."""
_ENDS, _INSIDE, _UNKNOWN, _EMPTY, _MANY, _LENGTH, _BITS, _COUNT, _GROUP, _FEW, _SHORT, _BEYOND = range(1, len(FAULTS))


@_compiled
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


@_compiled
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


@_compiled
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


@_compiled
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
    for low in range(_LOW_BITS + 1):
        unary = 0
        escapes = 0
        for i in range(count):
            quotient = gaps[i] >> low
            unary += min(quotient, _UNARY)
            escapes += quotient >= _UNARY
        sizes[2 + low] = (unary + count + 7) // 8 + (count * low + 7) // 8 + 2 * escapes


@_compiled
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


@_compiled
def write_bitmap(positions, count, out):
    """Set one bit for each position in the zeroed `out`."""
    for i in range(count):
        out[positions[i] >> 3] |= np.uint8(1 << (positions[i] & 7))


@_compiled
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


@_compiled
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
        bit += min(gaps[i] >> low, _UNARY) + 1
        out[start + (bit >> 3)] |= np.uint8(1 << (bit & 7))
    at = start + (bit >> 3) + 1
    for i in range(count):
        quotient = gaps[i] >> low
        if quotient >= _UNARY:
            out[at] = np.uint8(quotient & 255)
            out[at + 1] = np.uint8(quotient >> 8)
            at += 2
    return at


@_compiled
def encode(delta, block, positive, negative, squared, out, lanes):
    """Code a run of whole blocks of `delta` (n, float32) into the zeroed `out`; lanes is (blocks, 64) float64, zeroed.

    Returns (bytes written, active entries). Layout: see `_codec`.
    """
    positions = np.empty(block + 1, np.int32)
    gaps = np.empty(block + 1, np.int32)
    minus = np.empty(block + 1, np.uint8)
    sizes = np.empty(_LOW_BITS + 3, np.int64)
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


_HEADER = 5


def _expanded() -> np.ndarray:
    """(256,) uint8: two-bit codes of four entries, by 16 times the mask of the active ones plus their sign bits."""
    table = np.zeros(256, np.uint8)
    for mask in range(16):
        for signs in range(16):
            left = signs
            for place in range(4):
                if mask >> place & 1:
                    table[16 * mask + signs] |= (1 + (left & 1)) << (2 * place)
                    left >>= 1
    return table


EXPANDED = _expanded()
COUNTS = np.array([bin(mask).count("1") for mask in range(16)], np.uint8)
LOWEST = np.array([8] + [(byte & -byte).bit_length() - 1 for byte in range(1, 256)], np.uint8)


@_compiled
def decode(code, size, block, out):
    """Decode all blocks of a tensor of `size` entries into the zeroed `out` (ceil(size / 4),) uint8.

    Returns the bytes read, or minus the number of the fault in `FAULTS`. Layout: see `_codec`.
    """
    quotients = np.empty(block, np.int32)
    at = 0
    for index in range((size + block - 1) // block):
        n = min(block, size - index * block)
        if code.size - at < _HEADER:
            return -_ENDS
        way = int(code[at])
        count = int(code[at + 1]) + 256 * int(code[at + 2]) + 1
        length = int(code[at + 3]) + 256 * int(code[at + 4])
        body = at + _HEADER
        at = body + length
        if at > code.size:
            return -_INSIDE
        if way > 3 + _LOW_BITS:
            return -_UNKNOWN
        if way == 0:
            if count != 1 or length:
                return -_EMPTY
            continue
        signs = (count + 7) // 8
        if count > n or length <= signs:
            return -_MANY
        minus, mask = code[body : body + signs], code[body + signs : at]
        if count % 8 and minus[signs - 1] >> (count % 8):
            return -_BITS
        target = out[index * (block // 4) : index * (block // 4) + (n + 3) // 4]
        if way == 1:
            fault = read_bitmap(mask, minus, count, n, target)
        elif way == 2:
            fault = read_grouped(mask, minus, count, n, target)
        else:
            fault = read_rice(mask, minus, count, way - 3, n, quotients, target)
        if fault:
            return -fault
    return at


@_compiled
def refilled(minus, at, bits, held):
    """Sign bits that are at hand (uint64) and their number, filled up from byte `at`: (next byte, bits, number)."""
    while held <= 56 and at < minus.size:
        bits |= np.uint64(minus[at]) << np.uint64(held)
        held += 8
        at += 1
    return at, bits, held


@_compiled
def read_bitmap(mask, minus, count, n, target):
    """One bit for each entry."""
    if mask.size != (n + 7) // 8:
        return _LENGTH
    if n % 8 and mask[mask.size - 1] >> (n % 8):
        return _BITS
    bits, held, at = np.uint64(0), 0, 0
    low, four = np.uint64(15), np.uint64(4)
    found = 0
    for i in range(target.size // 2):
        if held < 8:
            at, bits, held = refilled(minus, at, bits, max(held, 0))
        byte = np.uint64(mask[i])
        nibble = byte & low
        active = np.uint64(COUNTS[nibble])
        target[2 * i] = EXPANDED[(nibble << four) | (bits & low)]
        bits >>= active
        nibble = byte >> four
        more = np.uint64(COUNTS[nibble])
        target[2 * i + 1] = EXPANDED[(nibble << four) | (bits & low)]
        bits >>= more
        found += np.int64(active + more)
        held -= np.int64(active + more)
    if target.size % 2:
        at, bits, held = refilled(minus, at, bits, max(held, 0))
        nibble = np.uint64(mask[mask.size - 1]) & low
        target[target.size - 1] = EXPANDED[(nibble << four) | (bits & low)]
        found += np.int64(COUNTS[nibble])
    return 0 if found == count else _COUNT


@_compiled
def read_grouped(mask, minus, count, n, target):
    """One bit for each group of four, then four bits for each group that is marked."""
    marks = (target.size + 7) // 8
    if mask.size < marks:
        return _LENGTH
    if target.size % 8 and mask[marks - 1] >> (target.size % 8):
        return _BITS
    bits, held, at = np.uint64(0), 0, 0
    low, four = np.uint64(15), np.uint64(4)
    found = 0
    place = 0
    for byte in range(marks):
        marked = np.uint64(mask[byte])
        while marked:
            group = 8 * byte + np.int64(LOWEST[marked])
            marked &= marked - np.uint64(1)
            where = marks + (place >> 1)
            if where >= mask.size:
                return _LENGTH
            nibble = (np.uint64(mask[where]) >> np.uint64(4 * (place & 1))) & low
            active = np.uint64(COUNTS[nibble])
            if active == 0:
                return _GROUP
            if held < 4:
                at, bits, held = refilled(minus, at, bits, max(held, 0))
            target[group] = EXPANDED[(nibble << four) | (bits & low)]
            bits >>= active
            held -= np.int64(active)
            found += np.int64(active)
            place += 1
    if mask.size != marks + (place + 1) // 2:
        return _LENGTH
    if (place % 2 and mask[mask.size - 1] >> 4) or (n % 4 and target[target.size - 1] >> (2 * (n % 4))):
        return _BITS
    return 0 if found == count else _COUNT


@_compiled
def read_rice(mask, minus, count, low, n, quotients, target):
    """Gaps between active entries: low bits, quotients in unary, then the quotients that are too long for that."""
    lows = (count * low + 7) // 8
    if mask.size <= lows:
        return _FEW
    if count * low % 8 and mask[lows - 1] >> (count * low % 8):
        return _BITS
    bit = 8 * lows
    escaped = 0
    for i in range(count):
        quotient = 0
        while True:
            if bit >> 3 >= mask.size:
                return _FEW
            zeros = int(LOWEST[mask[bit >> 3] >> (bit & 7)])
            if zeros < 8:
                quotient += zeros
                bit += zeros + 1
                break
            quotient += 8 - (bit & 7)
            bit += 8 - (bit & 7)
        if quotient > _UNARY:
            return _LENGTH
        quotients[i] = quotient
        escaped += quotient == _UNARY
    long = (bit + 7) >> 3
    if mask.size != long + 2 * escaped:
        return _LENGTH
    if bit & 7 and mask[bit >> 3] >> (bit & 7):
        return _BITS
    position = -1
    wanted = (1 << low) - 1
    for i in range(count):
        quotient = int(quotients[i])
        if quotient == _UNARY:
            quotient = int(mask[long]) + 256 * int(mask[long + 1])
            long += 2
            if quotient < _UNARY:
                return _SHORT
        byte = (i * low) >> 3
        bits = int(mask[byte])
        if byte + 1 < mask.size:
            bits |= int(mask[byte + 1]) << 8
        if byte + 2 < mask.size:
            bits |= int(mask[byte + 2]) << 16
        position += (quotient << low) + ((bits >> ((i * low) & 7)) & wanted) + 1
        if position >= n:
            return _BEYOND
        sign = (minus[i >> 3] >> (i & 7)) & 1
        target[position >> 2] |= np.uint8((1 + sign) << (2 * (position & 3)))
    return 0
