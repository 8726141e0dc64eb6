"""A linear link for whole pictures: a block DCT with fixed statistics, and the power of each coefficient."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
from ninefold import artifacts
from ninefold.errors import InputError
from scipy.fft import dctn, idctn

from semcom.phy import (
    MAX_VARIANCE,
    CodedBlock,
    Received,
    interleaver,
    noise_variance,
    reals_to_symbols,
    symbols_to_reals,
)
from semcom.whole import WholeLink

_KIND = "semcom.dct"
STATISTICS = Path(__file__).parent / "dct-16.safetensors"
BLOCK = 16


def padded(picture: np.ndarray, multiple: int) -> np.ndarray:
    """(H, W, 3) float32 about zero, sides extended by edge pixels to a multiple."""
    height, width = picture.shape[:2]
    whole = np.pad(picture, ((0, -height % multiple), (0, -width % multiple), (0, 0)), mode="edge")
    return whole.astype(np.float32) / 255 - 0.5


def pixels(values: np.ndarray, height: int, width: int) -> np.ndarray:
    clean = np.clip(np.nan_to_num(values[:height, :width]) + 0.5, 0, 1)
    return (clean * 255).round().astype(np.uint8)


def powers(variances: np.ndarray, total: float, noise: float) -> np.ndarray:
    """Power of each component for the least squared error: noise * (sqrt(variance / level) - 1), none below zero.

    Args:
        variances: (n,) of the components, descending.
        total: sum of the powers.
        noise: variance of the noise in each.
    """
    roots = np.sqrt(variances)
    for used in range(len(variances), 0, -1):  # sums to `total` at a level of noise * sum / (total + used * noise)
        level = noise * roots[:used].sum() / (total + used * noise)
        if roots[used - 1] > level:
            return np.concatenate([noise * (roots[:used] / level - 1), np.zeros(len(variances) - used)])
    raise InputError("variances", got="none above zero", expected="positive numbers")


def blocks_of(values: np.ndarray) -> np.ndarray:
    """(H, W, 3) -> (blocks, 768): DCT over both sides of each 16 x 16 block and over its colours."""
    rows, columns = values.shape[0] // BLOCK, values.shape[1] // BLOCK
    cut = values.reshape(rows, BLOCK, columns, BLOCK, 3).swapaxes(1, 2)
    return np.asarray(dctn(cut, axes=(2, 3, 4), norm="ortho")).reshape(rows * columns, -1)


def _joined(blocks: np.ndarray, height: int, width: int) -> np.ndarray:
    rows, columns = height // BLOCK, width // BLOCK
    cut = np.asarray(idctn(blocks.reshape(rows, columns, BLOCK, BLOCK, 3), axes=(2, 3, 4), norm="ortho"))
    return cut.swapaxes(1, 2).reshape(height, width, 3)


class BlockDct(WholeLink):
    """16 x 16 block DCT: coefficients of most variance with the power that the noise asks for; LMMSE at the receiver.

    The statistics are those of training pictures, known to both sides; the scale of each picture goes in a coded block.
    """

    name: ClassVar[str] = "linear (block DCT)"
    source: ClassVar[str] = "Lee and Petersen 1976"

    def __init__(self, ratio: float, variances: np.ndarray | None = None) -> None:
        """Args:
        ratio: bandwidth ratio.
        variances: (768,) mean squares of the coefficients; those of Caltech-101's training pictures if left out.
        """
        self.ratio = ratio
        if variances is None:
            variances = artifacts.Artifact(STATISTICS, kind=_KIND, format_version=1).numpy("variances")
        order = np.argsort(-variances, kind="stable")
        self.order, self.variances = order, np.maximum(variances[order].astype(np.float64), 1e-12)
        self._scale_block = CodedBlock(8, "ldpc:1/5")

    def _design(self, height: int, width: int, snr_db: float) -> tuple[int, np.ndarray]:
        """(blocks, gain of each coefficient that is sent)."""
        count = -(-height // BLOCK) * -(-width // BLOCK)
        reals = 2 * (self.symbols(height, width) - self._scale_block.symbols)
        noise = float(np.clip(noise_variance(snr_db), 1e-4, 1e3))
        width_of_block = max(1, min(reals // count, len(self.variances)))
        spread = powers(self.variances[:width_of_block], float(reals / count), noise)
        return count, np.sqrt(spread[spread > 0] / self.variances[: int((spread > 0).sum())])

    def send(self, picture: np.ndarray, snr_db: float) -> np.ndarray:
        height, width = picture.shape[:2]
        _, gains = self._design(height, width, snr_db)
        weighted = blocks_of(padded(picture, BLOCK))[:, self.order[: len(gains)]] * gains
        body = self.symbols(height, width) - self._scale_block.symbols
        reals = np.zeros(2 * body, np.float32)
        reals[: weighted.size] = weighted.ravel()[: len(reals)]  # a narrow picture has more blocks than reals
        level = int(np.clip(np.round(16 * np.log2(max(np.sqrt(np.mean(reals**2)), 1e-6))) + 128, 0, 255))
        head = self._scale_block.send(np.unpackbits(np.array([[level]], np.uint8), axis=1))[0]
        reals /= 2.0 ** ((level - 128) / 16)
        sent = np.concatenate([head, reals_to_symbols(reals[None])[0]])[interleaver(body + len(head))]
        return (sent / np.sqrt(np.mean(np.abs(sent) ** 2))).astype(np.complex64)

    def recover(self, received: Received, height: int, width: int, snr_db: float) -> np.ndarray:
        count, gains = self._design(height, width, snr_db)
        ordered = received.in_order
        symbols, noise = ordered.unbiased[0], ordered.noise[0]
        head = self._scale_block.symbols
        bits, good = self._scale_block.receive(symbols[None, :head], noise[None, :head])
        level = int(np.packbits(bits[0])[0]) if good[0] else 128
        scale = 2.0 ** ((level - 128) / 16)
        whole = np.zeros((2, count * len(gains)), np.float32)
        whole[1] = MAX_VARIANCE  # where nothing was sent
        arrived = (symbols_to_reals(symbols[None, head:])[0], np.repeat(noise[head:], 2))
        for row, values in zip(whole, arrived, strict=True):
            row[: len(values)] = values[: len(row)]
        reals, spread = whole.reshape(2, count, -1) * np.array([scale, scale**2], np.float32)[:, None, None]
        power = self.variances[: len(gains)] * gains**2 * scale**2  # a picture's variances are taken to have its scale
        blocks = np.zeros((count, len(self.variances)), np.float32)
        blocks[:, self.order[: len(gains)]] = reals * (power / (power + spread)) / gains
        return pixels(_joined(blocks, -(-height // BLOCK) * BLOCK, -(-width // BLOCK) * BLOCK), height, width)
