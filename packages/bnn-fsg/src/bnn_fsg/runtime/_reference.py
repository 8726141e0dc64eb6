"""The graph in numpy: the reference that the library agrees with bit for bit, and what runs where there is none.

Sums of signs are exact in float32 whatever their order, so that a product of matrices makes them. Sums of numbers are
made in the library's order: by rows and columns of the kernel, then channels; by signs four channels at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from ninefold.errors import InputError

from bnn_fsg.graph._checks import Size
from bnn_fsg.graph._graph import CONVOLUTIONS, Node
from bnn_fsg.graph._points import POINTS
from bnn_fsg.runtime._layer import Layer, layer_of

quiet = np.errstate(over="ignore", invalid="ignore")  # what overflows is refused with the output
_EXACT = 1 << 24  # whole numbers that float32 tells apart
_SIGNS = np.array([[1 if entry >> bit & 1 else -1 for entry in range(16)] for bit in range(4)], np.float32)


class Reference:
    """Runs nodes in order on arrays (n, h, w, channels)."""

    def __init__(
        self, nodes: Sequence[Node], output: str, sizes: Mapping[str, Size], normalisation: Mapping[str, Any] | None
    ) -> None:
        """`normalisation`: where the input is uint8 pictures, as `layer_of` takes it."""
        self._output = output
        self._steps = [(node, _step(node, sizes, normalisation)) for node in nodes]
        self._last_use = _last_uses(nodes, output)

    @quiet
    def __call__(self, x: np.ndarray) -> np.ndarray:
        """x (n, h, w, channels) float32 or uint8 -> the output, (n, h, w, channels) float32."""
        values = {"input": x}
        for index, (node, step) in enumerate(self._steps):
            residual = [values[node.residual]] if node.residual else []
            values[node.output] = step(*(values[name] for name in node.inputs), *residual)
            for name in self._last_use.get(index, ()):
                del values[name]
        return values[self._output]


def _last_uses(nodes: Sequence[Node], output: str) -> dict[int, list[str]]:
    """Which values nothing needs any more after each step."""
    last: dict[str, int] = {}
    for index, node in enumerate(nodes):
        last[node.output] = index
        for value in (*node.inputs, *([node.residual] if node.residual else [])):
            last[value] = index
    result: dict[int, list[str]] = {}
    for value, index in last.items():
        if value != output:
            result.setdefault(index, []).append(value)
    return result


def _step(node: Node, sizes: Mapping[str, Size], normalisation: Mapping[str, Any] | None) -> Callable[..., np.ndarray]:
    if node.op not in CONVOLUTIONS:
        return POINTS[node.op](node)
    source = node.inputs[0]
    layer = layer_of(node, sizes[source], normalisation if source == "input" else None)
    return lambda x, *residual: run(layer, x, *residual)


def run(layer: Layer, x: np.ndarray, residual: np.ndarray | None = None) -> np.ndarray:
    """A convolution: x (n, h, w, channels) float32, uint8, or bool where it is kept as bits.

    Returns: (n, height, width, out) float32, or bool where the layer keeps bits.
    Raises: InputError if the layer takes no signs and an input is not +1 or -1.
    """
    if layer.kind == "bits":
        x = _signs(layer, x)
    sums = {"bits": _exact, "octets": _exact, "signs": _by_fours, "numbers": _in_order}[layer.kind](layer, x)
    if layer.keeps is not None:
        return (sums >= layer.keeps[0]) ^ layer.keeps[1]
    y = sums.astype(np.float32) * layer.scale
    shift = layer.shift[layer.bound.classes] if len(layer.shift) > 1 else layer.shift[0]
    if layer.sums is not None:
        shift = np.repeat(_totals(layer, x), layer.width // layer.groups, axis=-1) * layer.sums + shift
    y = y + shift
    if residual is not None:
        y = y + residual
    if layer.rectifier is not None:
        before, positive, negative, after = layer.rectifier
        y = y + before
        y = y * np.where(y > 0, positive, negative) + after
    return y


def _signs(layer: Layer, x: np.ndarray) -> np.ndarray:
    """The input as float32 +1 and -1."""
    if x.dtype != bool and layer.threshold is None and not (np.abs(x) == 1).all():
        wrong = float(x[np.abs(x) != 1].flat[0])
        raise not_a_sign(layer.name, wrong)
    bits = x if x.dtype == bool else x >= (np.float32(0) if layer.threshold is None else layer.threshold)
    return bits.astype(np.float32) * 2 - 1


def not_a_sign(name: str, wrong: float) -> InputError:
    """What is wrong where a layer of bits is given another number."""
    return InputError(f"input of layer {name}", got=f"{wrong:g}", expected="+1 or -1 in every place")


def _taps(layer: Layer, height: int, width: int) -> list[tuple[int, slice, slice, slice, slice]]:
    """(step, input rows, input columns, output rows, output columns) of each of the kernel's steps, in order."""
    geometry, found = layer.geometry, []
    for i in range(geometry.kernel[0]):
        rows, down = geometry.outputs_of(0, i, height, layer.bound.size[0])
        for j in range(geometry.kernel[1]):
            columns, across = geometry.outputs_of(1, j, width, layer.bound.size[1])
            if down.stop > down.start and across.stop > across.start:
                found.append((i * geometry.kernel[1] + j, rows, columns, down, across))
    return found


def _exact(layer: Layer, x: np.ndarray) -> np.ndarray:
    """Sums of whole numbers, (n, height, width, out) int32."""
    many = layer.kind == "octets" or layer.geometry.taps * layer.channels >= _EXACT
    kind, each, channels = np.float64 if many else np.float32, layer.width // layer.groups, layer.channels
    weight = layer.weight * 2.0 - 1 if layer.kind == "bits" else layer.weight
    weight, out = weight.astype(kind), np.zeros((len(x), *layer.bound.size, layer.width), kind)
    for tap, rows, columns, down, across in _taps(layer, *x.shape[1:3]):
        for group in range(layer.groups):
            mine = slice(group * each, (group + 1) * each)
            part = x[:, rows, columns, group * channels : (group + 1) * channels].astype(kind, copy=False)
            out[:, down, across, mine] += part @ weight[mine, tap].T
    return out.astype(np.int32)


def _totals(layer: Layer, x: np.ndarray) -> np.ndarray:
    """Sums of the inputs under the kernel, (n, height, width, groups) float32."""
    parts = x.reshape(*x.shape[:3], layer.groups, layer.channels)
    if layer.kind == "signs":
        tables, total = _tables(parts)[..., 15], np.zeros((len(x), *layer.bound.size, layer.groups), np.float32)
        for _, rows, columns, down, across in _taps(layer, *x.shape[1:3]):
            for four in range(tables.shape[-1]):
                total[:, down, across] += tables[:, rows, columns, :, four]
        return total
    ones, total = parts.sum(-1, dtype=np.float64), np.zeros((len(x), *layer.bound.size, layer.groups))
    for _, rows, columns, down, across in _taps(layer, *x.shape[1:3]):
        total[:, down, across] += ones[:, rows, columns]
    return total.astype(np.float32)


def _tables(parts: np.ndarray) -> np.ndarray:
    """(..., channels) as (..., fours, 16): the sums +-a +-b +-c +-d of each four; bit 0 of an entry says + of a."""
    parts = np.pad(parts, [*[(0, 0)] * (parts.ndim - 1), (0, -parts.shape[-1] % 4)])
    a, b, c, d = np.moveaxis(parts.reshape(*parts.shape[:-1], -1, 4, 1), -2, 0)
    return (a * _SIGNS[0] + b * _SIGNS[1]) + (c * _SIGNS[2] + d * _SIGNS[3])


def entries_of(weight: np.ndarray) -> np.ndarray:
    """(out, taps, channels) bool as (out, taps, fours) uint8: which sum of four a filter adds."""
    padded = np.pad(weight, [(0, 0), (0, 0), (0, -weight.shape[2] % 4)])
    fours = padded.reshape(*padded.shape[:2], -1, 4)
    return np.packbits(fours, axis=-1, bitorder="little")[..., 0]


def _by_fours(layer: Layer, x: np.ndarray) -> np.ndarray:
    """Numbers by signs, (n, height, width, out) float32."""
    each, entries = layer.width // layer.groups, entries_of(layer.weight)
    out = np.zeros((len(x), *layer.bound.size, layer.width), np.float32)
    for group in range(layer.groups):
        mine = slice(group * each, (group + 1) * each)
        tables = _tables(x[..., group * layer.channels : (group + 1) * layer.channels])
        for tap, rows, columns, down, across in _taps(layer, *x.shape[1:3]):
            for four in range(tables.shape[-2]):
                out[:, down, across, mine] += tables[:, rows, columns, four].take(entries[mine, tap, four], axis=-1)
    return out


def _in_order(layer: Layer, x: np.ndarray) -> np.ndarray:
    """Numbers by numbers, (n, height, width, out) float32."""
    each = layer.width // layer.groups
    out = np.zeros((len(x), *layer.bound.size, layer.width), np.float32)
    parts = x.reshape(*x.shape[:3], layer.groups, layer.channels)
    weight = layer.weight.reshape(layer.groups, each, layer.geometry.taps, layer.channels)
    for tap, rows, columns, down, across in _taps(layer, *x.shape[1:3]):
        for channel in range(layer.channels):
            products = parts[:, rows, columns, :, channel, None] * weight[:, :, tap, channel]
            out[:, down, across] += products.reshape(*products.shape[:3], -1)
    return out
