"""Linear rivals for whole pictures: a block DCT with fixed statistics, and SoftCast (Jakubczak and Katabi 2010)."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
from ninefold import artifacts
from ninefold.errors import InputError
from scipy.fft import dctn, idctn

from semcom.baselines._linear import powers
from semcom.phy import CodedBlock, Received, choose_mcs, interleaver, noise_variance, reals_to_symbols, symbols_to_reals
from semcom.whole import WholeLink, symbols_of_ratio

_KIND = "semcom.dct"
STATISTICS = Path(__file__).parent / "dct-16.safetensors"
_BLOCK = 16


def _padded(picture: np.ndarray, multiple: int) -> np.ndarray:
    """(H, W, 3) float32 about zero, sides extended by edge pixels to a multiple."""
    height, width = picture.shape[:2]
    whole = np.pad(picture, ((0, -height % multiple), (0, -width % multiple), (0, 0)), mode="edge")
    return whole.astype(np.float32) / 255 - 0.5


def _pixels(values: np.ndarray, height: int, width: int) -> np.ndarray:
    clean = np.clip(np.nan_to_num(values[:height, :width]) + 0.5, 0, 1)
    return (clean * 255).round().astype(np.uint8)


def _blocks(values: np.ndarray) -> np.ndarray:
    """(H, W, 3) -> (blocks, 768): DCT over both sides of each 16 x 16 block and over its colours."""
    rows, columns = values.shape[0] // _BLOCK, values.shape[1] // _BLOCK
    cut = values.reshape(rows, _BLOCK, columns, _BLOCK, 3).swapaxes(1, 2)
    return np.asarray(dctn(cut, axes=(2, 3, 4), norm="ortho")).reshape(rows * columns, -1)


def _joined(blocks: np.ndarray, height: int, width: int) -> np.ndarray:
    rows, columns = height // _BLOCK, width // _BLOCK
    cut = np.asarray(idctn(blocks.reshape(rows, columns, _BLOCK, _BLOCK, 3), axes=(2, 3, 4), norm="ortho"))
    return cut.swapaxes(1, 2).reshape(height, width, 3)


def measure_statistics(pictures: Iterable[np.ndarray]) -> np.ndarray:
    """Mean squares (768,) of the block DCT's coefficients, each picture counted by its blocks; float32."""
    total, count = np.zeros(3 * _BLOCK**2), 0
    for picture in pictures:
        blocks = _blocks(_padded(picture, _BLOCK))
        total += (blocks.astype(np.float64) ** 2).sum(axis=0)
        count += len(blocks)
    if not count:
        raise InputError("pictures", got="none", expected="at least one")
    return (total / count).astype(np.float32)


class BlockDct(WholeLink):
    """16 x 16 block DCT: coefficients of most variance with the power that the noise asks for; LMMSE at the receiver.

    The statistics are those of training pictures, known to both sides; the scale of each picture goes in a coded block.
    """

    name: ClassVar[str] = "linear (block DCT)"
    source: ClassVar[str] = "Lee and Petersen 1976"

    def __init__(self, ratio: float, variances: np.ndarray | None = None) -> None:
        """Args:
        ratio: bandwidth ratio.
        variances: (768,) of `measure_statistics`; those of Caltech-101's training pictures if left out.
        """
        self.ratio = ratio
        if variances is None:
            variances = artifacts.Artifact(STATISTICS, kind=_KIND, format_version=1).numpy("variances")
        order = np.argsort(-variances, kind="stable")
        self.order, self.variances = order, np.maximum(variances[order].astype(np.float64), 1e-12)
        self._scale_block = CodedBlock(8, "ldpc:1/5")

    def symbols(self, height: int, width: int) -> int:
        return symbols_of_ratio(self.ratio, height, width)

    def _design(self, height: int, width: int, snr_db: float) -> tuple[int, np.ndarray]:
        """(blocks, gain of each coefficient that is sent)."""
        count = -(-height // _BLOCK) * -(-width // _BLOCK)
        reals = 2 * (self.symbols(height, width) - self._scale_block.symbols)
        noise = float(np.clip(noise_variance(snr_db), 1e-4, 1e3))
        width_of_block = max(1, min(reals // count, len(self.variances)))
        spread = powers(self.variances[:width_of_block], float(reals / count), noise)
        return count, np.sqrt(spread[spread > 0] / self.variances[: int((spread > 0).sum())])

    def send(self, picture: np.ndarray, snr_db: float) -> np.ndarray:
        height, width = picture.shape[:2]
        _, gains = self._design(height, width, snr_db)
        weighted = _blocks(_padded(picture, _BLOCK))[:, self.order[: len(gains)]] * gains
        body = self.symbols(height, width) - self._scale_block.symbols
        reals = np.zeros(2 * body, np.float32)
        reals[: weighted.size] = weighted.ravel()
        level = int(np.clip(np.round(16 * np.log2(max(np.sqrt(np.mean(reals**2)), 1e-6))) + 128, 0, 255))
        head = self._scale_block.send(np.unpackbits(np.array([[level]], np.uint8), axis=1))[0]
        reals /= 2.0 ** ((level - 128) / 16)
        sent = np.concatenate([head, reals_to_symbols(reals[None])[0]])[interleaver(body + len(head))]
        return (sent / np.sqrt(np.mean(np.abs(sent) ** 2))).astype(np.complex64)

    def recover(self, received: Received, height: int, width: int, snr_db: float) -> np.ndarray:
        count, gains = self._design(height, width, snr_db)
        symbols, noise = _in_order(received)
        head = self._scale_block.symbols
        bits, good = self._scale_block.receive(symbols[None, :head], noise[None, :head])
        level = int(np.packbits(bits[0])[0]) if good[0] else 128
        scale = 2.0 ** ((level - 128) / 16)
        reals = symbols_to_reals(symbols[None, head:])[0][: count * len(gains)].reshape(count, -1) * scale
        spread = np.repeat(noise[head:], 2)[: count * len(gains)].reshape(count, -1) * scale**2
        power = self.variances[: len(gains)] * gains**2 * scale**2  # a picture's variances are taken to have its scale
        blocks = np.zeros((count, len(self.variances)), np.float32)
        blocks[:, self.order[: len(gains)]] = reals * (power / (power + spread)) / gains
        whole = (-(-height // _BLOCK) * _BLOCK, -(-width // _BLOCK) * _BLOCK)
        return _pixels(_joined(blocks, *whole), height, width)


class SoftCast(WholeLink):
    """DCT of the whole picture in 192 chunks, scaled by the fourth root of their variances; those that fit are sent.

    The variances (8 bits each, steps of half a decibel) and the three means go in a coded block, which is counted.
    """

    name: ClassVar[str] = "SoftCast"
    source: ClassVar[str] = "Jakubczak and Katabi 2010"
    _GRID = 8

    def __init__(self, ratio: float) -> None:
        self.ratio = ratio

    def symbols(self, height: int, width: int) -> int:
        return symbols_of_ratio(self.ratio, height, width)

    @cached_property
    def _bits(self) -> int:
        return 8 * (3 * self._GRID**2 + 3)

    def _block(self, snr_db: float) -> CodedBlock:
        row = choose_mcs(snr_db - 1)  # a short block needs more than the long ones of the table
        return CodedBlock(self._bits, f"ldpc:{row.rate / 1024:.6f}", row.modulation, crc=24)

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
        values = _padded(picture, self._GRID)
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
        symbols, noise = _in_order(received)
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
        return _pixels(values, height, width)


def _in_order(received: Received) -> tuple[np.ndarray, np.ndarray]:
    """Unbiased symbols and noise variances of one row, without the interleaver."""
    total = received.symbols.shape[1]
    symbols, noise = np.empty(total, np.complex64), np.empty(total, np.float32)
    symbols[interleaver(total)] = received.unbiased[0]
    noise[interleaver(total)] = received.noise[0]
    return symbols, noise
