"""Digital latents: a Lloyd-Max quantiser for unit-variance Gaussian numbers, Gray labels, coded blocks."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from semcom.phy._block import CodedBlock

_LARGEST_BLOCK = 4000


@functools.cache
def lloyd_levels(bits: int) -> np.ndarray:
    """Levels (2^bits,) of the quantiser with the least squared error for N(0, 1), ascending."""
    levels = np.linspace(-2.5, 2.5, 2**bits) if bits > 1 else np.array([-0.8, 0.8])
    for _ in range(3000):
        edges = np.concatenate([[-np.inf], (levels[1:] + levels[:-1]) / 2, [np.inf]])
        density = np.exp(-(edges**2) / 2) / math.sqrt(2 * math.pi)
        updated = (density[:-1] - density[1:]) / np.diff(ndtr(edges))
        if np.abs(updated - levels).max() < 1e-9:
            break
        levels = updated
    return levels.astype(np.float32)


@dataclass(frozen=True)
class LatentBlocks:
    """Reals of a row, quantised and sent in coded blocks; a block that fails gives zeros, the mean.

    Attributes:
        reals: numbers of a row.
        bits: of each number.
        fec, modulation: of the blocks.
    """

    reals: int
    bits: int
    fec: str = "ldpc:1/2"
    modulation: str = "qpsk"

    @property
    def _count(self) -> int:
        return -(-self.reals * self.bits // _LARGEST_BLOCK)

    @property
    def _numbers(self) -> int:
        """Numbers of a block; the last one is filled up."""
        return -(-self.reals // self._count)

    @property
    def block(self) -> CodedBlock:
        """One block."""
        return CodedBlock(self._numbers * self.bits, self.fec, self.modulation)

    @property
    def symbols(self) -> int:
        """Symbols of a row."""
        return self._count * self.block.symbols

    def send(self, reals: np.ndarray) -> np.ndarray:
        """(rows, reals) -> (rows, symbols) complex64."""
        levels = lloyd_levels(self.bits)
        codes = np.searchsorted((levels[1:] + levels[:-1]) / 2, reals)
        codes ^= codes >> 1  # Gray
        padded = np.pad(codes, ((0, 0), (0, self._count * self._numbers - self.reals)))
        bits = (padded.reshape(-1, self._numbers, 1) >> np.arange(self.bits - 1, -1, -1)) & 1
        sent = self.block.send(bits.reshape(len(bits), -1).astype(np.uint8))
        return sent.reshape(len(reals), self.symbols)

    def receive(self, symbols: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Unbiased symbols (rows, symbols) and their noise variances -> (rows, reals) float32."""
        shape = (len(symbols) * self._count, self.block.symbols)
        bits, good = self.block.receive(symbols.reshape(shape), noise.reshape(shape))
        codes = bits.reshape(len(bits), self._numbers, self.bits).astype(np.int64) @ (1 << np.arange(self.bits)[::-1])
        for shift in (1, 2, 4):
            codes ^= codes >> shift
        values = np.where(good[:, None], lloyd_levels(self.bits)[codes], np.float32(0))
        return values.reshape(len(symbols), -1)[:, : self.reals].astype(np.float32)
