"""An int8 network for onnxruntime, built, calibrated and run in a process of its own.

    python _onnx_worker.py NETWORK.npz

The file holds layers in float32, calibration pictures and test pictures (`_frontier.py` writes it). The graph is
quantised by `onnxruntime.quantization.quantize_static`: weights int8 by output channel, activations uint8 by tensor,
whose ranges are the least and largest values over the calibration pictures. Answers as `_int8_worker.py` does.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

ROUNDS = 200


class Pictures(CalibrationDataReader):
    """Calibration pictures, one at a time."""

    def __init__(self, pictures: np.ndarray) -> None:
        self._rest = iter(pictures)

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next one, or None."""
        picture = next(self._rest, None)
        return None if picture is None else {"x": picture[None]}


def network(given: Any) -> onnx.ModelProto:
    """The float32 graph of a ResNet whose blocks are conv1, conv2 and, where shapes change, shortcut."""
    nodes, weights = [], []

    def add(kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], output, **attributes))
        return output

    def layer(x: str, name: str, stride: int, relu: bool) -> str:
        weight = np.asarray(given[f"{name}.weight"], np.float32).transpose(0, 3, 1, 2)  # (out, in, kh, kw)
        for key, value in (("weight", weight), ("bias", np.asarray(given[f"{name}.bias"], np.float32))):
            weights.append(numpy_helper.from_array(np.ascontiguousarray(value), f"{name}.{key}"))
        inputs = [x, f"{name}.weight", f"{name}.bias"]
        x = add("Conv", inputs, name, strides=[stride, stride], pads=[weight.shape[2] // 2] * 4)
        return add("Relu", [x], f"{name}.relu") if relu else x

    x = layer("x", "stem", 1, True)
    for index in range(int(given["blocks"])):
        name, stride = f"block{index}", int(given[f"block{index}.stride"])
        inner = layer(layer(x, f"{name}.conv1", stride, True), f"{name}.conv2", 1, False)
        if f"{name}.shortcut.weight" in given:
            x = layer(x, f"{name}.shortcut", stride, False)
        x = add("Relu", [add("Add", [inner, x], f"{name}.sum")], name)
    x = add("Flatten", [add("GlobalAveragePool", [x], "mean")], "flat")
    weights += [
        numpy_helper.from_array(np.asarray(given[f"head.{key}"], np.float32), f"head.{key}")
        for key in ("weight", "bias")
    ]
    add("Gemm", [x, "head.weight", "head.bias"], "y", transB=1)
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, *given["inputs"].shape[1:]])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, len(given["head.bias"])])]
    graph = helper.make_graph(nodes, "resnet", inputs, outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)


def quantized(given: Any, form: QuantFormat = QuantFormat.QDQ) -> onnx.ModelProto:
    """The int8 graph."""
    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        onnx.save(network(given), before)
        quantize_static(
            before, after, Pictures(given["calibration"]), quant_format=form, per_channel=True,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
        )  # fmt: skip
        return onnx.load(after)


def without_first_quantization(model: onnx.ModelProto) -> tuple[float, int]:
    """Let the graph take uint8 pictures, as XNNPACK's network takes int8 ones; returns their scale and zero point."""
    first = next(node for node in model.graph.node if node.op_type == "QuantizeLinear" and node.input[0] == "x")
    values = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
    scale, zero = float(values[first.input[1]]), int(values[first.input[2]])
    for node in model.graph.node:
        node.input[:] = ["x" if name == first.output[0] else name for name in node.input]
    model.graph.node.remove(first)
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    return scale, zero


def main() -> None:
    given = dict(np.load(sys.argv[1]))
    model = quantized(given)
    scale, zero = without_first_quantization(model)
    data, options = model.SerializeToString(), ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    pictures = np.clip(np.rint(given["inputs"] / scale) + zero, 0, 255).astype(np.uint8)
    classes = [int(session.run(None, {"x": picture[None]})[0].argmax()) for picture in pictures]
    binding = session.io_binding()
    binding.bind_cpu_input("x", pictures[:1])
    binding.bind_output("y")
    print(json.dumps({"bytes": len(data), "classes": classes}), flush=True)
    for _ in sys.stdin:
        least = float("inf")
        for _ in range(ROUNDS):
            begin = time.thread_time()
            session.run_with_iobinding(binding)
            least = min(least, time.thread_time() - begin)
        print(1e6 * least, flush=True)


if __name__ == "__main__":
    main()
