"""Separate coding of a whole picture: an image codec, 5G NR LDPC and QAM; a block that fails gives a grey picture."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from semcom.phy import Mcs, Received, TransportBlock, choose_mcs, interleaver
from semcom.whole._codecs import Codec, ladder_of
from semcom.whole._interface import WholeLink


class CodecLink(WholeLink):
    """A codec at the highest quality that fits, with modulation and code rate chosen by the SNR that is assumed."""

    name: ClassVar[str] = "codec + LDPC"
    source: ClassVar[str] = "Shannon's separation; TS 38.212, 38.214"

    def __init__(self, codec: str, ratio: float, mcs: Mcs | None = None) -> None:
        """Args:
        codec: see `CODECS`.
        ratio: bandwidth ratio, all symbols by 3 * H * W.
        mcs: modulation and code rate at every SNR; chosen at each if left out.
        """
        self.codec, self.ratio, self.mcs = Codec(codec), ratio, mcs

    def best(self, picture: np.ndarray, most: int) -> bytes | None:
        """The codec's bytes of a picture, at most `most`."""
        return ladder_of(self.codec, picture).best(most)

    def send(self, picture: np.ndarray, snr_db: float) -> np.ndarray:
        return self.send_in(picture, snr_db, self.symbols(*picture.shape[:2]))

    def send_in(self, picture: np.ndarray, snr_db: float, total: int) -> np.ndarray:
        """`send` in another number of symbols: (total,) complex64."""
        block = self._block(snr_db, total)
        if not block.bits:  # no room for one byte
            return np.ones(total, np.complex64)
        data = np.zeros(block.bits // 8, np.uint8)
        found = self.best(picture, len(data))
        if found is not None:
            data[: len(found)] = np.frombuffer(found, np.uint8)
        return block.send(np.unpackbits(data ^ whitening(len(data)))[None])[0][interleaver(total)]

    def _block(self, snr_db: float, total: int) -> TransportBlock:
        return (self.mcs or choose_mcs(snr_db, total)).transport(total)

    def recover(self, received: Received, height: int, width: int, snr_db: float) -> np.ndarray:
        total = received.symbols.shape[1]
        block, grey = self._block(snr_db, total), np.full((height, width, 3), 128, np.uint8)
        if not block.bits:
            return grey
        ordered = received.in_order
        bits, good = block.receive(ordered.unbiased, ordered.noise)
        if not good[0]:
            return grey
        data = np.packbits(bits.ravel())
        return self.codec.decode((data ^ whitening(len(data))).tobytes(), height, width)


def whitening(count: int) -> np.ndarray:
    """Bytes that both sides know: with them zeros that fill a block up are no run of one constellation point."""
    return np.random.Generator(np.random.PCG64(count)).integers(0, 256, count, dtype=np.uint8)
