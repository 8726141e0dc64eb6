"""Channel with equaliser by the cost of its noise draw; memory of a sweep by the number of its blocks: JSON lines.

uv run python packages/semcom/experiments/benchmarks/bench_channel.py
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from ninefold.measure import compare, emit
from ninefold_testing import peak_rss_anon
from semcom.phy import Channel, Point, complex_noise, measure


def channel_calls(spec: str, rows: int = 200, count: int = 1168) -> dict[str, Callable[[], Any]]:
    """The noise draw alone, and channel with equaliser; for fading of each symbol the gains are drawn too."""
    rng = np.random.default_rng(0)
    symbols, channel = complex_noise((rows, count), rng), Channel.from_spec(spec)
    draws = 2 if channel.grain == "symbol" and channel.kind != "awgn" else 1

    def draw() -> None:
        for _ in range(draws):
            complex_noise((rows, count), rng)

    return {"noise draw": draw, "channel and equaliser": lambda: channel.apply(symbols, 5.0, rng)}


def main() -> None:
    for spec in ("awgn", "rayleigh:image", "rayleigh:block=64", "rayleigh:block=64,csi=pilot", "rayleigh:symbol"):
        draw, whole = compare(channel_calls(spec)).values()
        low, high = 1 / whole.high, 1 / whole.low
        emit(benchmark=f"channel {spec} / noise draw", ratio=round(1 / whole.ratio, 2), low=round(low, 2),
             high=round(high, 2), seconds_of_draw=draw.seconds)  # fmt: skip
    for blocks in (2000, 20_000):
        point = Point("awgn", 3.0, 155, "ldpc:1/2", "qpsk", blocks, 10**9, 0)
        measure(point)
        with peak_rss_anon() as peak:
            measure(point)
        emit(benchmark=f"peak memory of a process after {blocks} blocks", megabytes=round(peak.peak / 1e6, 1))


if __name__ == "__main__":
    main()
