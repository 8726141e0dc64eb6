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

MAGIC, VERSION = b"SC", 1
_HEAD = struct.Struct("<2sBHHII")  # magic, version, stream, frame number, length, CRC-32
WRAP = 1 << 16  # sequence numbers are sent modulo this
MAX_PICTURES = 1 << 24


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
    """Cuts frames into pieces of `capacity` bits, one a picture."""

    capacity: int

    def pictures(self, payload_bytes: int) -> int:
        """Pictures that a payload takes."""
        return -(-8 * (payload_bytes + _HEAD.size) // self.capacity)

    def largest_payload(self, pictures: int) -> int:
        """Payload bytes that so many pictures carry; negative if not even the header fits."""
        return pictures * self.capacity // 8 - _HEAD.size

    def split(self, frame: bytes) -> np.ndarray:
        """(pictures, capacity) bits of a frame; the last is filled up with zeros."""
        bits = np.unpackbits(np.frombuffer(frame, np.uint8))
        pieces = np.pad(bits, (0, -len(bits) % self.capacity)).reshape(-1, self.capacity)
        if len(pieces) > MAX_PICTURES:
            raise InputError("payload", got=f"{len(pieces)} pictures", expected=f"at most {MAX_PICTURES} in one frame")
        return pieces

    def join(self, pieces: Iterable[tuple[int, np.ndarray]]) -> Joined:
        """Put pieces together again.

        Args:
            pieces: (sequence number, bits of a picture whose check held), in any order, some doubled, some absent.
        """
        have: dict[int, np.ndarray] = {}
        conflicting: set[int] = set()
        for sequence, bits in pieces:
            if not np.array_equal(have.setdefault(sequence, bits), bits):
                conflicting.add(sequence)  # neither can be trusted
        have = {sequence: bits for sequence, bits in have.items() if sequence not in conflicting}
        first = -(-8 * _HEAD.size // self.capacity)
        if any(piece not in have for piece in range(first)):
            missing = [piece for piece in range(max([*have, first - 1]) + 1) if piece not in have]
            return Joined(missing=missing, reason=f"the first {first} pictures hold the header, and some are missing")
        try:
            length = frame_length(self._bytes(have, first))
            count = -(-8 * length // self.capacity)
            if count > MAX_PICTURES:
                raise InputError("payload frame", got=f"a length of {length} bytes", expected="one that fits a stream")
            missing = [piece for piece in range(count) if piece not in have]
            if missing:
                shown = ", ".join(map(str, missing[:20])) + (" ..." if len(missing) > 20 else "")
                return Joined(missing=missing, reason=f"{len(missing)} of {count} pictures are missing: {shown}")
            return Joined(open_frame(self._bytes(have, count)))
        except InputError as error:
            hint = f" ({error.hint})" if error.hint else ""
            return Joined(reason=f"{error.got}, not {error.expected}{hint}")

    @staticmethod
    def _bytes(have: dict[int, np.ndarray], count: int) -> bytes:
        return np.packbits(np.concatenate([have[piece] for piece in range(count)])).tobytes()


@dataclass
class Joined:
    """Payload and state of the pieces.

    Attributes:
        payload: the bytes, whole and checked, or None.
        missing: sequence numbers that are needed and were not received, as far as they are known.
        reason: why there is no payload; "" if there is.
    """

    payload: bytes | None = None
    missing: list[int] = field(default_factory=list)
    reason: str = ""
