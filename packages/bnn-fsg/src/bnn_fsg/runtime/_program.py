"""A graph as steps of the library: memory planned, weights laid out, signs taken where a value is made.

One arena holds a sample: values of float32 share memory in turn, pictures of bits have their own with a
frame of zeros. What the library has no kernel for is done by numpy between two parts of the program.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bnn_fsg.graph._checks import Size
from bnn_fsg.graph._graph import CONVOLUTIONS, Node
from bnn_fsg.graph._points import POINTS, divisors
from bnn_fsg.runtime._layer import Layer, layer_of
from bnn_fsg.runtime._layout import (
    ROOM,
    Arena,
    Bits,
    aligned,
    bit_panels,
    number_panels,
    octet_panels,
    sign_panels,
    table,
)
from bnn_fsg.runtime._native import FIELDS, FLAGS, OPERATIONS, library
from bnn_fsg.runtime._reference import quiet

_FEW = 8  # rows that are too few to be shared evenly, panels that are enough
INPUT, OUTPUT, EVERY_TILE = -1, -2, False  # True: tiles for any layer that can have them, quicker or not
_POINTS = {
    "affine", "rectify", "clip", "add", "multiply", "max_pool", "average_pool", "mean", "flatten", "pick", "concat",
}  # fmt: skip
_LANES = 16


@dataclass
class Step:
    """A row for the library, or a function of numpy; `name` and `kind` say whom a report is about."""

    values: dict[str, int] = field(default_factory=dict)
    function: Callable[[np.ndarray], None] | None = None  # given the arena
    name: str = ""
    kind: str = ""


class Program:
    """Steps for one kind of input.

    Attributes:
        steps: in order.
        matrix: (steps, fields) int64, rows of zeros where numpy works.
        parts: [(first, last, function or None)] of the matrix, in order.
        size: bytes of the arena for one thread; each further thread takes `scratch` more.
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        output: str,
        sizes: Mapping[str, Size],
        kernels: str,
        normalisation: Mapping[str, Any] | None = None,
    ) -> None:
        """nodes as `_graph.fuse` gives them; `normalisation`: where the input is uint8 pictures, channels last."""
        self._nodes, self._sizes, self._output, self._kernels = list(nodes), sizes, output, kernels
        self._octets = normalisation
        self._layers: dict[str, Layer] = {}
        for node in self._nodes:
            if node.op in CONVOLUTIONS:
                given = normalisation if node.inputs[0] == "input" else None
                self._layers[node.output] = layer_of(node, sizes[node.inputs[0]], given)
        self._uses = _uses(self._nodes, output)
        self._keep: list[np.ndarray] = []
        self._arena, self._places, self.scratch = Arena(), {}, 0
        self._bits: dict[str, dict[Any, Bits]] = {}
        self.steps: list[Step] = []
        self._plan_bits()
        self._plan()
        self.matrix = np.array([[step.values.get(name, 0) for name in FIELDS] for step in self.steps], np.int64)
        made: Any = library()
        tiles = made.bnn_tiles(self.matrix.ctypes.data, len(self.steps), EVERY_TILE) if kernels == "amx" else 0
        self.scratch = -(-max(self.scratch, tiles) // ROOM) * ROOM
        self.scratch_at = self._arena.size
        self.size = self._arena.size + self.scratch
        self.parts = self._parts()

    def _parts(self) -> list[tuple[int, int, Callable[[np.ndarray], None] | None]]:
        parts: list[tuple[int, int, Callable[[np.ndarray], None] | None]] = []
        first = 0
        for index, step in enumerate(self.steps):
            if step.function is not None:
                parts += [(first, index, None)] * (index > first) + [(index, index + 1, step.function)]
                first = index + 1
        return parts + [(first, len(self.steps), None)] * (len(self.steps) > first)

    def _plan_bits(self) -> None:
        """The pictures of bits that layers ask for, by value and by what is taken of it."""
        for node in self._nodes:
            layer = self._layers.get(node.output)
            if layer is None or layer.kind != "bits":
                continue
            key = _key(layer)
            found = self._bits.setdefault(node.inputs[0], {})
            size = self._sizes[node.inputs[0]]
            one = found.setdefault(key, Bits(size, layer.groups, key[2], layer.threshold, layer.name))
            one.need(layer)
        for found in self._bits.values():
            for one in found.values():
                one.place(self._arena)

    def _plan(self) -> None:
        self._begin()
        for index, node in enumerate(self._nodes):
            if node.op in CONVOLUTIONS:
                self._convolution(node)
            elif node.op in _POINTS:
                self._point(node)
            else:
                self._by_numpy(node)
            for name in self._uses.ends.get(index, ()):
                self._free(name)
        self._end()

    # -- values

    def _value(self, name: str) -> int:
        """Where a value of float32 stands; memory is reserved for it."""
        if name not in self._places:
            size = self._sizes[name]
            self._places[name] = self._arena.take(4 * size.pixels * size.channels)
        return self._places[name]

    def _free(self, name: str) -> None:
        if self._places.get(name, -1) >= 0:
            size = self._sizes[name]
            self._arena.give(self._places[name], 4 * size.pixels * size.channels)

    def _address(self, array: np.ndarray) -> int:
        kept = aligned(array)
        self._keep.append(kept)
        return kept.ctypes.data

    def _add(self, op: str, values: dict[str, int], flags: Sequence[str] = (), name: str = "", kind: str = "") -> None:
        given = {"op": OPERATIONS[op], "flags": sum(FLAGS[flag] for flag in flags)}
        self.steps.append(Step({**values, **given}, None, name, kind))

    def _size(self, name: str) -> dict[str, int]:
        size = self._sizes[name]
        return {"h": size.height, "w": size.width, "c": size.channels}

    def _begin(self) -> None:
        """The caller's pictures as values; signs alone are taken of them where nothing else is."""
        if self._octets is not None:
            self._places["input"] = INPUT
            return
        keys = self._bits.get("input", {})
        planes = keys and "input" not in self._uses.floats
        if planes and all(one.by_planes and one.threshold is not None for one in keys.values()):
            for one in keys.values():
                self._pack("pack_planes", "input", one, INPUT, kind="input")
            return
        where = self._value("input")
        size = self._size("input")
        self._add("turn_in", {"rows": size["h"], **size, "in": INPUT, "out": where}, kind="input")
        for one in keys.values():
            self._pack("pack", "input", one, where)

    def _end(self) -> None:
        if any(step.kind == "output" for step in self.steps):  # its own layer wrote it
            return
        size = self._size(self._output)
        given = {"rows": size["h"], **size, "in": self._value(self._output), "out": OUTPUT}
        self._add("turn_out", given, kind="output")

    def _pack(self, op: str, value: str, one: Bits, where: int, kind: str = "") -> None:
        checked = one.threshold is None and not self._sizes[value].bits
        bound = np.zeros(self._sizes[value].channels, np.float32) if one.threshold is None else one.threshold
        flags = ["half"] * one.half + ["checked"] * checked
        size = self._size(value)
        values = {
            "rows": size["h"], **size, "groups": one.groups, "words": one.words, "threshold": self._address(bound),
            "in": where, **one.target(),
        }  # fmt: skip
        self._add(op, values, flags, one.name, kind or "sign")

    # -- operations

    def _convolution(self, node: Node) -> None:
        layer, source, made = self._layers[node.output], node.inputs[0], node.output
        if layer.kind == "numbers" and layer.channels == 1 and layer.groups == layer.width > 1:
            self._depthwise(node, layer)
            self._signs_of(made, None)
            return
        keys = list(self._bits.get(made, {}).values())
        whole = layer.groups == 1 or layer.width // layer.groups % _LANES == 0
        ready = (one for one in keys if whole and one.groups == 1 and (one.threshold is not None or layer.keeps))
        fused = next(ready, None)
        floats = made in self._uses.floats or any(one is not fused for one in keys)
        residual = self._value(node.residual) if node.residual else 0
        flags = ["summed"] * (layer.sums is not None) + ["residual"] * (node.residual is not None)
        if layer.rectifier is not None:
            flags += ["rectified"] + ["shifted"] * bool(layer.rectifier[[0, 3]].any())
        flags += ["floats_out"] * floats
        flags += ["classed"] * (len(layer.shift) > 1)
        planes = made == self._output and self._uses.output_alone
        flags += ["planes_out"] * planes
        out = self._value(made) if floats and not planes else 0
        bound, size, out_size = layer.bound, self._size(source), self._sizes[made]
        each = layer.width // layer.groups
        values = {
            "rows": out_size.height, **size, "oh": out_size.height, "ow": out_size.width, "oc": out_size.channels,
            **_geometry(layer), "groups": layer.groups, "each": each, "panels": -(-each // _LANES), "in2": residual,
            "out": out, "down": self._address(bound.down), "across": self._address(bound.across.T),
            "classes": bound.columns, "table": self._address(table(layer)), "ones": -1,
        }  # fmt: skip
        if fused is not None:
            flags.append("signs_out" if layer.keeps else "bits_out")
            values |= fused.target()
            if not layer.keeps:
                values["threshold"] = self._address(_lanes(fused.threshold, layer.groups))
        whole = layer.kind == "bits" or (layer.kind == "numbers" and not values["pw"])  # no row is made for each part
        if whole and out_size.height < _FEW <= values["panels"] and layer.groups == 1 and values["ones"] < 0:
            flags.append("by_panels")
            values["rows"] = values["panels"]
        if layer.kind == "bits":
            one = self._bits[source][_key(layer)]
            flags += ["half"] * one.half + ["bound"] * (layer.keeps is not None)
            weight, offsets, start, bounds = bit_panels(layer, one)
            values |= one.source(layer)
            arrays = {"weight": weight, "offsets": offsets, "start": start, "bound": bounds}
            values |= {key: self._address(array) for key, array in arrays.items()}
            values |= {"steps": weight.shape[2], "words": one.words}
            self._add("conv_bits", values, flags, node.name, "output" if planes else "")
        else:
            self._numbers(node, layer, flags, values)
        self._signs_of(made, fused)

    def _numbers(self, node: Node, layer: Layer, flags: list[str], values: dict[str, int]) -> None:
        """A convolution of float32 or uint8: rows of its input go through scratch memory."""
        signs, octets = layer.kind == "signs", layer.kind == "octets"
        fours = -(-layer.channels // 4)
        each = fours if signs else layer.channels
        together = layer.geometry.dilation[1] == 1 and layer.groups == 1
        values["run"], values["runs"] = (values["kw"] * each, 1) if together else (each, values["kw"])
        values["ring"] = min((values["kh"] - 1) * values["dh"] + 1, values["h"])
        of_pixel = 64 * layer.groups * fours if signs else (2 if octets else 4) * values["c"]
        row = (values["w"] + 2 * values["pw"]) * of_pixel
        rows = 0 if layer.kind == "numbers" and not values["pw"] else values["ring"]
        self.scratch = max(self.scratch, -(-8 * values["kh"] // 64) * 64 + row * rows + 2 * ROOM)
        if signs:
            op, weight = "conv_signs", sign_panels(layer, values["runs"], self._kernels == "avx2")
        else:
            op, weight = ("conv_u8", octet_panels(layer)) if octets else ("conv", number_panels(layer))
        values |= {"weight": self._address(weight), "in": self._value(node.inputs[0])}
        self._add(op, values, flags, node.name, "output" if "planes_out" in flags else "")

    def _signs_of(self, value: str, done: Bits | None) -> None:
        """Pictures of bits of a value that its own step did not write."""
        for one in self._bits.get(value, {}).values():
            if one is not done:
                self._pack("pack", value, one, self._value(value))

    def _depthwise(self, node: Node, layer: Layer) -> None:
        """A filter a channel, then what `fuse` had put into it."""
        made, size = node.output, self._size(node.output)
        out = self._value(made)
        shape = {"rows": size["h"], **size, "oh": size["h"], "ow": size["w"], "oc": size["c"]}
        arrays = {"weight": layer.weight[:, :, 0].T, "a": layer.shift[0]}
        places = {"in": self._value(node.inputs[0]), "out": out}
        given = {**shape, **self._size(node.inputs[0]), **_geometry(layer), **places}
        self._add("depthwise", {**given, **{key: self._address(array) for key, array in arrays.items()}})
        shape |= {"in": out, "out": out}
        if node.residual:
            other = {"in2": self._value(node.residual), "kh": size["h"], "kw": size["w"], "run": size["c"]}
            self._add("add", {**shape, **other})
        if layer.rectifier is not None:
            self._add("rectify", {**shape, "a": self._address(layer.rectifier)})

    def _point(self, node: Node) -> None:
        """An operation other than convolutions that the library knows."""
        size, made = self._size(node.inputs[0]), self._sizes[node.output]
        values: dict[str, int] = {
            "rows": made.height, **size, "oh": made.height, "ow": made.width, "oc": made.channels,
            "in": self._value(node.inputs[0]), "out": self._value(node.output),
        }  # fmt: skip
        arrays, settings, channels = node.arrays, node.settings, size["c"]
        if node.op == "affine":
            for name, key in (("a", "scale"), ("b", "shift")):
                values[name] = self._address(np.broadcast_to(arrays[key], (channels,)))
        elif node.op == "rectify":
            zero, one = np.zeros(1, np.float32), np.ones(1, np.float32)
            defaults = {"shift_in": zero, "positive": one, "negative": one, "shift_out": zero}
            rows = [np.broadcast_to(arrays.get(key, default), (channels,)) for key, default in defaults.items()]
            values["a"] = self._address(np.stack(rows))
        elif node.op == "clip":
            values["a"] = self._address(np.array([settings["low"], settings["high"]], np.float32))
        elif node.op in ("add", "multiply"):
            other = self._sizes[node.inputs[1]]
            values |= {"in2": self._value(node.inputs[1]), "kh": other.height, "kw": other.width, "run": other.channels}
        elif node.op in ("max_pool", "average_pool"):
            for name, key in (("k", "kernel"), ("s", "stride"), ("p", "padding")):
                values[f"{name}h"], values[f"{name}w"] = settings[key]
            if node.op == "average_pool":
                values["a"] = self._address(divisors(self._sizes[node.inputs[0]], settings))
        elif node.op == "flatten":
            values["rows"] = size["h"]
        elif node.op == "pick":
            values["sh"], values["sw"] = settings["stride"]
            values["a"] = settings["front"]
        if node.op == "concat":
            first = 0
            for name in node.inputs:
                part = {**values, **self._size(name), "in": self._value(name), "a": first}
                self._add("copy", part, name=node.name)
                first += part["c"]
        else:
            self._add(node.op, values, name=node.name)
        self._signs_of(node.output, None)

    def _by_numpy(self, node: Node) -> None:
        point = POINTS[node.op](node)
        sources = [(self._value(name), self._sizes[name].shape) for name in node.inputs]
        target, shape = self._value(node.output), self._sizes[node.output].shape

        def view(arena: np.ndarray, where: int, shape: tuple[int, ...]) -> np.ndarray:
            return arena[where : where + 4 * int(np.prod(shape))].view(np.float32).reshape(1, *shape)

        @quiet
        def work(arena: np.ndarray) -> None:
            view(arena, target, shape)[...] = point(*(view(arena, where, one) for where, one in sources))

        self.steps.append(Step({}, work, node.name))
        self._signs_of(node.output, None)


def _geometry(layer: Layer) -> dict[str, int]:
    found = {}
    for letter, key in (("k", "kernel"), ("s", "stride"), ("p", "padding"), ("d", "dilation")):
        found[f"{letter}h"], found[f"{letter}w"] = getattr(layer.geometry, key)
    return found


def _lanes(numbers: np.ndarray | None, groups: int) -> np.ndarray:
    """(channels,) as (groups, panels 16) float32."""
    rows = np.reshape(numbers if numbers is not None else np.zeros(groups), (groups, -1)).astype(np.float32)
    return np.pad(rows, [(0, 0), (0, -rows.shape[1] % _LANES)])


def _key(layer: Layer) -> tuple[bytes | None, int, bool]:
    """What is taken of an input: signs against which thresholds, by groups, two pixels to a word or not."""
    half = layer.groups == 1 and layer.channels <= _LANES and layer.geometry.taps <= 2000
    return None if layer.threshold is None else layer.threshold.tobytes(), layer.groups, half


@dataclass(frozen=True)
class _Uses:
    floats: set[str]  # values that something wants as numbers
    output_alone: bool  # whether no node reads the output
    ends: dict[int, list[str]]  # values that nothing wants after a node


def _uses(nodes: Sequence[Node], output: str) -> _Uses:
    floats, read, last = {output}, set[str](), dict[str, int]()
    for index, node in enumerate(nodes):
        last[node.output] = index
        residual = [node.residual] if node.residual else []
        read |= {*node.inputs, *residual}
        last |= dict.fromkeys([*node.inputs, *residual], index)
        floats |= set(residual if node.op == "conv_bits" else [*node.inputs, *residual])
    ends: dict[int, list[str]] = {}
    for name, index in last.items():
        if name != output:
            ends.setdefault(index, []).append(name)
    return _Uses(floats, last.get(output, -1) >= 0 and output not in read, ends)
