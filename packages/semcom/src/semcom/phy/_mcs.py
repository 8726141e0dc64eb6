"""Modulation and code rate by SNR: TS 38.214, table 5.1.3.1-1, with the SNR at which each works here.

The thresholds stand in `mcs.csv`; the benchmark `mcs_thresholds.py` of the experiments measured them over AWGN with
this package's decoder (min-sum, 20 iterations) on blocks of 8,000 information bits: the lowest Es/N0 on a grid of .1 dB
at which none of 160 blocks fails, and .1 dB above it.
"""

from __future__ import annotations

import csv
import functools
from dataclasses import dataclass
from pathlib import Path

from semcom.phy._block import CodedBlock
from semcom.phy._modulation import Modulation

_QPSK = (120, 157, 193, 251, 308, 379, 449, 526, 602, 679)
_16QAM = (340, 378, 434, 490, 553, 616, 658)
_64QAM = (438, 466, 517, 567, 616, 666, 719, 772, 822, 873, 910, 948)
RATES = tuple((name, rate) for name, rates in (("qpsk", _QPSK), ("16qam", _16QAM), ("64qam", _64QAM)) for rate in rates)
_LARGEST_BLOCK = 8000
_LARGEST_SHORT_CHECK = 3824  # bits, TS 38.212, 7.2.1


@dataclass(frozen=True)
class Mcs:
    """A row of the table.

    Attributes:
        index: 0 to 28.
        modulation: `qpsk`, `16qam` or `64qam`.
        rate: target code rate times 1024.
        snr_db: lowest Es/N0 over AWGN at which it is used.
    """

    index: int
    modulation: str
    rate: int
    snr_db: float

    @property
    def efficiency(self) -> float:
        """Information bits a complex symbol."""
        return Modulation(self.modulation).bits * self.rate / 1024

    def blocks(self, symbols: int) -> tuple[CodedBlock, int]:
        """The coded blocks, all alike, that fill at most `symbols` complex symbols: (block, how many)."""
        information = int(symbols * self.efficiency)
        count = max(1, -(-information // _LARGEST_BLOCK))
        crc = 16 if information <= _LARGEST_SHORT_CHECK else 24
        size = max((information // count - crc) // 8, 1)
        while size > 1 and self._block(size, crc).symbols * count > symbols:
            size -= 1
        return self._block(size, crc), count

    def _block(self, size: int, crc: int) -> CodedBlock:
        return CodedBlock(8 * size, f"ldpc:{self.rate / 1024:.6f}", self.modulation, crc=crc)


@functools.cache
def mcs_table() -> tuple[Mcs, ...]:
    """All rows, by rising efficiency."""
    with (Path(__file__).parent / "mcs.csv").open(newline="", encoding="utf-8") as file:
        kept = csv.DictReader(file)
        rows = [Mcs(int(row["index"]), row["modulation"], int(row["rate"]), float(row["snr_db"])) for row in kept]
    return tuple(sorted(rows, key=lambda row: row.efficiency))


def choose_mcs(snr_db: float) -> Mcs:
    """The most efficient row that works over AWGN at this Es/N0; the most robust one if none does."""
    working = [row for row in mcs_table() if row.snr_db <= snr_db]
    return working[-1] if working else mcs_table()[0]
