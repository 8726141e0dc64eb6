"""The default of `carrier send`: whole pictures by a joint coder, and the payload in coded blocks with them.

One row of symbols: a header block (payload length and CRC-32, rate 1/3), the payload's blocks, the pictures; all of
them interleaved, so that a fade hits each a little. The form of the publication is the module `paper`.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ninefold.errors import InputError

from semcom.links import Played, Settings
from semcom.models import load_picture_coder
from semcom.phy import CodedBlock, Received, interleaver, noise_variance
from semcom.whole import ChosenLink, CodecLink, JointLink, WholeLink

HEADER = CodedBlock(64, "ldpc:1/3", "qpsk", crc=24)
_BLOCK_BYTES = 400
_LARGEST = 1 << 24  # bytes of a payload


@dataclass(frozen=True)
class BesideConfig(Settings):
    """What both sides agree on.

    Attributes:
        picture: `joint`, or `chosen`: AVIF with a 5G code where that is better, as the sender finds out.
        channels: feature channels of the joint coder; the bandwidth ratio of the pictures is channels / 96.
        snr: Es/N0 in dB that the sender assumes.
        fec, modulation: of the payload's blocks.
    """

    picture: str = "joint"
    channels: int = 8
    snr: float = 6.0
    fec: str = "ldpc:1/2"
    modulation: str = "qpsk"

    def __post_init__(self) -> None:
        if self.picture not in ("joint", "chosen"):
            raise InputError("picture", got=repr(self.picture), expected="joint or chosen")


class BesideLink:
    """Whole pictures and a payload in one row of symbols."""

    def __init__(
        self, pictures: WholeLink, *, snr_db: float = 6.0, fec: str = "ldpc:1/2", modulation: str = "qpsk"
    ) -> None:
        """Args:
        pictures: link of each picture.
        snr_db: Es/N0 that the sender assumes; the receiver knows it.
        fec, modulation: of the payload's blocks.
        """
        noise_variance(snr_db)
        self.pictures, self.snr_db = pictures, float(np.clip(snr_db, -20, 40))
        self.fec, self.modulation = fec, modulation
        _ = self._block(1).symbols  # refuses what cannot be

    def _block(self, size: int) -> CodedBlock:
        return CodedBlock(8 * size, self.fec, self.modulation, crc=24)

    def _split(self, count: int) -> tuple[CodedBlock, int]:
        """(block, number of them) of a payload of `count` bytes."""
        blocks = -(-count // _BLOCK_BYTES)
        return self._block(-(-count // blocks) if blocks else 1), blocks

    def payload_symbols(self, count: int) -> int:
        """Symbols of header and payload of `count` bytes."""
        block, blocks = self._split(count)
        return HEADER.symbols + blocks * block.symbols

    def send(self, pictures: Sequence[np.ndarray], payload: bytes) -> np.ndarray:
        """(1, n) complex64 of pictures (H, W, 3) uint8 of any size and a payload."""
        if len(payload) > _LARGEST:
            raise InputError("payload", got=f"{len(payload)} bytes", expected=f"at most {_LARGEST}")
        if not len(pictures):
            raise InputError("pictures", got="none", expected="at least one")
        head = np.frombuffer(len(payload).to_bytes(4, "big") + zlib.crc32(payload).to_bytes(4, "big"), np.uint8)
        parts = [HEADER.send(np.unpackbits(head)[None])[0]]
        block, blocks = self._split(len(payload))
        if blocks:
            data = np.zeros(blocks * block.bits // 8, np.uint8)
            data[: len(payload)] = np.frombuffer(payload, np.uint8)
            parts.append(block.send(np.unpackbits(data ^ _whitening(len(data))).reshape(blocks, -1)).ravel())
        parts += [self.pictures.send(picture, self.snr_db) for picture in pictures]
        joined = np.concatenate(parts)
        return joined[interleaver(len(joined))][None]

    def receive(self, received: Received, sizes: Sequence[tuple[int, int]]) -> Played:
        """Pictures and payload of one row of equalised symbols.

        Args:
            sizes: (height, width) of each picture.
        """
        total = received.symbols.shape[1]
        own = [self.pictures.symbols(*size) for size in sizes]
        at = total - sum(own)
        if at < HEADER.symbols:
            expected = f"at least {HEADER.symbols + sum(own)}: they are truncated"
            raise InputError("symbols", got=total, expected=expected)
        ordered = received.in_order
        del received
        symbols, noise = ordered.symbols, ordered.noise
        head = Received(symbols[:, :at].copy(), noise[:, :at])
        ends = np.cumsum([at, *own])
        parts = [Received(symbols[:, a:b], noise[:, a:b]) for a, b in itertools.pairwise(ends)]
        del ordered, symbols, noise  # a link may drop its own symbols before it draws
        pictures = [self.pictures.recover(parts.pop(0), height, width, self.snr_db) for height, width in sizes]
        payload, reason, unchecked, ok = self._payload(head)  # last: the decoder takes as much memory as features
        return Played(pictures, payload, reason, unchecked, ok)

    def _payload(self, received: Received) -> tuple[bytes | None, str, bytes, np.ndarray]:
        total, first = received.symbols.shape[1], HEADER.symbols
        soft, noise = received.unbiased, received.noise
        bits, good = HEADER.receive(soft[:, :first], noise[:, :first])
        if not good[0]:
            return None, "the check of the header failed", b"", np.zeros(0, bool)
        head = np.packbits(bits[0]).tobytes()
        count, check = int.from_bytes(head[:4], "big"), int.from_bytes(head[4:], "big")
        if count > _LARGEST or self.payload_symbols(count) != total:
            return None, f"the header's {count} bytes do not take {total} symbols", b"", np.zeros(0, bool)
        block, blocks = self._split(count)
        shape = (blocks, block.symbols)
        found, ok = np.zeros((0, 8), np.uint8), np.zeros(0, bool)
        if blocks:
            found, ok = block.receive(soft[0, first:].reshape(shape), noise[0, first:].reshape(shape))
        data = np.packbits(found.reshape(-1))
        payload = (data ^ _whitening(len(data))).tobytes()[:count]
        if not ok.all():
            return None, f"the check of {int((~ok).sum())} of {blocks} blocks failed", payload, ok
        if zlib.crc32(payload) != check:
            return None, "a wrong CRC-32, not the sender's bytes", payload, ok
        return payload, "", payload, ok


def _whitening(count: int) -> np.ndarray:
    return np.random.Generator(np.random.PCG64([count, 1])).integers(0, 256, count, dtype=np.uint8)


def beside_link(coder: str | Path = "picture-c16", config: BesideConfig | None = None) -> BesideLink:
    """The link of a coder, see `load_picture_coder`."""
    config = config or BesideConfig()
    joint = JointLink(load_picture_coder(coder), config.channels / 96)
    link = joint if config.picture == "joint" else ChosenLink(joint, CodecLink("avif", config.channels / 96))
    return BesideLink(link, snr_db=config.snr, fec=config.fec, modulation=config.modulation)
