"""Packed against float32, int8 and onnxruntime, timed in turn in one process: what `bench` and the benchmarks share."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from ninefold.errors import InputError, require
from ninefold.measure import Timing, compare

from bnn_fsg.runtime import PackedModel
from bnn_fsg.runtime._format import encode

RIVALS = ("float32", "int8", "onnx", "numpy")


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
            arms[f"torch {name}"] = _torch(model, x, name)
    arms["packed"] = lambda: model(x)
    return arms


def _torch(model: PackedModel, x: np.ndarray, form: str) -> Callable[[], Any]:
    torch = require("torch", "bnn_fsg", "train")
    if form == "int8":
        raise InputError("--against", got="int8", expected="float32, onnx or numpy for whole models: torch has no int8 "
                         "form of every layer (int8 is timed for matrices: bench without a model)")  # fmt: skip
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


def bit_layer(channels: int, columns: int, height: int, width: int, kernel: int = 1) -> tuple[PackedModel, np.ndarray]:
    """(packed model of one layer of bits that takes its input's signs, its weights (columns, taps, channels))."""
    weight = np.random.default_rng(0).random((columns, kernel * kernel, channels)) < 0.5
    node = {"op": "conv_bits", "in": ["input"], "out": "a", "kernel": [kernel] * 2, "padding": [kernel // 2] * 2}
    arrays = {
        "a.bits": weight, "a.scale": np.ones(columns, np.float32), "a.shift": np.zeros(columns, np.float32),
        "a.threshold": np.zeros(1, np.float32),
    }  # fmt: skip
    graph = {"input": [channels, height, width], "output": "a", "output_rank": 4, "nodes": [node]}
    return PackedModel(encode(graph, arrays)), weight


def product_arms(rows: int, inner: int, columns: int, against: Iterable[str], threads: int = 1) -> dict[str, Any]:
    """A product (rows, inner) by (inner, columns) of signs, rivals from floats or int8; packed starts from floats with
    the inner axis first, so that taking signs is in it, and ends in floats."""
    layer, weight = bit_layer(inner, columns, 1, rows)
    layer.threads = threads
    signs = np.random.default_rng(1).random((rows, inner)) < 0.5
    weight = weight[:, 0]
    arms: dict[str, Any] = {}
    a, b = (np.where(one, 1, -1).astype(np.int8) for one in (signs, weight.T))
    torch = require("torch", "bnn_fsg", "train")
    torch.set_num_threads(threads)
    if "float32" in against:
        left, right = torch.from_numpy(a).float(), torch.from_numpy(np.ascontiguousarray(b)).float()
        arms["torch float32"] = lambda: torch.mm(left, right)
    if "int8" in against:
        small, other = torch.from_numpy(a), torch.from_numpy(np.ascontiguousarray(weight * 2 - 1).astype(np.int8)).t()
        arms["torch int8"] = lambda: torch._int_mm(small, other)
    x = np.ascontiguousarray(a.T.astype(np.float32))[None, :, None]
    arms["packed"] = lambda: layer(x)
    return arms


def convolution_arms(channels: int, size: int, threads: int = 1, kernel: int = 3) -> dict[str, Any]:
    """A 3x3 convolution of one picture, channels to channels; packed from floats to floats: sign and pack are in it."""
    torch = require("torch", "bnn_fsg", "train")
    torch.set_num_threads(threads)
    layer, weight = bit_layer(channels, channels, size, size, kernel)
    layer.threads = threads
    x = np.random.default_rng(1).standard_normal((1, channels, size, size)).astype(np.float32)
    signs = np.where(weight, 1, -1).astype(np.float32).reshape(channels, kernel, kernel, channels)
    picture, filters = torch.from_numpy(x), torch.from_numpy(signs.transpose(0, 3, 1, 2).copy())

    def floats() -> Any:
        with torch.inference_mode():
            return torch.nn.functional.conv2d(picture, filters, padding=kernel // 2)

    return {"torch float32": floats, "packed": lambda: layer(x)}


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
    return {
        name: Timing(name, one.seconds / count, one.ratio, one.low, one.high, one.rounds) for name, one in found.items()
    }
