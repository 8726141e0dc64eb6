"""Measures the SNR from which each modulation and code rate works, as `semcom/phy/mcs.csv` has it: the file's lines.

uv run python packages/semcom/experiments/benchmarks/mcs_thresholds.py > mcs.csv
"""

from __future__ import annotations

import numpy as np
from semcom.phy import Channel, CodedBlock, Modulation, mcs_table

BITS = 8000


def threshold(modulation: str, rate: int, blocks: int = 160, seed: int = 0) -> float:
    """Lowest Es/N0 on a grid of .1 dB at which no block fails, and .1 dB above it."""
    bits = BITS - 24 if rate / 1024 <= 0.93 else 7000
    block = CodedBlock(bits, f"ldpc:{rate / 1024:.6f}", modulation, crc=24)
    capacity = 10 * np.log10(2 ** (Modulation(modulation).bits * rate / 1024) - 1)
    low, high = round(capacity, 1), round(capacity, 1) + 6.0

    def fails(snr: float) -> bool:
        rng = np.random.default_rng([seed, round(1000 * (snr + 50))])
        sent = rng.integers(0, 2, (blocks, bits), dtype=np.uint8)
        for part in np.split(sent, range(20, blocks, 20)):
            received = Channel().apply(block.send(part), snr, rng)
            if not block.receive(received.unbiased, received.noise)[1].all():
                return True
        return False

    while high - low > 0.15:
        middle = round((low + high) / 2, 1)
        low, high = (middle, high) if fails(middle) else (low, middle)
    return round(high + 0.1, 1)


if __name__ == "__main__":
    print("index,modulation,rate,snr_db")
    for row in sorted(mcs_table(), key=lambda one: one.index):
        print(f"{row.index},{row.modulation},{row.rate},{threshold(row.modulation, row.rate)}")
