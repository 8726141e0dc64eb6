"""Cost of eight candidates in one batch by that of eight single passes (denoiser of random weights): a JSON line.

uv run python packages/semcom/experiments/benchmarks/bench_candidates.py
"""

from __future__ import annotations

import numpy as np
import torch
from ninefold.measure import compare, emit
from semcom.multimodal import Request, ResidualDiffusion, Unet


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    generator = ResidualDiffusion(Unet(), steps=5)
    rng = np.random.default_rng(0)
    coarse, text = rng.random((1, 32, 32, 3), dtype=np.float32), rng.normal(size=(1, 16)).astype(np.float32)

    def candidates(count: int) -> np.ndarray:
        one = np.ones(1, bool)
        return generator(Request(coarse, text, one, [None], np.full(1, 5.0), count, 0, np.arange(1)))

    def single_passes() -> None:
        for _ in range(8):
            candidates(1)

    timings = compare({"eight at once": lambda: candidates(8), "eight single passes": single_passes}, repeats=5)
    ratio = timings["eight at once"].seconds / timings["eight single passes"].seconds
    emit(benchmark="eight candidates at once by eight single passes", ratio=round(ratio, 3),
         seconds=timings["eight at once"].seconds, bar=1.1)  # fmt: skip


if __name__ == "__main__":
    main()
