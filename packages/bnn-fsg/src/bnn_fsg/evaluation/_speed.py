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
from bnn_fsg.runtime._geometry import Geometry
from bnn_fsg.runtime._layers import BitLayer, Finish, pack_signs

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


def product_arms(rows: int, inner: int, columns: int, against: Iterable[str], threads: int = 1) -> dict[str, Any]:
    """A product (rows, inner) by (inner, columns) of signs, given as bits; rivals have floats or int8."""
    generator = np.random.default_rng(0)
    signs, weight = (generator.random(shape) < 0.5 for shape in ((rows, inner), (columns, inner)))
    layer = BitLayer(weight[:, None], Geometry(), 1, Finish(np.ones(columns), np.zeros(columns)))
    words = pack_signs(np.where(signs, 1, -1).astype(np.float32)[:, None, None], np.zeros(inner, np.float32))
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
    arms["packed"] = lambda: layer(words, threads=threads, exact=True)
    return arms


def convolution_arms(channels: int, size: int, threads: int = 1, kernel: int = 3) -> dict[str, Any]:
    """A 3x3 convolution of one picture, channels to channels; packed starts from floats: sign and pack are in it."""
    torch = require("torch", "bnn_fsg", "train")
    torch.set_num_threads(threads)
    generator = np.random.default_rng(0)
    weight = generator.random((channels, kernel, kernel, channels)) < 0.5
    geometry = Geometry((kernel, kernel), padding=(kernel // 2, kernel // 2))
    finish = Finish(np.ones(channels), np.zeros(channels))
    layer = BitLayer(weight.reshape(channels, -1, channels), geometry, 1, finish)
    x = generator.standard_normal((1, size, size, channels)).astype(np.float32)
    zero = np.zeros(channels, np.float32)
    picture = torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))
    filters = torch.from_numpy(np.where(weight, 1, -1).astype(np.float32).transpose(0, 3, 1, 2).copy())

    def floats() -> Any:
        with torch.inference_mode():
            return torch.nn.functional.conv2d(picture, filters, padding=kernel // 2)

    return {"torch float32": floats, "packed": lambda: layer(pack_signs(x, zero, threads=threads), threads=threads)}


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
