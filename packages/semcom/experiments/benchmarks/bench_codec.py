"""Masks a second of the codec, each way, on one core, and how time grows with the number of patches: JSON lines.

uv run python packages/semcom/experiments/benchmarks/bench_codec.py
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from ninefold.measure import compare, emit
from semcom.paper import MaskCodec

ROWS = 20_000


def codec_calls(patches: int, rows: int) -> dict[str, Callable[[], Any]]:
    """Encoding and decoding of masks, by name."""
    codec = MaskCodec(patches, 0.75)
    bits = np.random.default_rng(0).integers(0, 2, (rows, codec.capacity_bits), dtype=np.uint8)
    masks = codec.encode(bits)
    return {"bits to masks": lambda: codec.encode(bits), "masks to bits": lambda: codec.decode(masks)}


def cpu_seconds(call) -> float:
    """Least processor time of seven calls: other work on the machine does not count."""
    taken = []
    for _ in range(7):
        start = time.process_time()
        call()
        taken.append(time.process_time() - start)
    return min(taken)


def main() -> None:
    calls = codec_calls(196, ROWS)
    for name, timing in compare(calls).items():
        emit(
            benchmark=f"mask codec, N = 196, {name}",
            masks_per_second=round(ROWS / timing.seconds),
            masks_per_cpu_second=round(ROWS / cpu_seconds(calls[name])),
        )
    by_size = {n: cpu_seconds(codec_calls(n, 2000)["bits to masks"]) for n in (64, 256, 1024)}
    for small, large in ((64, 256), (256, 1024)):
        growth, square = by_size[large] / by_size[small], (large / small) ** 2
        emit(benchmark=f"bits to masks, N = {small} -> {large}", growth=round(growth, 2), n_squared=square)


if __name__ == "__main__":
    main()
