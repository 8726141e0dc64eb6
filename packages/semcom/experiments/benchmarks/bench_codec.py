"""Masks a second of the codec, each way, on one core, and how time grows with the number of patches: JSON lines.

uv run python packages/semcom/experiments/benchmarks/bench_codec.py
"""

from __future__ import annotations

import time

from ninefold.measure import compare, emit
from semcom.evaluation import codec_calls

ROWS = 20_000


def cpu_seconds(call) -> float:
    """Least processor time of seven calls: other work on the machine does not count."""
    taken = []
    for _ in range(7):
        start = time.process_time()
        call()
        taken.append(time.process_time() - start)
    return min(taken)


def main() -> None:
    for mode in ("enumerative", "blocks:3,4"):
        calls = codec_calls(mode, 196, ROWS)
        for name, timing in compare(calls).items():
            emit(
                benchmark=f"mask codec {mode}, N = 196, {name}",
                masks_per_second=round(ROWS / timing.seconds),
                masks_per_cpu_second=round(ROWS / cpu_seconds(calls[name])),
            )
    by_size = {n: cpu_seconds(codec_calls("enumerative", n, 2000)["bits to masks"]) for n in (64, 256, 1024)}
    for small, large in ((64, 256), (256, 1024)):
        growth, square = by_size[large] / by_size[small], (large / small) ** 2
        emit(benchmark=f"bits to masks, N = {small} -> {large}", growth=round(growth, 2), n_squared=square)


if __name__ == "__main__":
    main()
