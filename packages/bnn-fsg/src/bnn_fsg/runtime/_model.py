"""Run a `.bnn` file: numpy arrays in and out, no torch anywhere."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ninefold.errors import ArtifactError, InputError

from bnn_fsg.graph import _graph, _sizes
from bnn_fsg.graph._checks import Size
from bnn_fsg.graph._points import POINTS
from bnn_fsg.runtime import _format
from bnn_fsg.runtime._arguments import PLANE
from bnn_fsg.runtime._geometry import Geometry
from bnn_fsg.runtime._layers import (
    BitLayer,
    Finish,
    FloatLayer,
    NotFiniteError,
    in_turn,
    kernels,
    pack_planes,
    pack_signs,
)
from bnn_fsg.runtime._numpy import quiet
from bnn_fsg.runtime._sign_layer import SignLayer

_VALUES = 1 << 18  # numbers of the largest picture inside that are worked on together: 1 MB, which memory is kept for
_UNPACKED = 16  # times the file's bytes, for its arrays in memory: a bit takes a byte there
_UNSTATED = 1 << 30  # bytes that one sample may take for a file that does not state what it needs, as those of 0.1.0


class PackedModel:
    """A packed network, ready to run.

    Attributes:
        input_shape: (channels, height, width), (channels, length) or (features,) of one sample.
        nodes: the operations, as the file has them.
        output_rank: how many dimensions the output has, batch included.
        normalisation: {mean, std, white} of its pictures, or None if not given to `pack`.
        sizes: of each value of one sample, by name.
        memory: bytes that the weights and the values of one sample take at most.
        about: the file's header.
        nbytes: size of the file.
    """

    def __init__(
        self, data: bytes, *, threads: int = 1, backend: str = "auto", path: str | Path = "packed model"
    ) -> None:
        """Use `load`, or `bnn_fsg.pack`; data: the bytes of a `.bnn` file."""
        if threads < 1:
            raise InputError("threads", got=threads, expected="at least 1")
        self._kernels: Any = kernels(backend)
        self._data, self.threads, self.backend = data, threads, backend
        self.about, arrays = _format.decode(data, path)
        try:
            graph = self.about["graph"]
            self.nodes = _graph.parse(graph, arrays)
            self._output, self.output_rank = graph["output"], graph["output_rank"]
            self.sizes = _sizes.infer(graph["input"], self.nodes, self._output, self.output_rank)
            self.input_shape = tuple(graph["input"])
            height, width = (1, 1, *self.input_shape[1:])[-2:]
            self._size = height, width
            self.normalisation = _normalisation(graph.get("normalisation"), self.input_shape[0])
            self.memory = len(data) * _UNPACKED + self._values_and_weights(graph)
            fused = _graph.fuse(_graph.parse(graph, arrays), self._output)
            self._planes = _planes(fused, self._output, self.sizes)
            self._steps = [(node, _step(node, backend, self._planes, self._size)) for node in fused]
        except (KeyError, TypeError, ValueError, InputError) as error:
            raise ArtifactError(path, f"is damaged: its graph makes no sense ({error})") from None
        self._last_use = _last_uses([node for node, _ in self._steps], self._output)
        self._chunk = max(1, _VALUES // (max(one.nbytes for one in self.sizes.values()) // 4))

    def _values_and_weights(self, graph: dict[str, Any]) -> int:
        """Bytes that laid out weights and the values of one sample take; ValueError if the file states another need,
        or there is not so much memory."""
        found, stated = _sizes.value_bytes(self.sizes), graph.get("value_bytes")
        if stated is not None and stated != found:
            raise ValueError(f"the values of one sample take {found} bytes, and it states {stated!r:.60}")
        needed = _sizes.memory(self.nodes, self.sizes, gathered=kernels(self.backend) is kernels("numpy"))
        most = _UNSTATED if stated is None else _machine()
        if needed > most:
            hint = "; it states no need of its own: pack it again" if stated is None else ""
            raise ValueError(f"one sample needs {needed / 1e9:.1f} GB, more than {most / 1e9:.1f} GB{hint}")
        return needed

    @classmethod
    def load(cls, path: str | Path, *, threads: int = 1, backend: str = "auto") -> PackedModel:
        """Read a `.bnn` file.

        Args:
            path: the file.
            threads: processor threads to use when it runs.
            backend: "numba", "numpy", or "auto": numba, or numpy with a warning where numba is missing.
        Raises:
            ArtifactError: with path and reason, if the file is missing, truncated, damaged, foreign or newer.
        """
        return cls(_format.read(path), threads=threads, backend=backend, path=path)

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Write the `.bnn` file, whole or not at all; ArtifactError if it exists and `force` is off."""
        _format.write(path, self._data, force=force)

    @property
    def encoded(self) -> bytes:
        """The bytes of the file."""
        return self._data

    @property
    def nbytes(self) -> int:
        """Size of the file."""
        return len(self._data)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Outputs for a batch.

        Args:
            x: (n, *input_shape) float32, channels first as in torch, finite.
        Returns: float32, shaped as the network's output in torch, e.g. (n, classes).
        Raises: InputError naming what is wrong with x, or the layer whose input is not +1 and -1.
        """
        x = self._checked(x)
        pictures = x.reshape(len(x), x.shape[1], -1)
        step = min(self._chunk, -(-len(x) // self.threads)) if len(x) >= 2 * self.threads else len(x)
        firsts = range(0, len(x), step)
        threads, each = (self.threads, 1) if len(firsts) > 1 else (1, self.threads)
        made: dict[int, np.ndarray] = {}

        def run(first: int) -> None:
            made[first] = self._run(pictures[first : first + step], each)

        try:
            in_turn(run, firsts, threads)
            results = [made[first] for first in firsts]
            whole = results[0] if len(results) == 1 else np.concatenate(results)
            size = whole.shape[2:] if self._output in self._planes else whole.shape[1:3]
            if self._output not in self._planes:
                whole = self._turned(np.ascontiguousarray(whole).reshape(len(x), -1, whole.shape[3]))
        except NotFiniteError:
            raise _not_finite(x) from None
        whole = whole.reshape(len(x), -1, size[0] * size[1])
        shape = (*whole.shape[:2], *size) if self.output_rank == 4 else (*whole.shape[:2], -1)[: self.output_rank]
        return whole.reshape(shape)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """The class with the largest output, (n,) int64."""
        return self(x).argmax(axis=1)

    def prepare(self, pictures: np.ndarray) -> np.ndarray:
        """uint8 (n, height, width, channels), (n, length, channels) or (n, features) as the network's input.

        Raises: InputError for another shape or dtype, or if the file does not say how its pictures were normalised.
        """
        if self.normalisation is None:
            hint = "give mean and std to pack, or normalise the pictures yourself"
            raise InputError("packed model", got="no normalisation in the file", hint=hint)
        expected = (*self.input_shape[1:], self.input_shape[0])
        if pictures.dtype != np.uint8 or pictures.shape[1:] != expected:
            got = f"{pictures.dtype} of shape {pictures.shape}"
            raise InputError("pictures", got=got, expected=f"uint8 (n, {', '.join(map(str, expected))})")
        known = self.normalisation
        mean, std = (np.array(known[key], np.float32) for key in ("mean", "std"))
        x = (pictures.astype(np.float32) / np.float32(known["white"]) - mean) / std
        return np.ascontiguousarray(np.moveaxis(x, -1, 1))

    def _checked(self, x: np.ndarray) -> np.ndarray:
        if not isinstance(x, np.ndarray):
            raise InputError("input", got=type(x).__name__, expected="a numpy array")
        if x.ndim != len(self.input_shape) + 1 or x.shape[1:] != self.input_shape or len(x) == 0:
            expected = f"(n, {', '.join(map(str, self.input_shape))})"
            last = (*self.input_shape[1:], self.input_shape[0])
            hint = "channels come first: x.transpose(0, 3, 1, 2)" if x.shape[1:] == last and x.ndim == 4 else None
            hint = "one sample? x[None]" if x.shape == self.input_shape else hint
            raise InputError("input", got=f"shape {x.shape}", expected=expected, hint=hint)
        if x.dtype != np.float32:
            hint = "the model wants the numbers it was trained on, such as normalised pixels; x.astype(np.float32)"
            raise InputError("input", got=f"dtype {x.dtype}", expected="float32", hint=hint)
        laid_out = x.flags.c_contiguous and x.flags.aligned  # whole numbers of four bytes apart, as the kernels reckon
        return x if laid_out else np.require(x, requirements=["C", "A"])

    def _turned(self, x: np.ndarray) -> np.ndarray:
        """(n, rows, columns) as (n, columns, rows); NotFiniteError for NaN or infinity."""
        count, rows, columns = x.shape
        if min(rows, columns) == 1:
            out, finite = x.reshape(count, columns, rows), np.isfinite(x).all()
        else:
            out = np.empty((count, columns, rows), np.float32)
            finite = self._kernels.turn(x, out)
        if not finite:
            raise NotFiniteError
        return out

    def _run(self, x: np.ndarray, threads: int) -> np.ndarray:
        """x (n, channels, pixels) -> (n, h, w, channels)."""
        values = {"input": self._turned(x).reshape(len(x), *self._size, -1) if "input" not in self._planes else x}
        for index, (node, step) in enumerate(self._steps):
            values[node.output] = step(values, threads)
            for name in self._last_use.get(index, ()):
                del values[name]
        return values[self._output]


def _not_finite(x: np.ndarray) -> InputError:
    """What is wrong where NaN or infinity came up: the input x, or the output."""
    bad = ~np.isfinite(x)
    if not bad.any():
        hint = "the input is far too large"
        return InputError("output of the packed model", got="NaN or infinity", hint=hint)
    place = tuple(int(one) for one in np.argwhere(bad)[0])
    return InputError("input", got="NaN or infinity", expected="finite values", where=f"element {place}")


def _machine() -> int:
    """Bytes of memory that this machine has; a terabyte where it does not say."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 1 << 40


def _last_uses(nodes: list[_graph.Node], output: str) -> dict[int, list[str]]:
    """Which values nothing needs any more after each step."""
    last: dict[str, int] = {}
    for index, node in enumerate(nodes):
        for value in (*node.inputs, *([node.residual] if node.residual else [])):
            last[value] = index
    result: dict[int, list[str]] = {}
    for value, index in last.items():
        if value != output:
            result.setdefault(index, []).append(value)
    return result


def _planes(nodes: list[_graph.Node], output: str, sizes: dict[str, Size]) -> set[str]:
    """Which values have their channels first, as they come or go: the input if signs alone are taken of it, and the
    output of a convolution that nothing else needs."""
    readers: dict[str | None, list[_graph.Node]] = {"input": [], output: []}
    for node in nodes:
        for value in {*node.inputs, node.residual} & set(readers):
            readers[value].append(node)
    found = set()
    signs = all(
        one.op == "conv_bits" and "threshold" in one.arrays and one.residual != "input" for one in readers["input"]
    )
    if signs and output != "input" and sizes["input"].pixels >= PLANE:
        found.add("input")
    made = next((node for node in nodes if node.output == output), None)
    if made and made.op in _graph.CONVOLUTIONS and not readers[output] and sizes[output].pixels >= PLANE:
        found.add(output)
    return found


def _step(
    node: _graph.Node, backend: str, planes: set[str], size: tuple[int, int]
) -> Callable[[dict[str, np.ndarray], int], np.ndarray]:
    """What runs a node: (values, threads) -> its output; `planes` as `_planes` gives them, size of the input."""
    if node.op not in _graph.CONVOLUTIONS:
        point = quiet(POINTS[node.op](node))
        return lambda values, _: point(*(values[name] for name in node.inputs))
    source, residual = node.inputs[0], node.residual
    layer = _layer(node, backend)
    none = np.zeros((0, 0), np.float32)

    def given(values: dict[str, np.ndarray]) -> np.ndarray:
        return values[residual] if residual else none

    flat = node.output in planes
    if isinstance(layer, FloatLayer):
        return lambda values, threads: layer(values[source], given(values), threads, planes=flat)
    signs = _signs(node, layer, backend, size if source in planes else None)
    return lambda values, threads: layer(signs(values[source], threads), given(values), threads, planes=flat)


def _layer(node: _graph.Node, backend: str) -> BitLayer | FloatLayer:
    arrays, settings = node.arrays, node.settings
    pairs = {key: pair(settings.get(key, default)) for key, default in _GEOMETRY.items()}
    geometry, groups = Geometry(**pairs), settings.get("groups", 1)
    weight = arrays["weight" if node.op == "conv" else "bits"]
    width = len(weight)
    ones = np.ones(width, np.float32)
    finish = Finish(arrays.get("scale", ones), arrays.get("shift", 0 * ones), arrays.get("sums"))
    for name, array in node.rectifier.items():
        setattr(finish, name, np.broadcast_to(array, (width,)))
    if node.op != "conv_bits":
        kind = SignLayer if weight.dtype == bool else FloatLayer
        return kind(weight, geometry, groups, finish, backend=backend)
    bound = (arrays["bound"], arrays["turned"]) if "bound" in arrays else None
    offset = float(settings.get("offset", 0.0))
    return BitLayer(weight, geometry, groups, finish, offset=offset, bound=bound, backend=backend)


_GEOMETRY = {"kernel": 1, "stride": 1, "padding": 0, "dilation": 1}


def pair(value: Any) -> tuple[int, int]:
    """A setting of a convolution as (vertical, horizontal)."""
    first, second = value if isinstance(value, list | tuple) else (value, value)
    return first, second


def _normalisation(known: Any, channels: int) -> dict[str, Any] | None:
    """Checked: by channel mean and std, and what stands for 1."""
    if known is None:
        return None
    numbers = [*known["mean"], *known["std"], known["white"]]
    if not all(type(one) in (int, float) and math.isfinite(one) for one in numbers):
        raise ValueError("mean, std or white is no number")
    if len(known["mean"]) != channels or len(known["std"]) != channels or min(*known["std"], known["white"]) <= 0:
        raise ValueError(f"mean and std for another number of channels than {channels}, or a std or white of 0")
    return known


def _signs(
    node: _graph.Node, layer: BitLayer, backend: str, planes: tuple[int, int] | None
) -> Callable[[np.ndarray, int], np.ndarray]:
    """Turns the layer's input into words of bits; `planes`: its size where channels come first, perhaps not finite."""
    channels = layer.channels * layer.groups
    threshold = node.arrays.get("threshold")
    given = np.zeros(channels, np.float32) if threshold is None else np.broadcast_to(threshold, (channels,))
    bounds = np.ascontiguousarray(given, np.float32)

    def signs_of_planes(x: np.ndarray, threads: int) -> np.ndarray:
        words = pack_planes(x, bounds, backend, threads)
        return words.reshape(len(x), *(planes or ()), -1)

    def signs(x: np.ndarray, threads: int) -> np.ndarray:
        if x.dtype == np.uint64:
            return x
        if threshold is None and not (np.abs(x) == 1).all():
            wrong = float(x[np.abs(x) != 1].flat[0])
            raise InputError(f"input of layer {node.name}", got=f"{wrong:g}", expected="+1 or -1 in every place")
        return pack_signs(x, bounds, backend, threads)

    return signs_of_planes if planes else signs
