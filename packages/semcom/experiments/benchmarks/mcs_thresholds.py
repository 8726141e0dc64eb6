"""Measures the SNR from which each modulation and code rate works, as `semcom/phy/mcs.csv` has it: the file's lines.

uv run python packages/semcom/experiments/benchmarks/mcs_thresholds.py > mcs.csv

With names of rows (`12`, `2/20`) after it, those lines alone. `--gap` prints each row's distance at a block error rate
of .001 from the normal approximation of the constellation's capacity instead.
"""

from __future__ import annotations

import sys
from statistics import NormalDist

import numpy as np
from semcom.phy import Channel, Modulation, TransportBlock, mcs_table
from semcom.phy._modulation import _axis
from semcom.phy._transport import SIZES, Mcs

TRIALS = {100: 2000, 400: 1200, 1600: 600, 8000: 200}
"""Blocks of each size, of which one in 200 may fail."""


def block_of(row: Mcs, size: int) -> TransportBlock:
    """One code block of about `size` information bits, checks included."""
    return row.transport(round(size / row.efficiency))


def failures(block: TransportBlock, snr: float, blocks: int, seed: int, most: int) -> int:
    """Blocks that fail, of so many that are sent or fewer: the count ends with the batch that has `most`."""
    rng, failed = np.random.default_rng([seed, round(1000 * (snr + 50))]), 0
    for begin in range(0, blocks, 32):
        bits = rng.integers(0, 2, (min(32, blocks - begin), block.bits), dtype=np.uint8)
        received = Channel().apply(block.send(bits), snr, rng)
        found, good = block.receive(received.unbiased, received.noise)
        failed += int((~good | (found != bits).any(axis=1)).sum())
        if failed >= most:
            break
    return failed


def threshold(row: Mcs, size: int, seed: int = 0) -> float:
    """Lowest Es/N0 on a grid of .1 dB at which at most one block in 200 fails, and .1 dB above it."""
    capacity = 10 * np.log10(2**row.efficiency - 1)
    low, high = round(capacity, 1), round(capacity, 1) + (5.0 if size > 1000 else 8.0)
    while high - low > 0.15:
        middle = round((low + high) / 2, 1)
        allowed = TRIALS[size] // 200
        failed = failures(block_of(row, size), middle, TRIALS[size], seed, allowed + 1) > allowed
        low, high = (middle, high) if failed else (low, middle)
    return round(high + 0.1, 1)


def normal_snr(modulation: Modulation, symbols: int, bits: int, target: float) -> float:
    """Es/N0 in dB at which the normal approximation (Polyanskiy 2010) sends `bits` bits, error rate `target`."""
    points, weights = np.polynomial.hermite_e.hermegauss(96)
    levels = _axis(modulation.bits // 2)[0] * np.sqrt(1.5 / (2**modulation.bits - 1))
    quantile = -NormalDist().inv_cdf(target)

    def most(snr: float) -> float:
        """Bits at this SNR: information density of a real axis by Gauss-Hermite quadrature, twice."""
        spread = np.sqrt(0.5 * 10 ** (-snr / 10))
        received = levels[:, None] + spread * points
        squares = (received[..., None] - levels) ** 2 / (2 * spread**2)
        density = np.log2(len(levels)) - points**2 / 2 / np.log(2) - np.log2(np.exp(-squares).sum(-1))
        share = np.broadcast_to(weights / weights.sum() / len(levels), density.shape)
        mean = float((share * density).sum())
        variance = float((share * density**2).sum()) - mean**2
        return 2 * symbols * mean - np.sqrt(2 * symbols * variance) * quantile + 0.5 * np.log2(symbols)

    low, high = -20.0, 40.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if most(middle) >= bits else (middle, high)
    return high


def gap(row: Mcs, size: int = 8000, target: float = 1e-3) -> float:
    """Es/N0 in dB beyond the normal approximation at a block error rate of `target`, on a grid of .05 dB."""
    block = block_of(row, size)
    best = normal_snr(Modulation(row.modulation), block.symbols, block.bits + 24, target)
    snr = np.ceil(20 * best) / 20
    while failures(block, snr, round(8 / target), 1, 9) > 8:
        snr += 0.05
    return float(snr - best)


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if word != "--gap"]
    rows = [
        row for row in sorted(mcs_table(), key=lambda one: (one.table, one.index)) if row.name in words or not words
    ]
    if "--gap" in sys.argv:
        print("row,gap_db")
        for row in rows:
            print(f"{row.name},{gap(row):.2f}", flush=True)
    else:
        if not words:
            print("table,index,modulation,rate," + ",".join(f"snr_{size}" for size in SIZES))
        for row in rows:
            found = ",".join(str(threshold(row, size)) for size in SIZES)
            print(f"{row.table},{row.index},{row.modulation},{row.rate:g},{found}", flush=True)
