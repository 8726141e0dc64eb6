"""Channel with equaliser by the cost of its noise draw; memory of a sweep by the number of its blocks: JSON lines.

uv run python packages/semcom/experiments/benchmarks/bench_channel.py
"""

from __future__ import annotations

from ninefold.measure import compare, emit, peak_rss_anon
from semcom.evaluation import channel_calls
from semcom.phy import Point, measure


def main() -> None:
    for spec in ("awgn", "rayleigh:image", "rayleigh:block=64", "rayleigh:block=64,csi=pilot", "rayleigh:symbol"):
        draw, whole = compare(channel_calls(spec)).values()
        low, high = 1 / whole.high, 1 / whole.low
        emit(benchmark=f"channel {spec} / noise draw", ratio=round(1 / whole.ratio, 2), low=round(low, 2),
             high=round(high, 2), seconds_of_draw=draw.seconds)  # fmt: skip
    for blocks in (2000, 20_000):
        point = Point("awgn", 3.0, 155, "ldpc:1/2", "qpsk", "min-sum", blocks, 10**9, 0)
        measure(point)
        with peak_rss_anon() as peak:
            measure(point)
        emit(benchmark=f"peak memory of a process after {blocks} blocks", megabytes=round(peak.peak / 1e6, 1))


if __name__ == "__main__":
    main()
