"""The codec by the book: every block in plain numpy, written apart from the compiled loops."""

import numpy as np
from tswitch.switch._codec import BLOCK, CodecError

_HEADER = 5
_EMPTY, _BITMAP, _GROUPED, _RICE = range(4)
_LOW_BITS, _UNARY = 12, 15


def encode(codes):
    """Code of an int8 array in {-1, 0, 1}."""
    blocks = [codes[start : start + BLOCK] for start in range(0, codes.size, BLOCK)]
    made = [encode_block(np.flatnonzero(one), one[np.flatnonzero(one)] < 0, one.size) for one in blocks]
    return np.concatenate([np.empty(0, np.uint8), *made])


def decode(code, size):
    """Entries of a code; raises CodecError for bytes that are none."""
    out, at = np.zeros(size, np.int8), 0
    for start in range(0, size, BLOCK):
        at += _decode_block(code[at:], out[start : start + BLOCK])
    if at != code.size:
        raise CodecError(f"has {code.size - at} bytes too many")
    return out


def encode_block(positions: np.ndarray, negative: np.ndarray, size: int) -> np.ndarray:
    """Code one block.

    Args:
        positions: the active entries, ascending, below `size`.
        negative: which of them are negative, bool.
        size: entries in the block, at most BLOCK.
    """
    count = positions.size
    if count == 0:
        return np.zeros(_HEADER, np.uint8)
    gaps = np.diff(positions, prepend=-1) - 1
    grouped = positions >> 2
    groups = grouped[np.diff(grouped, prepend=-1) > 0]
    marks = _bytes_for(-(-size // 4))
    sizes = [_bytes_for(size), marks + (groups.size + 1) // 2]
    times = np.bincount(gaps)
    lengths = np.flatnonzero(times)
    times = times[lengths]
    for low in range(_LOW_BITS + 1):
        quotients = lengths >> low
        escapes = int(times[quotients >= _UNARY].sum())
        unary = int(np.minimum(quotients, _UNARY) @ times) + count
        sizes.append(_bytes_for(unary) + _bytes_for(count * low) + 2 * escapes)
    way = _BITMAP + int(np.argmin(sizes))
    if way == _BITMAP:
        parts = [_packed_at(positions, size)]
    elif way == _GROUPED:
        nibbles = np.searchsorted(groups, grouped) * 4 + (positions & 3)
        parts = [_packed_at(groups, marks * 8), _packed_at(nibbles, groups.size * 4)]
    else:
        low = way - _RICE
        quotients = gaps >> low
        ends = np.cumsum(np.minimum(quotients, _UNARY) + 1) - 1
        low_bits = (gaps[:, None] >> np.arange(low)) & 1
        escaped = quotients[quotients >= _UNARY].astype("<u2")
        parts = [
            np.packbits(low_bits.astype(np.uint8), bitorder="little"),
            _packed_at(ends, int(ends[-1]) + 1),
            escaped.view(np.uint8),
        ]
    body = np.concatenate([np.packbits(negative, bitorder="little"), *parts])
    header = np.array([way, (count - 1) & 255, (count - 1) >> 8, body.size & 255, body.size >> 8], np.uint8)
    return np.concatenate([header, body])


def _decode_block(code: np.ndarray, out: np.ndarray) -> int:
    """Fill the zeroed block `out` from the front of `code`; returns the bytes read."""
    if code.size < _HEADER:
        raise CodecError("ends before its last block")
    way, count, length = int(code[0]), int(code[1]) + 256 * int(code[2]) + 1, int(code[3]) + 256 * int(code[4])
    body = code[_HEADER : _HEADER + length]
    if body.size < length:
        raise CodecError("ends inside a block")
    if way == _EMPTY:
        if count != 1 or length:
            raise CodecError("has an empty block that is not empty")
        return _HEADER
    if way > _RICE + _LOW_BITS:
        raise CodecError(f"uses code {way}, which is unknown here")
    signs = _bytes_for(count)
    if count > out.size or length <= signs:
        raise CodecError("has a block with more active entries than it can hold")
    if way == _BITMAP:
        positions = np.flatnonzero(_unpacked(body[signs:], out.size))
    elif way == _GROUPED:
        positions = _grouped_positions(body[signs:], out.size)
    else:
        positions = _rice_positions(body[signs:], count, way - _RICE)
    if positions.size != count:
        raise CodecError(f"has a block with {positions.size} active entries that claims {count}")
    if positions[-1] >= out.size:
        raise CodecError("has a block with an active entry beyond its end")
    out[positions] = 1 - 2 * _unpacked(body[:signs], count).view(np.int8)
    return _HEADER + length


def _grouped_positions(body: np.ndarray, size: int) -> np.ndarray:
    number = -(-size // 4)
    marks = _bytes_for(number)
    groups = np.flatnonzero(_unpacked(body[:marks], number))
    nibbles = _unpacked(body[marks:], groups.size * 4).reshape(-1, 4)
    if not nibbles.any(1).all():
        raise CodecError("has an empty group that is marked as active")
    rows, columns = np.nonzero(nibbles)
    return groups[rows] * 4 + columns


def _rice_positions(body: np.ndarray, count: int, low: int) -> np.ndarray:
    lows = _bytes_for(count * low)
    low_bits = _unpacked(body[:lows], count * low).reshape(count, low)
    ends = np.flatnonzero(np.unpackbits(body[lows:], bitorder="little"))[:count]
    if ends.size < count:
        raise CodecError("has a block with too few gaps")
    used = lows + int(ends[-1]) // 8 + 1
    _unpacked(body[lows:used], int(ends[-1]) + 1)
    gaps = np.diff(ends, prepend=-1) - 1
    escaped = np.flatnonzero(gaps >= _UNARY)
    if body.size != used + 2 * escaped.size or (gaps > _UNARY).any():
        raise CodecError("has a block whose gaps and length disagree")
    gaps[escaped] = body[used:].view("<u2") if (body.ctypes.data + used) % 2 == 0 else body[used:].copy().view("<u2")
    if (gaps[escaped] < _UNARY).any():
        raise CodecError("has a block with a short gap coded as a long one")
    weights = (1 << np.arange(low)).astype(np.int64)
    return np.cumsum((gaps << low) + low_bits @ weights + 1) - 1


def _bytes_for(bits: int) -> int:
    return (bits + 7) // 8


def _packed_at(positions: np.ndarray, bits: int) -> np.ndarray:
    """Bytes of `bits` bits with those at `positions` set."""
    flags = np.zeros(bits, np.uint8)
    flags[positions] = 1
    return np.packbits(flags, bitorder="little")


def _unpacked(code: np.ndarray, bits: int) -> np.ndarray:
    """The first `bits` bits (uint8 0 or 1) of exactly as many bytes as they need; the rest of the last is zero."""
    if code.size != _bytes_for(bits):
        raise CodecError("has a block whose contents and length disagree")
    flags = np.unpackbits(code, bitorder="little")
    if flags[bits:].any():
        raise CodecError("has a block with bits set beyond its end")
    return flags[:bits]


def pack_two_bits(codes: np.ndarray) -> np.ndarray:
    """Pack int8 codes (n,) in {-1, 0, 1} four to a byte, the first lowest, as 2, 0 and 1: uint8 (ceil(n / 4),)."""
    two = codes.view(np.uint8) & 3  # -1 is 3 here
    two ^= two >> 1
    if two.size % 4:
        two = np.concatenate([two, np.zeros(-two.size % 4, np.uint8)])
    first, second, third, fourth = two.reshape(-1, 4).T
    return first | second << 2 | third << 4 | fourth << 6
