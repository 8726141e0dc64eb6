"""Separate coding of a whole picture: an image codec, 5G NR LDPC and QAM; a block that fails gives a grey picture."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from semcom.phy import Mcs, Received, choose_mcs, interleaver
from semcom.whole._codecs import Codec, Ladder
from semcom.whole._interface import WholeLink, symbols_of_ratio


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
        self._ladder: Ladder | None = None

    def symbols(self, height: int, width: int) -> int:
        return symbols_of_ratio(self.ratio, height, width)

    def best(self, picture: np.ndarray, most: int) -> bytes | None:
        """The codec's bytes of a picture, at most `most`; its other qualities are kept for the next call."""
        if self._ladder is None or self._ladder.picture is not picture:
            self._ladder = Ladder(self.codec, picture)
        return self._ladder.best(most)

    def send(self, picture: np.ndarray, snr_db: float) -> np.ndarray:
        return self.send_in(picture, snr_db, self.symbols(*picture.shape[:2]))

    def send_in(self, picture: np.ndarray, snr_db: float, total: int) -> np.ndarray:
        """`send` in another number of symbols: (total,) complex64."""
        block, count = (self.mcs or choose_mcs(snr_db)).blocks(total)
        if count * block.symbols > total:  # no room for one byte
            return np.ones(total, np.complex64)
        data = np.zeros(count * block.bits // 8, np.uint8)
        found = self.best(picture, len(data))
        if found is not None:
            data[: len(found)] = np.frombuffer(found, np.uint8)
        sent = block.send(np.unpackbits(data ^ _whitening(len(data))).reshape(count, -1)).reshape(-1)
        filled = np.pad(sent, (0, total - len(sent)), constant_values=1)
        return filled[interleaver(total)]

    def recover(self, received: Received, height: int, width: int, snr_db: float) -> np.ndarray:
        total = received.symbols.shape[1]
        block, count = (self.mcs or choose_mcs(snr_db)).blocks(total)
        ordered = received.in_order
        symbols, noise = ordered.unbiased[0], ordered.noise[0]
        used = count * block.symbols
        if used > total:
            return np.full((height, width, 3), 128, np.uint8)
        bits, good = block.receive(symbols[:used].reshape(count, -1), noise[:used].reshape(count, -1))
        if not good.all():
            return np.full((height, width, 3), 128, np.uint8)
        data = np.packbits(bits.ravel())
        return self.codec.decode((data ^ _whitening(len(data))).tobytes(), height, width)


def _whitening(count: int) -> np.ndarray:
    """Bytes that both sides know: with them zeros that fill a block up are no run of one constellation point."""
    return np.random.Generator(np.random.PCG64(count)).integers(0, 256, count, dtype=np.uint8)
