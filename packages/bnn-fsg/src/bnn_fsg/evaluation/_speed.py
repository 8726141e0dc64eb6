"""Packed against float32 and onnxruntime, timed in turn in one process: what `bench` and the benchmarks share."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from ninefold.errors import InputError, require
from ninefold.measure import Timing, compare

from bnn_fsg.runtime import PackedModel

RIVALS = ("float32", "onnx", "numpy")


def chosen(against: str) -> list[str]:
    """Rivals named in a comma-separated list; InputError for an unknown one."""
    names = [one.strip() for one in against.split(",") if one.strip()]
    unknown = [one for one in names if one not in RIVALS]
    if unknown:
        raise InputError("--against", got=", ".join(unknown), expected=f"some of {', '.join(RIVALS)}")
    return names


def model_arms(model: PackedModel, batch: int, against: Iterable[str], seed: int = 0) -> dict[str, Callable[[], Any]]:
    """Callables that run one batch: rivals first, then the packed model."""
    x = np.random.default_rng(seed).standard_normal((batch, *model.input_shape)).astype(np.float32)
    arms: dict[str, Callable[[], Any]] = {}
    for name in against:
        if name == "numpy":
            plain = PackedModel(model.encoded, threads=1, backend="numpy")
            arms["packed, by numpy"] = lambda plain=plain: plain(x)
        elif name == "onnx":
            arms["onnxruntime"] = _onnx(model, x)
        else:
            arms["torch float32"] = _torch(model, x)
    arms["packed"] = lambda: model(x)
    return arms


def _torch(model: PackedModel, x: np.ndarray) -> Callable[[], Any]:
    torch = require("torch", "bnn_fsg", "train")
    from bnn_fsg.packing._twin import FloatTwin

    torch.set_num_threads(model.threads)
    twin, tensor = FloatTwin(model).eval(), torch.from_numpy(x)

    def run() -> Any:
        with torch.inference_mode():
            return twin(tensor)

    return run


def _onnx(model: PackedModel, x: np.ndarray) -> Callable[[], Any]:
    runtime = require("onnxruntime", "bnn_fsg", "onnx")
    from bnn_fsg.export._onnx import export_onnx

    options = runtime.SessionOptions()
    options.intra_op_num_threads = model.threads
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        export_onnx(model, path)
        session = runtime.InferenceSession(str(path), options)
    return lambda: session.run(None, {"input": x})


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
