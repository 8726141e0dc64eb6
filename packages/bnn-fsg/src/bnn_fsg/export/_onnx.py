"""A packed model as ONNX that stock runtimes run, and as QONNX.

In ONNX the weights stay bits: uint8 initialisers, 8 signs to a byte, which standard operators decode (shift, and,
cast), so the file stays small. In QONNX (domain `qonnx.custom_op.general`) they are float tensors behind a
`BipolarQuant` node, as that format wants them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from ninefold.errors import require, version_of
from ninefold.files import atomic_file, refuse_existing

from bnn_fsg.export._more import MORE
from bnn_fsg.export._onnx_graph import OnnxGraph
from bnn_fsg.graph._graph import CONVOLUTIONS, Node
from bnn_fsg.runtime import PackedModel
from bnn_fsg.runtime._layer import pair

OPSET = 18  # of BitwiseAnd
_QONNX = "qonnx.custom_op.general"


def export_onnx(model: PackedModel, path: str | Path, *, force: bool = False) -> None:
    """Write an ONNX file with bits as uint8 initialisers; the batch is free.

    Raises: MissingExtraError without onnx; ArtifactError if `path` exists and `force` is off.

    Examples:
        >>> import onnx
        >>> import torch
        >>> from bnn_fsg import binarize, export_onnx, pack
        >>> from torch import nn

        >>> seed = torch.manual_seed(0)
        >>> net = nn.Sequential(
        ...     nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Hardtanh(), nn.MaxPool2d(4),
        ...     nn.Conv2d(8, 16, 3), nn.BatchNorm2d(16), nn.Flatten(), nn.Linear(16, 10),
        ... )
        >>> x = torch.rand(4, 1, 12, 12)
        >>> model = binarize(net, weights="bwn-f", skip=["0"], example_input=x)

        >>> packed = pack(model.eval(), x)

        >>> export_onnx(packed, "mine.onnx")
        >>> onnx.load("mine.onnx").graph.output[0].name
        'output'
    """
    _export(model, path, "onnx", force)


def export_qonnx(model: PackedModel, path: str | Path, *, force: bool = False) -> None:
    """Write a QONNX file: weights and binary inputs go through `BipolarQuant`.

    Raises: MissingExtraError without onnx; ArtifactError if `path` exists and `force` is off.

    Examples:
        >>> import onnx
        >>> import torch
        >>> from bnn_fsg import binarize, export_qonnx, pack
        >>> from torch import nn

        >>> seed = torch.manual_seed(0)
        >>> net = nn.Sequential(
        ...     nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Hardtanh(), nn.MaxPool2d(4),
        ...     nn.Conv2d(8, 16, 3), nn.BatchNorm2d(16), nn.Flatten(), nn.Linear(16, 10),
        ... )
        >>> x = torch.rand(4, 1, 12, 12)
        >>> model = binarize(net, weights="bwn-f", skip=["0"], example_input=x)

        >>> packed = pack(model.eval(), x)

        >>> export_qonnx(packed, "mine.onnx")
        >>> "BipolarQuant" in {node.op_type for node in onnx.load("mine.onnx").graph.node}
        True
    """
    _export(model, path, "qonnx", force)


def _export(model: PackedModel, path: str | Path, form: str, force: bool) -> None:
    onnx = require("onnx", "bnn_fsg", form)
    path = Path(path)
    refuse_existing(path, force, is_exported)
    writer = _Writer(onnx, form == "qonnx")
    value = writer.read(model)
    batch = ["n"]
    floats = onnx.TensorProto.FLOAT
    given = onnx.helper.make_tensor_value_info("input", floats, batch + list(model.input_shape))
    made = onnx.helper.make_tensor_value_info(value, floats, batch + [None] * (model.output_rank - 1))
    graph = onnx.helper.make_graph(writer.nodes, "packed", [given], [made], list(writer.constants.values()))
    opsets = [onnx.helper.make_opsetid("", OPSET)]
    if form == "qonnx":
        opsets.append(onnx.helper.make_opsetid(_QONNX, 1))
    whole = onnx.helper.make_model(graph, opset_imports=opsets, producer_name="bnn-fsg", ir_version=9)
    whole.producer_version = version_of("bnn_fsg")
    onnx.checker.check_model(whole)
    with atomic_file(path, force=force, ours=is_exported) as temporary:
        temporary.write_bytes(whole.SerializeToString())


def is_exported(path: Path) -> bool:
    """Whether a file begins as ours do: with the IR version and the producer's name."""
    with path.open("rb") as file:
        return b"\x12\x07bnn-fsg" in file.read(16)


class _Writer(OnnxGraph):
    """Translates a packed model into ONNX operators."""

    def __init__(self, onnx: Any, quantised: bool) -> None:
        super().__init__(onnx)
        self.quantised = quantised

    def read(self, model: PackedModel) -> str:
        """Add everything; returns the name of the output."""
        if len(model.input_shape) == 3:
            start = "input"
        else:
            sizes = [0, 0, -1, (1, *model.input_shape[1:])[-1]]
            start = self.add("Reshape", ["input", self.constant("input.shape", np.array(sizes))], "input.4d")
        names = {"input": start}
        self.sizes = model.sizes
        for node in model.nodes:
            names[node.output] = self.node(node, [names[one] for one in node.inputs])
        value = names[model.about["graph"]["output"]]
        if model.output_rank < 4:
            sizes = np.array([0, -1] if model.output_rank == 2 else [0, 0, -1])
            value = self.add("Reshape", [value, self.constant("output.shape", sizes)], "output.flat")
        self.nodes.append(self.onnx.helper.make_node("Identity", [value], ["output"], "output"))
        return "output"

    def node(self, node: Node, inputs: list[str]) -> str:
        """Add one node of the packed graph; returns its output."""
        name, x, settings = node.name, inputs[0], node.settings
        if node.op in CONVOLUTIONS:
            return self._convolution(node, x)
        if node.op == "affine":
            x = self.add("Mul", [x, self.by_channel(node, "scale")], f"{name}.scaled")
            return self.add("Add", [x, self.by_channel(node, "shift")], name)
        if node.op == "rectify":
            return self._rectify(node, x)
        if node.op in ("max_pool", "average_pool"):
            shape = {"kernel_shape": settings["kernel"], "strides": settings["stride"], "pads": settings["padding"] * 2}
            if settings.get("ceil"):
                shape["ceil_mode"] = 1
            if node.op == "max_pool":
                return self.add("MaxPool", [x], name, **shape)
            count = int(settings.get("count_padding", True))
            return self.add("AveragePool", [x], name, count_include_pad=count, **shape)
        if node.op == "pick":
            given = {"starts": [0, 0], "ends": [1 << 30, 1 << 30], "axes": [2, 3]}
            places = [self.constant(f"pick.{key}", np.array(value)) for key, value in given.items()]
            steps = self.constant(f"{name}.steps", np.array(settings["stride"]))
            x = self.add("Slice", [x, *places, steps], f"{name}.taken")
            widths = np.array([0, settings["front"], 0, 0, 0, settings["back"], 0, 0])
            return self.add("Pad", [x, self.constant(f"{name}.widths", widths)], name)
        if node.op == "clip":
            return self.add("Clip", [x, self.number(settings["low"]), self.number(settings["high"])], name)
        if node.op == "flatten":
            return self.add("Reshape", [x, self.constant("flatten.shape", np.array([0, -1, 1, 1]))], name)
        if node.op == "concat":
            return self.add("Concat", inputs, name, axis=1)
        if node.op in MORE:
            return MORE[node.op](self, node, *inputs)
        return self.add({"add": "Add", "mean": "GlobalAveragePool", "multiply": "Mul"}[node.op], inputs, name)

    def _rectify(self, node: Node, x: str) -> str:
        name = node.name
        if "shift_in" in node.arrays:
            x = self.add("Add", [x, self.by_channel(node, "shift_in")], f"{name}.in")
        above = self.add("Greater", [x, self.number(0.0)], f"{name}.above")
        slopes = [self.by_channel(node, key) for key in ("positive", "negative")]
        slope = self.add("Where", [above, *slopes], f"{name}.slope")
        if "shift_out" not in node.arrays:
            return self.add("Mul", [x, slope], name)
        x = self.add("Mul", [x, slope], f"{name}.out")
        return self.add("Add", [x, self.by_channel(node, "shift_out")], name)

    def _sign(self, flag: str, name: str) -> str:
        return self.add("Where", [flag, self.number(1.0), self.number(-1.0)], name)

    def _convolution(self, node: Node, x: str) -> str:
        name, settings, arrays = node.name, node.settings, node.arrays
        if "threshold" in arrays:
            x = self._binary_input(node, x)
        kernel = pair(settings.get("kernel", 1))
        if node.op == "conv":
            filters = arrays["weight"].reshape(len(arrays["weight"]), *kernel, -1).transpose(0, 3, 1, 2)
            weight = self.constant(f"{name}.weight", np.ascontiguousarray(filters))
        else:
            weight = self._binary_weight(node, kernel)
        padding = pair(settings.get("padding", 0))
        more: dict[str, Any] = {"pads": padding * 2, "kernel_shape": kernel, "group": settings.get("groups", 1)}
        more |= {"strides": pair(settings.get("stride", 1)), "dilations": pair(settings.get("dilation", 1))}
        if "bound" not in arrays:
            return self.add("Conv", [x, weight, self.constant(f"{name}.shift", arrays["shift"])], name, **more)
        sums = self.add("Conv", [x, weight], f"{name}.sums", **more)
        bound = self.constant(f"{name}.bound", arrays["bound"].astype(np.float32).reshape(1, -1, 1, 1))
        above = self.add("GreaterOrEqual", [sums, bound], f"{name}.above")
        turned = self.add("Xor", [above, self.by_channel(node, "turned")], f"{name}.is_one")
        return self._sign(turned, name)

    def _binary_input(self, node: Node, x: str) -> str:
        name = node.name
        if self.quantised:
            x = self.add("Sub", [x, self.by_channel(node, "threshold")], f"{name}.centred")
            x = self.add("BipolarQuant", [x, self.number(1.0)], f"{name}.signs", domain=_QONNX)
        else:
            flag = self.add("GreaterOrEqual", [x, self.by_channel(node, "threshold")], f"{name}.is_one_in")
            x = self._sign(flag, f"{name}.signs")
        offset = node.settings.get("offset")
        return self.add("Add", [x, self.number(offset)], f"{name}.inputs") if offset else x

    def _binary_weight(self, node: Node, kernel: tuple[int, int]) -> str:
        """Signs as (out, channels, *kernel) float32, times scale, plus sums."""
        name, bits = node.name, node.arrays["bits"]
        shape = (len(bits), *kernel, bits.shape[2])
        if self.quantised:
            signs = np.where(bits.reshape(shape).transpose(0, 3, 1, 2), 1, -1).astype(np.float32)
            weight = self.constant(f"{name}.signs_given", np.ascontiguousarray(signs))
            weight = self.add("BipolarQuant", [weight, self.number(1.0)], f"{name}.weight_signs", domain=_QONNX)
        else:
            octets = self.constant(f"{name}.bits", np.packbits(bits.reshape(-1), bitorder="little").reshape(-1, 1))
            shifts = self.constant("decode.shifts", np.arange(8, dtype=np.uint8))
            moved = self.add("BitShift", [octets, shifts], f"{name}.moved", direction="RIGHT")
            one = self.add("BitwiseAnd", [moved, self.constant("decode.one", np.uint8(1))], f"{name}.single")
            flat = self.add("Reshape", [one, self.constant("decode.flat", np.array([-1]))], f"{name}.flat")
            ends = [self.constant("decode.zero", np.array([0])), self.constant(f"{name}.count", np.array([bits.size]))]
            flat = self.add("Slice", [flat, *ends], f"{name}.some")
            flag = self.add("Cast", [flat], f"{name}.flags", to=self.onnx.TensorProto.BOOL)
            signs = self._sign(flag, f"{name}.flat_signs")
            signs = self.add("Reshape", [signs, self.constant(f"{name}.shape", np.array(shape))], f"{name}.shaped")
            weight = self.add("Transpose", [signs], f"{name}.weight_signs", perm=[0, 3, 1, 2])
        for op, key in (("Mul", "scale"), ("Add", "sums")):
            if key in node.arrays:
                values = self.constant(f"{name}.{key}", node.arrays[key].reshape(-1, 1, 1, 1))
                weight = self.add(op, [weight, values], f"{name}.weight_{key}")
        return weight
