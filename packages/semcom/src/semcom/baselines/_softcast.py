"""SoftCast (Jakubczak and Katabi 2010): a picture's own DCT, sent without a code."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from scipy.fft import dctn, idctn

from semcom.baselines._dct import padded, pixels
from semcom.phy import CodedBlock, Received, interleaver, mcs_table, reals_to_symbols, symbols_to_reals
from semcom.whole import WholeLink


class SoftCast(WholeLink):
    """DCT of the whole picture in 192 chunks, scaled by the fourth root of their variances; those that fit are sent.

    The variances (8 bits each, steps of half a decibel) and the three means go in a coded block, which is counted.
    """

    name: ClassVar[str] = "SoftCast"
    source: ClassVar[str] = "Jakubczak and Katabi 2010"
    _GRID = 8

    def __init__(self, ratio: float) -> None:
        self.ratio = ratio

    def _block(self, snr_db: float) -> CodedBlock:
        bits = 8 * (3 * self._GRID**2 + 3)
        rows = [row for row in mcs_table() if 51 < row.rate < 950 and row.works_from(bits) <= snr_db]
        row = rows[-1] if rows else next(row for row in mcs_table() if row.rate > 51)
        return CodedBlock(bits, f"ldpc:{row.rate / 1024:.6f}", row.modulation, crc=24)

    def _chunks(self, values: np.ndarray) -> np.ndarray:
        """(H, W, 3) coefficients -> (192, coefficients of a chunk)."""
        rows, columns = values.shape[0] // self._GRID, values.shape[1] // self._GRID
        return values.reshape(self._GRID, rows, self._GRID, columns, 3).transpose(0, 2, 4, 1, 3).reshape(
            3 * self._GRID**2, -1
        )  # fmt: skip

    def _plan(self, levels: np.ndarray, size: int, reals: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(chunks that are sent, their variances, their gains)."""
        variances = 10.0 ** ((levels.astype(np.float64) - 200) / 20)
        kept = np.argsort(-variances, kind="stable")[: max(0, min(reals // size, len(levels)))]
        gains = variances[kept] ** -0.25
        total = float((variances[kept] * gains**2).sum()) * size
        return kept, variances[kept], gains * np.sqrt(reals / total) if total else gains

    def send(self, picture: np.ndarray, snr_db: float) -> np.ndarray:
        total, block = self.symbols(*picture.shape[:2]), self._block(snr_db)
        if total <= block.symbols:
            return np.ones(total, np.complex64)
        values = padded(picture, self._GRID)
        means = np.clip(np.round(255 * (values.mean((0, 1)) + 0.5)), 0, 255)
        chunks = self._chunks(np.asarray(dctn(values - (means / 255 - 0.5).astype(np.float32), norm="ortho")))
        variances = np.maximum((chunks.astype(np.float64) ** 2).mean(axis=1), 1e-12)
        levels = np.clip(np.round(20 * np.log10(variances) + 200), 0, 255).astype(np.uint8)
        head = np.concatenate([levels, means.astype(np.uint8)])
        reals = np.zeros(2 * (total - block.symbols), np.float32)
        kept, _, gains = self._plan(levels, chunks.shape[1], len(reals))
        body = (chunks[kept] * gains[:, None]).ravel()
        reals[: len(body)] = body
        reals /= max(np.sqrt(np.mean(reals**2)), 1e-9)
        coded = block.send(np.unpackbits(head)[None])[0]
        return np.concatenate([coded, reals_to_symbols(reals[None])[0]])[interleaver(total)]

    def recover(self, received: Received, height: int, width: int, snr_db: float) -> np.ndarray:
        block = self._block(snr_db)
        ordered = received.in_order
        symbols, noise = ordered.unbiased[0], ordered.noise[0]
        grey = np.full((height, width, 3), 128, np.uint8)
        if len(symbols) <= block.symbols:
            return grey
        bits, good = block.receive(symbols[None, : block.symbols], noise[None, : block.symbols])
        if not good[0]:
            return grey
        head = np.packbits(bits[0])
        whole = (-(-height // self._GRID) * self._GRID, -(-width // self._GRID) * self._GRID)
        size = whole[0] * whole[1] // self._GRID**2
        reals = symbols_to_reals(symbols[None, block.symbols :])[0]
        kept, variances, gains = self._plan(head[:-3], size, len(reals))
        used = reals[: len(kept) * size].reshape(len(kept), size)
        spread = np.repeat(noise[block.symbols :], 2)[: used.size].reshape(used.shape)
        power = (variances * gains**2)[:, None]
        chunks = np.zeros((3 * self._GRID**2, size), np.float32)
        chunks[kept] = used * power / (power + spread) / gains[:, None]
        rows, columns = whole[0] // self._GRID, whole[1] // self._GRID
        grid = chunks.reshape(self._GRID, self._GRID, 3, rows, columns).transpose(0, 3, 1, 4, 2).reshape(*whole, 3)
        values = np.asarray(idctn(grid, norm="ortho")) + (head[-3:] / 255 - 0.5).astype(np.float32)
        return pixels(values, height, width)
