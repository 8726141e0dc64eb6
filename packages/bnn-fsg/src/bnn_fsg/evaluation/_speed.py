"""Packed against float32, timed in turn in one process: what `bench` and the benchmarks share."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from ninefold.errors import require
from ninefold.measure import Timing, compare

from bnn_fsg.runtime import PackedModel


def model_arms(model: PackedModel, seed: int = 0) -> dict[str, Callable[[], Any]]:
    """Callables that run one sample: float32 in torch first, then the packed model."""
    x = np.random.default_rng(seed).standard_normal((1, *model.input_shape)).astype(np.float32)
    return {"torch float32": _torch(model, x), "packed": lambda: model(x)}


def _torch(model: PackedModel, x: np.ndarray) -> Callable[[], Any]:
    torch = require("torch", "bnn_fsg", "train")
    from bnn_fsg.packing._twin import FloatTwin

    torch.set_num_threads(model.threads)
    twin, tensor = FloatTwin(model).eval(), torch.from_numpy(x)

    def run() -> Any:
        with torch.inference_mode():
            return twin(tensor)

    return run


def timed(arms: dict[str, Callable[[], Any]], repeats: int = 31, seconds: float = 0.02) -> dict[str, Timing]:
    """Time arms in turn, each called so often that one round takes about `seconds`; seconds are of one call."""
    slowest = 0.0
    for arm in arms.values():
        arm()
        start = time.perf_counter()
        arm()
        slowest = max(slowest, time.perf_counter() - start)
    count = max(1, int(seconds / slowest))

    def often(arm: Callable[[], Any]) -> Callable[[], None]:
        def run() -> None:
            for _ in range(count):
                arm()

        return run

    found = compare({name: often(arm) for name, arm in arms.items()}, repeats=repeats)
    return {name: replace(one, seconds=one.seconds / count) for name, one in found.items()}
