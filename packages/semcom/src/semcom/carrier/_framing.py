"""Payload bytes as a frame with integrity, cut into the bits of pictures, and put together again by sequence number.

A frame is: magic `SC`, version, stream id, frame number, payload length, CRC-32 over all of it, payload; little-endian.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from ninefold.errors import InputError

from semcom.carrier._erasure import ErasureCode

MAGIC, VERSION = b"SC", 1
_HEAD = struct.Struct("<2sBHHII")  # magic, version, stream, frame number, length, CRC-32
MAX_PICTURES = 1 << 16


def make_frame(payload: bytes, stream: int = 0, number: int = 0) -> bytes:
    """The payload with its header."""
    head = _HEAD.pack(MAGIC, VERSION, stream, number, len(payload), 0)
    check = zlib.crc32(payload, zlib.crc32(head))
    return _HEAD.pack(MAGIC, VERSION, stream, number, len(payload), check) + payload


def frame_length(start: bytes) -> int:
    """Bytes of the frame that begins with `start`.

    Raises:
        InputError: if it is none; says whether the key or the version is the likely reason.
    """
    if len(start) < _HEAD.size or start[:2] != MAGIC:
        hint = "another key or other settings than the sender's, or the first pictures are damaged"
        raise InputError("payload", got="no frame", expected="one that begins with its magic", hint=hint)
    if start[2] != VERSION:
        raise InputError("payload frame", got=f"version {start[2]}", expected=f"version {VERSION}")
    return _HEAD.size + _HEAD.unpack_from(start)[4]


def open_frame(data: bytes) -> bytes:
    """The payload of a frame; InputError if it is foreign, truncated or fails its CRC-32."""
    length = frame_length(data)
    if len(data) < length:
        raise InputError("payload frame", got=f"{len(data)} bytes", expected=f"{length}: it is truncated")
    magic, version, stream, number, size, check = _HEAD.unpack_from(data)
    payload = data[_HEAD.size : _HEAD.size + size]
    if zlib.crc32(payload, zlib.crc32(_HEAD.pack(magic, version, stream, number, size, 0))) != check:
        raise InputError("payload", got="a wrong CRC-32", expected="the sender's bytes", hint="damaged, or another key")
    return payload


@dataclass(frozen=True)
class Splitter:
    """Cuts frames into pieces of some bits, one a picture.

    Attributes:
        capacity: payload bits of a picture.
        erasure: an erasure code over pictures; its groups are of whole bytes and filled up.
    """

    capacity: int
    erasure: ErasureCode | None = None

    @property
    def used_bits(self) -> int:
        """Bits of a piece that are used."""
        if self.erasure is None:
            return self.capacity
        if self.capacity < 8:
            raise InputError("erasure code", got=f"{self.capacity} bits a picture", expected="at least 8")
        return self.capacity // 8 * 8

    def pictures(self, payload_bytes: int) -> int:
        """Pictures that a payload takes."""
        pieces = -(-8 * (payload_bytes + _HEAD.size) // self.used_bits)
        if self.erasure is not None:
            groups = -(-pieces // self.erasure.data)
            pieces = groups * (self.erasure.data + self.erasure.parity)
        return pieces

    def largest_payload(self, pictures: int) -> int:
        """Payload bytes that so many pictures carry; negative if not even the header fits."""
        if self.erasure is not None:
            pictures = pictures // (self.erasure.data + self.erasure.parity) * self.erasure.data
        return pictures * self.used_bits // 8 - _HEAD.size

    def split(self, frame: bytes) -> np.ndarray:
        """(pictures, capacity) bits of a frame; the last is filled up with zeros, and so is the group it is in."""
        bits = np.unpackbits(np.frombuffer(frame, np.uint8))
        size = self.used_bits
        pieces = np.pad(bits, (0, -len(bits) % size)).reshape(-1, size)
        if self.erasure is not None:
            data, count = self.erasure.data, size // 8
            pieces = np.pad(pieces, ((0, -len(pieces) % data), (0, 0)))
            groups = np.packbits(pieces, axis=1).reshape(-1, data, count)
            pieces = np.unpackbits(self.erasure.encode(groups).reshape(-1, count), axis=1)
        if len(pieces) > MAX_PICTURES:
            raise InputError("payload", got=f"{len(pieces)} pictures", expected=f"at most {MAX_PICTURES} in one frame")
        return np.pad(pieces, ((0, 0), (0, self.capacity - size)))

    def join(self, pieces: Iterable[tuple[int, np.ndarray]]) -> Joined:
        """Put pieces together again.

        Args:
            pieces: (sequence number, bits of a picture whose check held), in any order, some doubled, some absent.
        """
        have: dict[int, np.ndarray] = {}
        doubled: set[int] = set()
        conflicting: set[int] = set()
        for sequence, bits in pieces:
            if sequence in have:
                doubled.add(sequence)
                if not np.array_equal(have[sequence], bits):
                    conflicting.add(sequence)
            have.setdefault(sequence, bits)
        for sequence in conflicting:  # neither can be trusted
            del have[sequence]
        size, erasure = self.used_bits, self.erasure
        parts = {sequence: np.packbits(bits[:size]).tobytes() for sequence, bits in have.items()} if erasure else {}
        result = Joined(doubled=sorted(doubled))
        if erasure is not None:
            span = erasure.data + erasure.parity
            whole: dict[int, np.ndarray] = {}
            for group in range(max(have, default=-1) // span + 1):
                rows = {place: parts[group * span + place] for place in range(span) if group * span + place in parts}
                known = erasure.decode({place: np.frombuffer(row, np.uint8) for place, row in rows.items()})
                for place, row in known.items():
                    whole[group * erasure.data + place] = np.unpackbits(row)
            result.repaired = len(whole) - sum(1 for s in have if s % span < erasure.data)
            numbers, have = whole, whole
            named = lambda piece: piece // erasure.data * span + piece % erasure.data  # noqa: E731
        else:
            numbers, named = have, lambda piece: piece
        first = -(-8 * _HEAD.size // size)
        lacking = [piece for piece in range(first) if piece not in numbers]
        if lacking:
            result.missing = [named(piece) for piece in range(max(numbers, default=0) + 1) if piece not in numbers]
            result.missing = result.missing or [named(piece) for piece in lacking]
            result.reason = f"the first {first} pictures hold the header, and some are missing"
            return result
        start = np.packbits(np.concatenate([numbers[piece][:size] for piece in range(first)])).tobytes()
        try:
            length = frame_length(start)
            count = -(-8 * length // size)
            if count > MAX_PICTURES:
                raise InputError("payload frame", got=f"a length of {length} bytes", expected="one that fits a stream")
            result.missing = [named(piece) for piece in range(count) if piece not in numbers]
            if result.missing:
                shown = ", ".join(map(str, result.missing[:20])) + (" ..." if len(result.missing) > 20 else "")
                result.reason = f"{len(result.missing)} of {named(count - 1) + 1} pictures are missing: {shown}"
                return result
            bits = np.concatenate([numbers[piece][:size] for piece in range(count)])
            result.payload = open_frame(np.packbits(bits).tobytes())
        except InputError as error:
            result.reason = f"{error.got}, not {error.expected}" + (f" ({error.hint})" if error.hint else "")
        return result


@dataclass
class Joined:
    """What came of the pieces.

    Attributes:
        payload: the bytes, whole and checked, or None.
        missing: sequence numbers that are needed and were not received, as far as they are known.
        doubled: sequence numbers received more than once.
        repaired: pieces that the erasure code gave back.
        reason: why there is no payload; "" if there is.
    """

    payload: bytes | None = None
    missing: list[int] = field(default_factory=list)
    doubled: list[int] = field(default_factory=list)
    repaired: int = 0
    reason: str = ""
