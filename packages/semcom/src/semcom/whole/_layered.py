"""A layered rival without a cliff: JPEG 2000 in two layers, superposed with unequal power and decoded one by one.

The base layer is sent at a rate that works at a low SNR, the second layer below it in power. A receiver at a low SNR
decodes the base and takes the other for noise; at a high SNR it subtracts the base and decodes the second too.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from ninefold.errors import InputError
from PIL import Image

from semcom.phy import Mcs, Received, choose_mcs, interleaver, noise_variance
from semcom.whole._codecs import jpeg2000
from semcom.whole._interface import WholeLink, checked_picture
from semcom.whole._separate import whitening

_MARGIN = 40  # bytes that a layer may be longer than its target


@dataclass(frozen=True)
class LayerDesign:
    """What both sides agree on.

    Attributes:
        low, high: Es/N0 in dB from which the base, and from which both layers are to be decoded.
        power: share of the base.
    """

    low: float
    high: float
    power: float

    def __post_init__(self) -> None:
        if not (self.low < self.high and 0.5 < self.power < 1):
            raise InputError("layers", got=self, expected="low < high, and a share of power between .5 and 1")

    @property
    def name(self) -> str:
        """As tables call it."""
        return f"{self.low:g}/{self.high:g} dB, {self.power:g}"

    def rates(self, symbols: int) -> tuple[Mcs, Mcs]:
        """Modulation and rate of base and second layer."""
        noise = [float(noise_variance(snr)) for snr in (self.low, self.high)]
        base = self.power / (1 - self.power + noise[0])
        second = (1 - self.power) / noise[1]
        first, other = (choose_mcs(10 * float(np.log10(ratio)), symbols) for ratio in (base, second))
        return first, other


class LayeredLink(WholeLink):
    """JPEG 2000 in two layers with LDPC, superposed; grey if the base fails."""

    name: ClassVar[str] = "JPEG 2000 in two layers"
    source: ClassVar[str] = "Cover 1972; TS 38.212, 38.214"

    def __init__(self, ratio: float, design: LayerDesign | None = None) -> None:
        """Args:
        ratio: bandwidth ratio.
        design: rates and powers; for 0 and 7.5 dB if left out.
        """
        self.ratio, self.design = ratio, design or LayerDesign(0.0, 7.5, 0.8)
        self._made: tuple[np.ndarray, dict[tuple[int, int], bytes]] = (np.zeros(0), {})

    def _coded(self, picture: np.ndarray, base: int, both: int) -> bytes:
        """The tile of a codestream (after its header) whose first `base` bytes have the first layer."""
        if self._made[0] is not picture:
            self._made = (picture, {})
        if (base, both) not in self._made[1]:
            for margin in range(_MARGIN, min(base, both) // 2, _MARGIN):
                rates = [picture.size / (most + self._head(picture.shape) - margin) for most in (base, both)]
                tile = jpeg2000(picture, rates)[self._head(picture.shape) : -2]
                alone = jpeg2000(picture, rates[:1])
                if len(tile) <= both and len(alone) - self._head(picture.shape) - 2 <= base:
                    self._made[1][base, both] = tile
                    break
            else:
                self._made[1][base, both] = b""
        return self._made[1][base, both]

    @staticmethod
    def _head(shape: tuple[int, ...]) -> int:
        """Bytes of a codestream's header, which depends on the size alone, to the start of the tile's data."""
        return _header(*shape[:2])[1]

    def send(self, picture: np.ndarray, snr_db: float) -> np.ndarray:  # noqa: ARG002  (no SNR is known)
        total = self.symbols(*checked_picture(picture).shape[:2])
        blocks = [row.transport(total) for row in self.design.rates(total)]
        sizes = [block.bits // 8 for block in blocks]
        tile = self._coded(picture, sizes[0] - 4, sum(sizes) - 4)
        data = (len(tile).to_bytes(4, "big") + tile).ljust(sum(sizes), b"\0")[: sum(sizes)]
        parts, sent = (data[: sizes[0]], data[sizes[0] :]), np.zeros(total, np.complex64)
        for block, part, power in zip(blocks, parts, (self.design.power, 1 - self.design.power), strict=True):
            if block.bits:
                mixed = np.frombuffer(part, np.uint8) ^ whitening(len(part))
                sent += np.float32(np.sqrt(power)) * block.send(np.unpackbits(mixed)[None])[0]
        return (sent / np.sqrt(np.mean(np.abs(sent) ** 2) + 1e-12)).astype(np.complex64)[interleaver(total)]

    def recover(self, received: Received, height: int, width: int, snr_db: float) -> np.ndarray:  # noqa: ARG002
        ordered, total = received.in_order, received.symbols.shape[1]
        symbols, noise = ordered.unbiased, np.asarray(ordered.noise, np.float64)
        blocks, power = [row.transport(total) for row in self.design.rates(total)], self.design.power
        if not blocks[0].bits:
            return np.full((height, width, 3), 128, np.uint8)
        bits, good = blocks[0].receive(symbols / np.sqrt(power), (noise + 1 - power) / power)
        if not good[0]:
            return np.full((height, width, 3), 128, np.uint8)
        data = np.packbits(bits[0])
        parts = [(data ^ whitening(len(data))).tobytes()]
        if blocks[1].bits:
            rest = symbols - np.sqrt(power) * blocks[0].send(bits)
            more, good = blocks[1].receive(rest / np.sqrt(1 - power), noise / (1 - power))
            if good[0]:
                other = np.packbits(more[0])
                parts.append((other ^ whitening(len(other))).tobytes())
        count = int.from_bytes(parts[0][:4], "big")
        return _drawn(b"".join(parts)[4 : 4 + count], len(parts), height, width)


def _header(height: int, width: int) -> tuple[bytes, int]:
    """(header of a codestream of two layers, its bytes up to the tile's data)."""
    file = jpeg2000(np.zeros((height, width, 3), np.uint8), [400.0, 200.0])
    end = file.index(b"\xff\x93") + 2
    return file[:end], end


def _drawn(tile: bytes, layers: int, height: int, width: int) -> np.ndarray:
    """The picture of the first bytes of a tile and its first layer, or of all; grey if they make no sense."""
    head, _ = _header(height, width)
    header, style, start = bytearray(head), head.index(b"\xff\x52"), head.index(b"\xff\x90")
    header[style + 6 : style + 8] = layers.to_bytes(2, "big")
    header[start + 6 : start + 10] = (len(head) - start + len(tile)).to_bytes(4, "big")
    try:
        picture = np.array(Image.open(io.BytesIO(bytes(header) + tile + b"\xff\xd9")).convert("RGB"))
    except (OSError, ValueError, SyntaxError):
        return np.full((height, width, 3), 128, np.uint8)
    return picture if picture.shape == (height, width, 3) else np.full((height, width, 3), 128, np.uint8)
