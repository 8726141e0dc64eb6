"""Pilots inside a stream of symbols, for a receiver that has nothing but the stream."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ninefold.errors import InputError

from semcom.phy._channel import Received
from semcom.phy._definitions import MAX_VARIANCE, estimate_gain


@dataclass(frozen=True)
class PilotPattern:
    """`count` pilots of value 1 before each `block` data symbols of a row.

    Attributes:
        block: data symbols of a coherence block; 0 is the whole row.
        count: pilots a block; 0 is none, and the receiver takes the gain as 1.
    """

    block: int = 0
    count: int = 0

    def __post_init__(self) -> None:
        if self.block < 0 or self.count < 0:
            raise InputError("pilots", got=(self.block, self.count), expected="a block and a count from 0")

    def _span(self, data: int) -> int:
        return self.block or max(data, 1)

    def length(self, data: int) -> int:
        """Symbols of a row with its pilots."""
        return data + self.count * -(-data // self._span(data))

    def data_of(self, length: int) -> int:
        """Data symbols of a row of `length` symbols with its pilots; the inverse of `length`."""
        if not self.count:
            return length
        blocks = -(-length // (self.block + self.count)) if self.block else 1
        return max(length - blocks * self.count, 0)

    def insert(self, symbols: np.ndarray) -> np.ndarray:
        """(rows, n) -> (rows, length(n))."""
        if not self.count:
            return symbols
        span, parts = self._span(symbols.shape[1]), []
        for begin in range(0, symbols.shape[1], span):
            parts += [np.ones((len(symbols), self.count), np.complex64), symbols[:, begin : begin + span]]
        return np.concatenate(parts, axis=1)

    def equalise(self, received: np.ndarray, data: int, variance: float | None) -> Received:
        """Take the pilots out, estimate the gains and equalise.

        Args:
            received: (rows, length(data)) complex.
            data: data symbols of a row.
            variance: noise variance; estimated from the received power (and the pilots' spread) if None.
        """
        if variance is None:
            variance = min(self._estimate_variance(received, data), MAX_VARIANCE)
        if not self.count:
            noise = np.full((len(received), 1), variance, np.float32)
            return Received((received / (1 + variance)).astype(np.complex64, copy=False), noise)
        span, symbols, noises, at = self._span(data), [], [], 0
        for begin in range(0, data, span):
            size = min(span, data - begin)
            observed = received[:, at : at + self.count].mean(axis=1, keepdims=True)
            gain, error = estimate_gain(observed, variance, self.count, "lmmse")
            total, square = variance + error, np.abs(gain) ** 2
            block = received[:, at + self.count : at + self.count + size]
            symbols.append(block * (gain.conj() / np.maximum(square + total, 1e-30)))
            noise = np.minimum(total / np.maximum(square, 1e-30), MAX_VARIANCE)
            noises.append(np.broadcast_to(noise, block.shape))
            at += self.count + size
        joined = np.concatenate(symbols, axis=1).astype(np.complex64)
        return Received(joined, np.concatenate(noises, axis=1).astype(np.float32), self.length(data) - data)

    def _estimate_variance(self, received: np.ndarray, data: int) -> float:
        """Noise variance of a whole stream: spread of the pilots about their block's mean, or power beyond one."""
        if self.count > 1:
            step, total, count = self._span(data) + self.count, 0.0, 0
            for at in range(0, received.shape[1], step):
                pilots = received[:, at : at + self.count]
                total += float(np.sum(np.abs(pilots - pilots.mean(axis=1, keepdims=True)) ** 2, dtype=np.float64))
                count += len(pilots) * (self.count - 1)
            return max(total / count, 1e-6)
        parts = np.ascontiguousarray(received, np.complex64).view(np.float32).ravel()
        return max(float(np.einsum("i,i", parts, parts, dtype=np.float64)) / received.size - 1, 1e-6)
