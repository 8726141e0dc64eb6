"""The default of `carrier send`: whole pictures by a joint coder, and the payload in coded blocks beside them.

One row of symbols: a header block (payload length and CRC-32, rate 1/3), the payload's blocks, the pictures; all of
them interleaved, so that a fade hits each a little. The form of the publication is the room's `_link`.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ninefold.errors import ArtifactError, InputError

from semcom.carrier._files import Recording
from semcom.models import load_picture_coder, model_hash
from semcom.phy import CodedBlock, PilotPattern, Received, interleaver, noise_variance
from semcom.whole import ChosenLink, CodecLink, JointLink, WholeLink

SYSTEM = "beside"
_HEADER = CodedBlock(64, "ldpc:1/3", "qpsk", crc=24)
_BLOCK_BYTES = 400
_LARGEST = 1 << 24  # bytes of a payload
PICTURE_LINKS = ("joint", "chosen")


@dataclass
class PlayedBeside:
    """What a recording gives.

    Attributes:
        pictures: (H, W, 3) uint8 in the sender's order.
        payload: the bytes, whole and checked, or None.
        reason: why there is no payload, or "".
        unchecked: best guess of the bytes though a check failed.
        blocks_ok: (blocks,) whether the check of each payload block held.
    """

    pictures: list[np.ndarray]
    payload: bytes | None
    reason: str
    unchecked: bytes
    blocks_ok: np.ndarray


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
        self.pictures, self.snr_db, self.fec, self.modulation = (
            pictures,
            float(np.clip(snr_db, -20, 40)),
            fec,
            modulation,
        )
        _ = self._block(1).symbols

    def _block(self, size: int) -> CodedBlock:
        return CodedBlock(8 * size, self.fec, self.modulation, crc=24)

    def _split(self, count: int) -> tuple[CodedBlock, int]:
        """(block, number of them) of a payload of `count` bytes."""
        blocks = -(-count // _BLOCK_BYTES)
        return self._block(-(-count // blocks) if blocks else 1), blocks

    def payload_symbols(self, count: int) -> int:
        """Symbols of header and payload of `count` bytes."""
        block, blocks = self._split(count)
        return _HEADER.symbols + blocks * block.symbols

    def send(self, pictures: Sequence[np.ndarray], payload: bytes) -> np.ndarray:
        """(1, n) complex64 of pictures (H, W, 3) uint8 of any size and a payload."""
        if len(payload) > _LARGEST:
            raise InputError("payload", got=f"{len(payload)} bytes", expected=f"at most {_LARGEST}")
        if not len(pictures):
            raise InputError("pictures", got="none", expected="at least one")
        head = np.frombuffer(len(payload).to_bytes(4, "big") + zlib.crc32(payload).to_bytes(4, "big"), np.uint8)
        parts = [_HEADER.send(np.unpackbits(head)[None])[0]]
        block, blocks = self._split(len(payload))
        if blocks:
            data = np.zeros(blocks * block.bits // 8, np.uint8)
            data[: len(payload)] = np.frombuffer(payload, np.uint8)
            parts.append(block.send(np.unpackbits(data ^ _whitening(len(data))).reshape(blocks, -1)).ravel())
        parts += [self.pictures.send(picture, self.snr_db) for picture in pictures]
        joined = np.concatenate(parts)
        return joined[interleaver(len(joined))][None]

    def receive(self, received: Received, sizes: Sequence[tuple[int, int]]) -> PlayedBeside:
        """Pictures and payload of one row of equalised symbols.

        Args:
            sizes: (height, width) of each picture.
        """
        total = received.symbols.shape[1]
        own = [self.pictures.symbols(*size) for size in sizes]
        at = total - sum(own)
        if at < _HEADER.symbols:
            raise InputError(
                "symbols", got=total, expected=f"at least {_HEADER.symbols + sum(own)}: they are truncated"
            )
        order = interleaver(total)
        symbols, noise = np.empty((1, total), np.complex64), np.empty((1, total), np.float32)
        symbols[:, order] = received.symbols
        noise[:, order] = received.noise
        payload, reason, unchecked, ok = self._payload(Received(symbols[:, :at], noise[:, :at]))
        pictures = []
        for size, count in zip(sizes, own, strict=True):
            part = Received(symbols[:, at : at + count], noise[:, at : at + count])
            pictures.append(self.pictures.recover(part, *size, self.snr_db))
            at += count
        return PlayedBeside(pictures, payload, reason, unchecked, ok)

    def _payload(self, received: Received) -> tuple[bytes | None, str, bytes, np.ndarray]:
        total, first = received.symbols.shape[1], _HEADER.symbols
        soft, noise = received.unbiased, received.noise
        bits, good = _HEADER.receive(soft[:, :first], noise[:, :first])
        if not good[0]:
            return None, "the check of the header failed", b"", np.zeros(0, bool)
        head = np.packbits(bits[0]).tobytes()
        count, check = int.from_bytes(head[:4], "big"), int.from_bytes(head[4:], "big")
        if count > _LARGEST or self.payload_symbols(count) != total:
            return None, f"the header's {count} bytes do not take {total} symbols", b"", np.zeros(0, bool)
        block, blocks = self._split(count)
        shape = (blocks, block.symbols)
        found, ok = block.receive(soft[0, first:].reshape(shape), noise[0, first:].reshape(shape)) if blocks else (
            np.zeros((0, 8), np.uint8), np.zeros(0, bool))  # fmt: skip
        data = np.packbits(found.reshape(-1))
        payload = (data ^ _whitening(len(data))).tobytes()[:count]
        if not ok.all():
            return None, f"the check of {int((~ok).sum())} of {blocks} blocks failed", payload, ok
        if zlib.crc32(payload) != check:
            return None, "a wrong CRC-32, not the sender's bytes", payload, ok
        return payload, "", payload, ok


def _whitening(count: int) -> np.ndarray:
    return np.random.Generator(np.random.PCG64([count, 1])).integers(0, 256, count, dtype=np.uint8)


def beside_link(
    coder: str | Path = "picture-c16", *, picture: str = "joint", ratio: float = 1 / 12, snr_db: float = 6.0,
    fec: str = "ldpc:1/2", modulation: str = "qpsk",
) -> BesideLink:  # fmt: skip
    """The link of a coder.

    Args:
        coder: see `load_picture_coder`.
        picture: `joint`, or `chosen`: AVIF with a 5G code where that is better, as the sender finds out.
        ratio: bandwidth ratio of the pictures.
    """
    if picture not in PICTURE_LINKS:
        raise InputError("picture link", got=repr(picture), expected=f"one of {', '.join(PICTURE_LINKS)}")
    joint = JointLink(load_picture_coder(coder), ratio)
    link = joint if picture == "joint" else ChosenLink(joint, CodecLink("avif", ratio))
    return BesideLink(link, snr_db=snr_db, fec=fec, modulation=modulation)


def record_beside(
    link: BesideLink, pictures: Sequence[np.ndarray], payload: bytes, pilots: PilotPattern | None = None
) -> Recording:
    """Send pictures and a payload into a recording; its header holds neither."""
    pilots = pilots or PilotPattern()
    data = link.send(pictures, payload)
    symbols = pilots.insert(data)
    joint = link.pictures.joint if isinstance(link.pictures, ChosenLink) else link.pictures
    assert isinstance(joint, JointLink)
    sizes = [(picture.shape[0], picture.shape[1]) for picture in pictures]
    beside = link.payload_symbols(len(payload))
    report = {
        "payload_symbols": beside, "picture_symbols": data.shape[1] - beside,
        "pilot_symbols": symbols.shape[1] - data.shape[1], "symbols": symbols.shape[1],
        "energy": float(np.mean(np.abs(data) ** 2)),
    }  # fmt: skip
    settings = {
        "system": SYSTEM, "picture": "chosen" if isinstance(link.pictures, ChosenLink) else "joint",
        "channels": joint.channels, "snr": link.snr_db, "fec": link.fec, "modulation": link.modulation,
    }  # fmt: skip
    about = {"report": report, "tiles": 1, "symbols": symbols.size}
    return Recording(symbols, model_hash(joint.model), sizes, settings, pilots, about)


def beside_link_of(recording: Recording, path: str | Path, coder: str | Path = "picture-c16") -> BesideLink:
    """The receiver of a recording of `record_beside`.

    Raises:
        ArtifactError: if it is of another system, its header makes no sense, or the sender had another coder.
    """
    kept = recording.link
    if kept.get("system") != SYSTEM:
        raise ArtifactError(path, "is no recording of pictures with a payload beside them")
    channels, snr = kept.get("channels"), kept.get("snr")
    words = all(isinstance(kept.get(name), str) for name in ("picture", "fec", "modulation"))
    if not isinstance(channels, int) or not isinstance(snr, int | float) or not np.isfinite(snr) or not words:
        raise ArtifactError(path, "has a header that makes no sense (its link settings)")
    try:
        link = beside_link(
            coder, picture=kept["picture"], ratio=channels / 96, snr_db=snr, fec=kept["fec"],
            modulation=kept["modulation"],
        )  # fmt: skip
    except InputError as error:
        raise ArtifactError(path, f"has a header that makes no sense ({error})") from None
    joint = link.pictures.joint if isinstance(link.pictures, ChosenLink) else link.pictures
    own = model_hash(joint.model)  # type: ignore[attr-defined]
    if own != recording.model:
        raise ArtifactError(
            path, f"was sent with a model of hash {recording.model[:12]}, not with {coder} ({own[:12]})"
        )
    return link


def play_beside(link: BesideLink, recording: Recording, path: str | Path, snr_db: float | None = None) -> PlayedBeside:
    """Receive a recording.

    Args:
        path: where it was, for errors.
        snr_db: Es/N0; estimated from the received power and pilots if left out.
    """
    row = recording.symbols.reshape(1, -1)
    data = recording.pilots.data_of(row.shape[1])
    least = sum(link.pictures.symbols(*size) for size in recording.sizes) + _HEADER.symbols
    if data < least:
        raise ArtifactError(path, f"has {data} symbols where there should be at least {least}: it is truncated")
    variance = None if snr_db is None else float(noise_variance(snr_db))
    return link.receive(recording.pilots.equalise(row, data, variance), recording.sizes)
