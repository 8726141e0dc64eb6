"""An int8 network for TFLite's XNNPACK, built and run in an environment of its own, which has `ai-edge-litert`.

    uv run --no-project --with ai-edge-litert==2.3.0 python _int8_worker.py NETWORK.npz [--without-amx]

The file holds layers in float32 with the ranges of their outputs (`_frontier.py` writes it) and quantised pictures.
Weights are int8 by output channel, activations int8 by tensor, biases int32. The first line on standard output is
JSON: bytes of the network and its classes; each line on standard input is then answered by the least processor time
of one picture in microseconds.

XNNPACK takes tiles (AMX) wherever a process may use them, for narrow layers to its own harm. With `--without-amx` the
process asks the kernel to refuse them first, so that XNNPACK takes what it has for AVX-512 with VNNI.
"""

from __future__ import annotations

import ctypes
import json
import struct
import sys
import time
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

RELU = schema.ActivationFunctionType.RELU
NONE = schema.ActivationFunctionType.NONE
OPERATORS = ("CONV_2D", "ADD", "MEAN", "FULLY_CONNECTED", "PAD")
ROUNDS = 200


class Writer:
    """Tensors, buffers and operators so far."""

    def __init__(self) -> None:
        self.buffers, self.tensors, self.operators = [schema.BufferT()], [], []
        self.scales: dict[int, tuple[float, int]] = {}

    def tensor(self, shape: list[int], kind: Any, scale: Any = None, zero: Any = None, data: Any = None) -> int:
        made = schema.TensorT()
        made.shape, made.type, made.buffer = np.array(shape, np.int32), kind, 0
        made.name = f"t{len(self.tensors)}".encode()
        if scale is not None:
            made.quantization = schema.QuantizationParametersT()
            made.quantization.scale = np.atleast_1d(np.asarray(scale, np.float32))
            made.quantization.zeroPoint = np.atleast_1d(np.asarray(zero, np.int64))
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
            made.buffer = len(self.buffers)
            self.buffers.append(buffer)
        self.tensors.append(made)
        return len(self.tensors) - 1

    def activation(self, shape: list[int], limits: Any) -> int:
        """An int8 tensor whose range holds `limits` and 0."""
        low, high = min(float(limits[0]), 0.0), max(float(limits[1]), 0.0)
        scale = max(high - low, 1e-6) / 255
        return self.like(shape, (scale, round(-128 - low / scale)))

    def like(self, shape: list[int], quantised: tuple[float, int]) -> int:
        index = self.tensor(shape, schema.TensorType.INT8, *quantised)
        self.scales[index] = quantised
        return index

    def operator(self, name: str, inputs: list[int], output: int, kind: Any = None, options: Any = None) -> int:
        made = schema.OperatorT()
        made.opcodeIndex, made.inputs, made.outputs = OPERATORS.index(name), inputs, [output]
        if options is not None:
            made.builtinOptionsType, made.builtinOptions = kind, options
        self.operators.append(made)
        return output

    def weights(self, weight: np.ndarray, bias: np.ndarray, x: int) -> tuple[int, int]:
        """Weight (out, ...) float32, int8 by output channel, and its int32 bias, for the input `x`."""
        scale = np.maximum(np.abs(weight.reshape(len(weight), -1)).max(1), 1e-9) / 127
        whole = np.rint(weight / scale.reshape(-1, *[1] * (weight.ndim - 1))).astype(np.int8)
        sums = (scale * self.scales[x][0]).astype(np.float32)
        zeros = np.zeros(len(weight), np.int64)
        first = self.tensor(list(weight.shape), schema.TensorType.INT8, scale, zeros, whole)
        second = np.rint(bias / sums).astype(np.int32)
        return first, self.tensor([len(weight)], schema.TensorType.INT32, sums, zeros, second)

    def convolution(self, x: int, weight: np.ndarray, bias: np.ndarray, stride: int, relu: bool, limits: Any) -> int:
        """weight (out, kh, kw, in); padding as torch's kernel // 2."""
        size, around = int(self.tensors[x].shape[1]), weight.shape[1] // 2
        out = (size + 2 * around - weight.shape[1]) // stride + 1
        same = stride == 1
        if around and not same:  # TFLite's own padding would stand elsewhere
            pads = self.tensor(
                [4, 2], schema.TensorType.INT32, data=np.array([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32)
            )
            wide = self.like([1, size + 2, size + 2, weight.shape[3]], self.scales[x])
            x = self.operator("PAD", [x, pads], wide, schema.BuiltinOptions.PadOptions, schema.PadOptionsT())
        first, second = self.weights(weight, bias, x)
        options = schema.Conv2DOptionsT()
        options.padding = schema.Padding.SAME if same else schema.Padding.VALID
        options.strideW = options.strideH = stride
        options.dilationWFactor = options.dilationHFactor = 1
        options.fusedActivationFunction = RELU if relu else NONE
        output = self.activation([1, out, out, len(weight)], limits)
        return self.operator("CONV_2D", [x, first, second], output, schema.BuiltinOptions.Conv2DOptions, options)

    def encoded(self, x: int, out: int) -> bytes:
        graph, model = schema.SubGraphT(), schema.ModelT()
        graph.tensors, graph.operators, graph.inputs, graph.outputs = self.tensors, self.operators, [x], [out]
        model.version, model.subgraphs, model.buffers, model.operatorCodes = 3, [graph], self.buffers, []
        for name in OPERATORS:
            code = schema.OperatorCodeT()
            code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, name)
            code.version = 2
            model.operatorCodes.append(code)
        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def network(given: Any) -> bytes:
    """The file of a ResNet whose blocks are conv1, conv2 and, where shapes change, shortcut."""
    writer = Writer()
    shape = [1, *given["pictures"].shape[1:]]
    x = start = writer.like(shape, (float(given["input_scale"]), int(given["input_zero"])))

    def layer(x: int, name: str, stride: int, relu: bool) -> int:
        weight, bias, limits = (given[f"{name}.{key}"] for key in ("weight", "bias", "range"))
        return writer.convolution(x, weight, bias, stride, relu, limits)

    x = layer(x, "stem", 1, True)
    for index in range(int(given["blocks"])):
        name, stride = f"block{index}", int(given[f"block{index}.stride"])
        inner = layer(layer(x, f"{name}.conv1", stride, True), f"{name}.conv2", 1, False)
        if f"{name}.shortcut.weight" in given:
            x = layer(x, f"{name}.shortcut", stride, False)
        options = schema.AddOptionsT()
        options.fusedActivationFunction = RELU
        output = writer.activation(list(writer.tensors[x].shape), given[f"{name}.range"])
        x = writer.operator("ADD", [inner, x], output, schema.BuiltinOptions.AddOptions, options)
    width = int(writer.tensors[x].shape[3])
    axes = writer.tensor([2], schema.TensorType.INT32, data=np.array([1, 2], np.int32))
    options = schema.ReducerOptionsT()
    options.keepDims = False
    mean = writer.activation([1, width], given["mean.range"])
    x = writer.operator("MEAN", [x, axes], mean, schema.BuiltinOptions.ReducerOptions, options)
    first, second = writer.weights(given["head.weight"], given["head.bias"], x)
    output = writer.activation([1, len(given["head.weight"])], given["head.range"])
    kind, options = schema.BuiltinOptions.FullyConnectedOptions, schema.FullyConnectedOptionsT()
    return writer.encoded(start, writer.operator("FULLY_CONNECTED", [x, first, second], output, kind, options))


def refuse_tiles() -> None:
    """Let `arch_prctl(ARCH_REQ_XCOMP_PERM)` fail with EINVAL in this process, by a seccomp filter (x86-64 Linux).

    The filter in words: load the call's number; any other than 158 passes; load its first argument; any other than
    0x1023 passes; the rest is refused with error 22.
    """
    load, equal, end, passes, refused = 0x20, 0x15, 0x06, 0x7FFF0000, 0x00050000 | 22
    steps = (
        (load, 0, 0, 0), (equal, 0, 3, 158), (load, 0, 0, 16), (equal, 0, 1, 0x1023), (end, 0, 0, refused),
        (end, 0, 0, passes),
    )  # fmt: skip
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    program = struct.pack("HxxxxxxQ", len(steps), ctypes.addressof(code))
    library = ctypes.CDLL(None, use_errno=True)
    no_new_rights, set_filter, by_program = 38, 22, 2
    if library.prctl(no_new_rights, 1, 0, 0, 0) or library.prctl(set_filter, by_program, program, 0, 0):
        raise OSError(ctypes.get_errno(), "the kernel takes no filter of system calls")


def main() -> None:
    if "--without-amx" in sys.argv:
        refuse_tiles()
    given = dict(np.load(sys.argv[1]))
    data = network(given)
    runner = Interpreter(model_content=data, num_threads=1)  # with XNNPACK, which is its default
    runner.allocate_tensors()
    x, out = runner.get_input_details()[0]["index"], runner.get_output_details()[0]["index"]
    classes = []
    for picture in given["pictures"]:
        runner.set_tensor(x, picture[None])
        runner.invoke()
        classes.append(int(runner.get_tensor(out).argmax()))
    print(json.dumps({"bytes": len(data), "classes": classes}), flush=True)
    for _ in sys.stdin:
        least = float("inf")
        for _ in range(ROUNDS):
            begin = time.thread_time()
            runner.invoke()
            least = min(least, time.thread_time() - begin)
        print(1e6 * least, flush=True)


if __name__ == "__main__":
    main()
