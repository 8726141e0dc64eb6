"""One token through ternary layers, and through a model of BitNet's shape: beside torch bfloat16 and int8, a JSON line each.

    OMP_NUM_THREADS=1 python packages/bnn-fsg/experiments/benchmarks/bench_ternary.py

One thread; times are of the processor (`thread_time`), the least of many rounds, arms in turn.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
from bnn_fsg import TernaryLinear
from ninefold.measure import emit

SHAPES = ((6912, 2560), (2560, 6912), (2560, 2560))


def least(arms: dict[str, Callable[[], object]], rounds: int = 30) -> dict[str, float]:
    """Microseconds of one call of each."""
    found = dict.fromkeys(arms, float("inf"))
    for _ in range(rounds):
        for name, arm in arms.items():
            start = time.thread_time()
            for _ in range(5):
                arm()
            found[name] = min(found[name], (time.thread_time() - start) / 5 * 1e6)
    return found


def main() -> None:
    torch.set_num_threads(1)
    for outputs, inputs in SHAPES:
        generator = np.random.default_rng(0)
        weight = generator.integers(-1, 2, (outputs, inputs)).astype(np.int8)
        x = generator.standard_normal((1, inputs)).astype(np.float32)
        layer = TernaryLinear.of_ternary(weight)
        half, token = torch.from_numpy(weight).bfloat16(), torch.from_numpy(x).bfloat16()
        octets = torch.ops.quantized.linear_prepack(
            torch.quantize_per_tensor(torch.from_numpy(weight).float(), 1.0, 0, torch.qint8), None
        )

        def eager(token: torch.Tensor = token, half: torch.Tensor = half) -> object:
            with torch.inference_mode():
                return torch.nn.functional.linear(token, half)

        def int8(x: torch.Tensor = torch.from_numpy(x), octets: object = octets) -> object:
            with torch.inference_mode():
                return torch.ops.quantized.linear_dynamic(x, octets)

        times = least({"torch bf16": eager, "torch int8": int8, "ternary": lambda layer=layer, x=x: layer(x)})
        emit(
            bench=f"ternary {outputs} x {inputs}, one token", kernels=layer.kernels, unit="microseconds",
            **{name: round(one) for name, one in times.items()},
        )  # fmt: skip


if __name__ == "__main__":
    main()
