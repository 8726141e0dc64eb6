"""The inner loop of decoding, compiled by numba: damage is a number, never a read beyond the end."""

import numpy as np

from tswitch.switch._kernels import LOW_BITS, UNARY, compiled

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


@compiled
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
        if way > 3 + LOW_BITS:
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


@compiled
def refilled(minus, at, bits, held):
    """Sign bits that are at hand (uint64) and their number, filled up from byte `at`: (next byte, bits, number)."""
    while held <= 56 and at < minus.size:
        bits |= np.uint64(minus[at]) << np.uint64(held)
        held += 8
        at += 1
    return at, bits, held


@compiled
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


@compiled
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


@compiled
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
        if quotient > UNARY:
            return _LENGTH
        quotients[i] = quotient
        escaped += quotient == UNARY
    long = (bit + 7) >> 3
    if mask.size != long + 2 * escaped:
        return _LENGTH
    if bit & 7 and mask[bit >> 3] >> (bit & 7):
        return _BITS
    position = -1
    wanted = (1 << low) - 1
    for i in range(count):
        quotient = int(quotients[i])
        if quotient == UNARY:
            quotient = int(mask[long]) + 256 * int(mask[long + 1])
            long += 2
            if quotient < UNARY:
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
