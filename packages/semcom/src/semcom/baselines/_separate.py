"""Separate coding: an image codec, LDPC and QAM; any block error gives a grey picture. And its bound, an ideal code."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from semcom.links import Delivered, PictureLink, SymbolReport, checked_pictures
from semcom.phy import Channel, CodedBlock, Modulation, Received, capacity_awgn, interleaver, parse_rate
from semcom.whole import Codec

SCHEMES = tuple(
    (modulation, f"ldpc:{rate}") for modulation in ("qpsk", "16qam", "64qam") for rate in ("1/3", "1/2", "2/3", "3/4")
)
_LARGEST_BLOCK = 8000
_LARGEST_SHORT_CHECK = 3824  # bits, TS 38.212, 7.2.1


class SeparateLink(PictureLink):
    """A codec and a code for the picture, a coded block for the bits."""

    name: ClassVar[str] = "separate"
    source: ClassVar[str] = "Shannon's separation"

    def __init__(
        self, codec: str, picture_symbols: int, payload_bits: int = 0, size: int = 32,
        modulation: str = "qpsk", fec: str = "ldpc:1/2", *, whole_size: bool = False,
    ) -> None:  # fmt: skip
        """Args:
        codec: see `CODECS`.
        picture_symbols: symbols that the picture may take.
        payload_bits: bits of a picture, in a block of their own.
        size: height and width of pictures.
        modulation, fec: of the picture's blocks.
        whole_size: never send a picture at half its size.
        """
        self.whole_size = whole_size
        self.codec, self.size, self.payload_bits = Codec(codec), size, payload_bits
        self.picture_symbols, self.modulation, self.fec = picture_symbols, modulation, fec
        rate = parse_rate(fec) or 1.0
        information = int(picture_symbols * Modulation(modulation).bits * rate)
        self.blocks = max(1, -(-information // _LARGEST_BLOCK))
        crc = 16 if information <= _LARGEST_SHORT_CHECK else 24
        self.block_bytes = max((information // self.blocks - crc) // 8, 1)
        self.block = CodedBlock(8 * self.block_bytes, fec, modulation, crc=crc)
        self.beside = CodedBlock(payload_bits + 16) if payload_bits else None

    @property
    def bytes_per_picture(self) -> int:
        """Bytes that the picture's codec may fill."""
        return self.blocks * self.block_bytes

    @property
    def report(self) -> SymbolReport:
        beside = self.beside.symbols if self.beside else 0
        return SymbolReport(self.payload_bits, beside, self.picture_symbols, source_values=3 * self.size**2)

    def send(self, images: np.ndarray, bits: np.ndarray, snr_db: float) -> np.ndarray:
        images = checked_pictures(images, self.size)
        data = np.zeros((len(images), self.bytes_per_picture), np.uint8)
        for row, image in enumerate(images):
            found = self.codec.encode(image, self.bytes_per_picture, whole_size=self.whole_size)
            if found is not None:
                data[row, : len(found)] = np.frombuffer(found, np.uint8)
        sent = self.block.send(np.unpackbits(data, axis=1).reshape(len(images) * self.blocks, -1))
        symbols = sent.reshape(len(images), -1)
        rest = np.zeros((len(images), self.picture_symbols - symbols.shape[1]), np.complex64)
        parts = [symbols, rest]
        if self.beside:
            parts.append(self.beside.send(np.concatenate([np.zeros((len(bits), 16), np.uint8), bits], axis=1)))
        joined = np.concatenate(parts, axis=1)
        return joined[:, interleaver(joined.shape[1])]

    def recover(self, received: Received, snr_db: float) -> Delivered:
        total = self.report.symbols
        symbols, noise = np.empty_like(received.symbols), np.empty(received.symbols.shape, np.float32)
        symbols[:, interleaver(total)] = received.unbiased
        noise[:, interleaver(total)] = received.noise
        rows, used = len(symbols), self.blocks * self.block.symbols
        shape = (rows * self.blocks, self.block.symbols)
        found, good = self.block.receive(symbols[:, :used].reshape(shape), noise[:, :used].reshape(shape))
        good = good.reshape(rows, self.blocks).all(axis=1)
        data = np.packbits(found.reshape(rows, -1), axis=1)
        images = np.full((rows, self.size, self.size, 3), 128, np.uint8)
        for row in np.flatnonzero(good):
            images[row] = self.codec.decode(data[row].tobytes(), self.size, self.size)
        if self.beside is None:
            return Delivered(images, np.zeros((rows, 0), np.uint8), np.ones(rows, bool))
        bits, ok = self.beside.receive(symbols[:, self.picture_symbols :], noise[:, self.picture_symbols :])
        return Delivered(images, bits[:, 16:], ok)


def ideal_pictures(codec: str, images: np.ndarray, symbols: int, snr_db: float, share: float = 1.0) -> np.ndarray:
    """What a codec gives with an ideal code at a share of the capacity of AWGN: a bound, no link."""
    most = int(symbols * share * capacity_awgn(snr_db) / 8)
    one = Codec(codec)
    return np.stack(
        [one.decode(one.encode(image, most) or b"", *image.shape[:2]) for image in checked_pictures(images)]
    )


def ideal_over(
    codec: str,
    images: np.ndarray,
    symbols: int,
    channel: Channel,
    snr_db: float,
    share: float,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """The bound over any channel: where a picture's symbols have less capacity than the rate, it is grey (outage).

    Args:
        share: the rate by the capacity of AWGN at the mean SNR.
    Returns: pictures, and whether each is not in outage.
    """
    drawn = ideal_pictures(codec, images, symbols, snr_db, share)
    noise = channel.apply(np.ones((len(images), symbols), np.complex64), snr_db, rng).noise
    capacity = np.log2(1 + 1 / np.maximum(noise, 1e-12)).mean(axis=1)
    whole = np.broadcast_to(capacity >= share * capacity_awgn(snr_db) - 1e-4, len(images))
    drawn[~whole] = 128
    return drawn, whole
