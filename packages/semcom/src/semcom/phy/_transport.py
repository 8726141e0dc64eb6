"""Transport blocks: one message in exactly so many symbols (TS 38.212, sections 5.1, 5.2.2, 5.3.2, 5.4.2 and 5.5).

A message with its check is cut into code blocks with a check each where it is longer than one; rate matching gives the
code blocks all bits that the symbols have, and each passes the standard's bit interleaver.

Modulation and code rate by SNR are the rows of TS 38.214: those of table 5.1.3.1-1, those of table 2 with 256-QAM, and
those of table 3 below a rate of .117. The SNR at which each works with this package's decoder stands in `mcs.csv`; the
benchmark `mcs_thresholds.py` of the experiments measures it over AWGN for blocks of 100 to 8,000 information bits: the
lowest Es/N0 on a grid of .1 dB at which at most one block in 200 fails, and .1 dB above it.
"""

from __future__ import annotations

import csv
import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ninefold.errors import InputError

from semcom.phy._block import append_crc, bit_interleaver, check_crc
from semcom.phy._ldpc import ldpc
from semcom.phy._modulation import Modulation

_LARGEST_SHORT_CHECK = 3824  # bits up to which a message has a check of 16 bits (7.2.1)
_HOPELESS = 0.9  # share of the code rate: where LLRs have less information than that, no decoder succeeds
_LARGEST_BLOCK = {1: 8448, 2: 3840}  # information bits of a code block, by base graph (5.2.2)


@dataclass(frozen=True)
class TransportBlock:
    """A message of `bits` bits in `symbols` symbols.

    Attributes:
        bits: information bits, without checks; a multiple of 8.
        modulation: see `Modulation`.
        symbols: complex symbols, all of which are used.
        blocks: code blocks.
        iterations: limit of the decoder.

    Examples:
        >>> import numpy as np
        >>> from semcom.phy import TransportBlock

        >>> block = TransportBlock.of_rate(1000, 434 / 1024, "16qam")
        >>> block.bits, block.blocks
        (1672, 1)
        >>> bits = np.random.default_rng(0).integers(0, 2, (1, block.bits), dtype=np.uint8)
        >>> decoded, good = block.receive(block.send(bits), 0.01)
        >>> good.tolist(), bool((decoded == bits).all())
        ([True], True)
    """

    bits: int
    modulation: str
    symbols: int
    blocks: int = 1
    iterations: int = 50

    @classmethod
    def of_rate(cls, symbols: int, rate: float, modulation: str) -> TransportBlock:
        """The longest message whose code rate, checks included, is at most `rate`; 0 bits if no byte fits."""
        if not 0 < rate < 1:
            raise InputError("code rate", got=rate, expected="a number in (0, 1)")
        information = int(symbols * Modulation(modulation).bits * rate)
        blocks = max(1, -(-information // _LARGEST_BLOCK[2 if rate <= 0.25 else 1]))
        checks = (16 if information - 16 <= _LARGEST_SHORT_CHECK else 24) + 24 * blocks * (blocks > 1)
        return cls(max(0, (information - checks) // 8 * 8), modulation, symbols, blocks)

    @property
    def _check(self) -> int:
        return 16 if self.bits <= _LARGEST_SHORT_CHECK else 24

    @property
    def _size(self) -> int:
        """Information bits of a code block, with its checks."""
        return -(-(self.bits + self._check) // self.blocks) + 24 * (self.blocks > 1)

    @property
    def _coded(self) -> list[tuple[int, int]]:
        """(code blocks, coded bits of each), two groups where the symbols do not divide evenly."""
        bits, (size, more) = Modulation(self.modulation).bits, divmod(self.symbols, self.blocks)
        return [(count, n * bits) for count, n in ((self.blocks - more, size), (more, size + 1)) if count]

    def send(self, bits: np.ndarray) -> np.ndarray:
        """(rows, bits) of 0 and 1, a message each -> (rows, symbols) complex64."""
        bits = np.asarray(bits, np.uint8)
        if bits.ndim != 2 or bits.shape[1] != self.bits:
            raise InputError("bits", got=f"shape {bits.shape}", expected=f"(rows, {self.bits})")
        rows, word = len(bits), append_crc(bits, self._check)
        own = self._size - 24 * (self.blocks > 1)
        parts = np.pad(word, ((0, 0), (0, own * self.blocks - word.shape[1]))).reshape(rows, self.blocks, own)
        sent, at, modulation = [], 0, Modulation(self.modulation)
        for count, length in self._coded:
            part = parts[:, at : at + count].reshape(rows * count, own)
            coded = ldpc(self._size, length).encode(append_crc(part, 24) if self.blocks > 1 else part)
            sent.append(modulation.modulate(coded[:, bit_interleaver(length, modulation.bits)]).reshape(rows, -1))
            at += count
        return np.concatenate(sent, axis=1)

    def receive(self, symbols: np.ndarray, noise: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
        """Decode messages.

        Args:
            symbols: (rows, symbols) complex, equalised without bias.
            noise: complex noise variance of each symbol, broadcast to `symbols`.
        Returns: (rows, bits) uint8, and (rows,) whether all checks of a message hold; its bits mean nothing if not.
        """
        modulation, rows, parts, at = Modulation(self.modulation), len(symbols), [], 0
        llr, good = modulation.llr(symbols, noise), np.ones(rows, bool)
        for count, length in self._coded:
            own = llr[:, at : at + count * length].reshape(rows * count, length)
            ordered = np.empty_like(own)
            ordered[:, bit_interleaver(length, modulation.bits)] = own
            found, holds = np.zeros((len(own), self._size), np.uint8), np.zeros(len(own), bool)
            able = _information(own) > _HOPELESS * self._size / length
            if able.any():
                code = ldpc(self._size, length)
                found[able], holds[able] = code.decode(ordered[able], iterations=self.iterations)
            if self.blocks > 1:
                found, checked = check_crc(found, 24)
                holds &= checked
            good &= holds.reshape(rows, count).all(axis=1)
            parts.append(found.reshape(rows, -1))
            at += count * length
        bits, checked = check_crc(np.concatenate(parts, axis=1)[:, : self.bits + self._check], self._check)
        return bits, good & checked


def _information(llr: np.ndarray) -> np.ndarray:
    """Mean information in bits of the LLRs of each row (rows, n): (rows,), of their sizes alone."""
    wrong = 1 / (1 + np.exp(np.minimum(np.abs(llr), 50)))
    entropy = -wrong * np.log2(wrong) - (1 - wrong) * np.log2(1 - wrong)
    return 1 - entropy.mean(axis=1)


SIZES = (100, 400, 1600, 8000)
"""Information bits, checks included, of the blocks whose thresholds are measured."""


@dataclass(frozen=True)
class Mcs:
    """A row of a table of TS 38.214.

    Attributes:
        table: 1, 2 or 3: table 5.1.3.1-1 and so on.
        index: row of the table.
        modulation: `qpsk`, `16qam`, `64qam` or `256qam`.
        rate: target code rate times 1024.
        thresholds: lowest Es/N0 in dB over AWGN at which it is used, for blocks of `SIZES` bits.
    """

    table: int
    index: int
    modulation: str
    rate: float
    thresholds: tuple[float, ...]

    @property
    def name(self) -> str:
        """The row as tables call it: its index, after the number of its table where that is not 1."""
        return str(self.index) if self.table == 1 else f"{self.table}/{self.index}"

    @property
    def efficiency(self) -> float:
        """Information bits a complex symbol."""
        return Modulation(self.modulation).bits * self.rate / 1024

    @property
    def snr_db(self) -> float:
        """Threshold of long blocks in dB."""
        return self.thresholds[-1]

    def works_from(self, bits: float) -> float:
        """Threshold in dB of a block of so many information bits, interpolated over their logarithm."""
        return float(np.interp(np.log(max(bits, 1)), np.log(SIZES), self.thresholds))

    def transport(self, symbols: int) -> TransportBlock:
        """The message that fills `symbols` complex symbols at this row's rate."""
        return TransportBlock.of_rate(symbols, self.rate / 1024, self.modulation)


@functools.cache
def mcs_table() -> tuple[Mcs, ...]:
    """All rows, by rising efficiency; of rows of equal efficiency the one that works at the lower SNR comes last."""
    with (Path(__file__).parent / "mcs.csv").open(newline="", encoding="utf-8") as file:
        rows = [
            Mcs(int(row["table"]), int(row["index"]), row["modulation"], float(row["rate"]),
                tuple(float(row[f"snr_{size}"]) for size in SIZES))
            for row in csv.DictReader(file)
        ]  # fmt: skip
    return tuple(sorted(rows, key=lambda row: (row.efficiency, -row.snr_db)))


def choose_mcs(snr_db: float, symbols: int = 16_384) -> Mcs:
    """The most efficient row that works over AWGN at this Es/N0; the most robust one if none does.

    Args:
        symbols: complex symbols of the message: short ones need a higher SNR.
    """
    working = [row for row in mcs_table() if row.works_from(symbols * row.efficiency) <= snr_db]
    return working[-1] if working else mcs_table()[0]
