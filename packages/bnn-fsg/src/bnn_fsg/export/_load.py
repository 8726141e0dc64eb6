"""An ONNX graph as a torch module: float operators, to be binarised, and layers of bits, as they are."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from ninefold.errors import ArtifactError, InputError, require
from torch import Tensor, fx, nn

from bnn_fsg.export._signs import RefusedError, Signs, of_two_values, plain, with_bits
from bnn_fsg.layers._layers import Binary

Given = dict[str, Any]
_OWN = ("", "ai.onnx", "qonnx.custom_op.general", "onnx.brevitas", "finn.custom_op.general")  # domains
_MOVES = ("MaxPool", "Flatten", "Reshape", "Transpose")  # of signs
_OF_CONSTANTS = ("BitShift", "BitwiseAnd", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze")
_LARGEST = 1 << 28  # numbers of a constant that is computed


def load_onnx(path: str | Path) -> nn.Module:
    """Read an ONNX file as a torch module in evaluation, to be binarised, trained or packed.

    Layers whose weights have two values a filter become layers of bits with those scales, and their inputs too where
    these are signs: `BipolarQuant` and `Quant` of one bit (QONNX), Sign, comparisons and Where (Larq's converters).

    Args:
        path: the file, with its weights inside. It has one input and one output; layers have constant weights.
    Returns: a module whose layers are `nn.Conv2d`, `nn.Linear`, `nn.BatchNorm2d`, ... named `conv_0`, `gemm_7`, ... by
        operator and place.
    Raises:
        ArtifactError: if the file is missing, or no ONNX model.
        InputError: naming every node that cannot be read, and why.
        MissingExtraError: without onnx.

    Examples:
        >>> import numpy as np
        >>> import onnx
        >>> import torch
        >>> from bnn_fsg import load_onnx
        >>> from onnx import TensorProto, helper, numpy_helper

        >>> weight = numpy_helper.from_array(np.ones((3, 4), np.float32), "weight")
        >>> sizes = {"x": 4, "y": 3}
        >>> x, y = (helper.make_tensor_value_info(one, TensorProto.FLOAT, ["n", sizes[one]]) for one in sizes)
        >>> layer = helper.make_node("Gemm", ["x", "weight"], ["y"], transB=1)
        >>> net = helper.make_model(helper.make_graph([layer], "net", [x], [y], [weight]))
        >>> onnx.save(net, "net.onnx")
        >>> model = load_onnx("net.onnx")
        >>> [type(layer).__name__ for layer in model.children()], model(torch.ones(2, 4)).shape
        (['Linear'], torch.Size([2, 3]))
    """
    onnx = require("onnx", "bnn_fsg", "onnx")
    try:
        model = onnx.load_model_from_string(Path(path).read_bytes())
        onnx.checker.check_model(model)
        model = onnx.shape_inference.infer_shapes(model)
    except OSError as error:
        raise ArtifactError(path, f"cannot be read ({error.strerror})") from None
    except Exception as error:  # protobuf and onnx raise kinds of their own
        raise ArtifactError(path, f"is no ONNX model ({str(error).splitlines()[0]:.120})") from None
    return _Reader(onnx, model.graph).module()


class _Reader:
    """The graph so far: constants and values by name, modules in `root`."""

    def __init__(self, onnx: Any, source: Any) -> None:
        self.onnx, self.source, self.root, self.graph = onnx, source, nn.Module(), fx.Graph()
        self.constants: dict[str, Tensor] = {}
        for one in source.initializer:
            self.constants[one.name] = torch.from_numpy(onnx.numpy_helper.to_array(one).copy())
        known = [*source.input, *source.value_info, *source.output]
        self.ranks = {one.name: len(one.type.tensor_type.shape.dim) for one in known}
        self.values: dict[str, fx.Node] = {}

    def module(self) -> nn.Module:
        """Read all nodes."""
        inputs = [one.name for one in self.source.input if one.name not in self.constants]
        if len(inputs) != 1 or len(self.source.output) != 1:
            got = f"{len(inputs)} inputs and {len(self.source.output)} outputs"
            raise InputError("ONNX graph", got=got, expected="one of each")
        self.values[inputs[0]] = self.graph.placeholder("x")
        refused = []
        for place, node in enumerate(self.source.node):
            try:
                self._read(node, place)
            except RefusedError as error:
                refused.append(f"{node.name or node.output[0]} ({node.op_type}: {error})")
                self.values[node.output[0]] = self.values[inputs[0]]  # so that what follows is judged, too
        if refused:
            raise InputError("ONNX graph", got="; ".join(refused), expected="operators that have a torch layer")
        found = self.values.get(self.source.output[0].name)
        if not isinstance(found, fx.Node):
            raise InputError(
                "ONNX graph", got="signs or a constant as output", expected="numbers that a layer computes"
            )
        self.graph.output(found)
        made = fx.GraphModule(self.root, self.graph).eval()
        made.graph.eliminate_dead_code()
        made.recompile()
        return made

    def _read(self, node: Any, place: int) -> None:
        given = {one.name: self.onnx.helper.get_attribute_value(one) for one in node.attribute}
        if node.op_type == "Constant" and "value" in given:
            self.constants[node.output[0]] = torch.from_numpy(self.onnx.numpy_helper.to_array(given["value"]).copy())
            return
        inputs: list[Any] = [self.values.get(name, self.constants.get(name)) for name in node.input if name]
        given |= {"inputs": inputs, "rank": self.ranks.get(node.input[0], 4)}
        steps = itertools.count()

        def call(function: Any, *arguments: Any, **more: Any) -> fx.Node:
            step = next(steps)
            if not isinstance(function, nn.Module):
                held = [self._held(one, f"constant_{place}_{step}_{at}") for at, one in enumerate(arguments)]
                return self.graph.call_function(function, tuple(held), more)
            name = f"{node.op_type.lower()}_{place}" + f"_{step}" * (step > 0)
            if isinstance(function, Binary):
                function.label, function.order = name, place
            self.root.add_module(name, function)
            return self.graph.call_module(name, arguments)

        known = node.domain in _OWN
        done = self._constant(node, inputs) if known else None
        done = of_two_values(node.op_type, inputs, call) if known and done is None else done
        if isinstance(done, Tensor):
            self.constants[node.output[0]] = done
            return
        if done is None:
            if not known or node.op_type not in _OPERATORS:
                raise RefusedError("is not known here")
            done = self._plain(node, given, call)
        self.values[node.output[0]] = done

    def _constant(self, node: Any, inputs: list[Any]) -> Tensor | None:
        """The output of a node that moves or decodes a constant."""
        if node.op_type not in _OF_CONSTANTS or not all(isinstance(one, Tensor) for one in inputs):
            return None
        if math.prod(max((*sizes, 1)) for sizes in zip(*(one.shape for one in inputs), strict=False)) > _LARGEST:
            raise RefusedError("a constant too large")
        from onnx.reference import ReferenceEvaluator

        given = dict(zip(node.input, (one.numpy() for one in inputs), strict=True))
        return torch.from_numpy(np.array(ReferenceEvaluator(node).run(None, given)[0]))

    def _plain(self, node: Any, given: Given, call: Any) -> Any:
        """The output of a node of `_OPERATORS`, which may move signs or be a layer that takes them."""
        first, signs, layer = given["inputs"][0], None, node.op_type in ("Conv", "Gemm", "MatMul")
        if isinstance(first, Signs) and (layer or node.op_type in _MOVES):
            signs = plain(first, call)
            given["inputs"][0] = signs.of
        if any(isinstance(one, Signs) for one in given["inputs"]):
            raise RefusedError("takes signs")
        made = _OPERATORS[node.op_type](given)
        done = None
        for function, arguments, more in made if isinstance(made, list) else [made]:
            function = with_bits(function, signs) if layer and isinstance(function, nn.Module) else function
            done = call(function, *(arguments if done is None else (done, *arguments[1:])), **more)
        return replace(signs, of=done) if signs and not layer else done

    def _held(self, value: Any, name: str) -> Any:
        if not isinstance(value, Tensor):
            return value
        self.root.register_buffer(name, value)
        return self.graph.get_attr(name)


def _value(given: Given) -> fx.Node:
    if not isinstance(given["inputs"][0], fx.Node):
        raise RefusedError("of a constant")
    return given["inputs"][0]


def _constants(given: Given) -> list[Tensor]:
    """The inputs behind the first, which have to be constants."""
    if not all(isinstance(one, Tensor) for one in given["inputs"][1:]):
        raise RefusedError("weights that are computed")
    return list(given["inputs"][1:])


def _pads(given: Given, count: int) -> Any:
    if given.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        raise RefusedError(f"auto_pad {given['auto_pad'].decode()}")
    pads = list(given.get("pads", [0] * 2 * count))
    if pads[:count] != pads[count:]:
        raise RefusedError(f"padding {pads}, which differs from side to side")
    return pads[:count]


def _parameters(module: Any, weight: Tensor, bias: Sequence[Tensor]) -> Any:
    module.weight = nn.Parameter(weight.float())
    if bias:
        module.bias = nn.Parameter(bias[0].float())
    return module


def _conv(given: Given) -> Any:
    weight, *bias = _constants(given)
    count = weight.ndim - 2
    if count not in (1, 2):
        raise RefusedError(f"over {count} dimensions")
    groups = given.get("group", 1)
    kind: Any = (nn.Conv1d, nn.Conv2d)[count - 1]
    module = kind(
        weight.shape[1] * groups, len(weight), tuple(weight.shape[2:]), tuple(given.get("strides", [1] * count)),
        tuple(_pads(given, count)), tuple(given.get("dilations", [1] * count)), groups, bool(bias),
    )  # fmt: skip
    return _parameters(module, weight, bias), (_value(given),), {}


def _gemm(given: Given) -> Any:
    weight, *bias = _constants(given)
    if given.get("transA") or given.get("alpha", 1.0) != 1 or given.get("beta", 1.0) != 1:
        raise RefusedError("with transA, alpha or beta")
    weight = weight if given.get("transB") else weight.T
    bias = [bias[0].reshape(-1).expand(len(weight)).clone()] if bias else []
    return _parameters(nn.Linear(weight.shape[1], len(weight), bool(bias)), weight.clone(), bias), (_value(given),), {}


def _matmul(given: Given) -> Any:
    if isinstance(given["inputs"][1], fx.Node):
        return torch.matmul, (_value(given), given["inputs"][1]), {}
    return _gemm(given)


def _norm(given: Given) -> Any:
    scale, shift, mean, variance = _constants(given)
    kind = nn.BatchNorm2d if given["rank"] == 4 else nn.BatchNorm1d
    module = _parameters(kind(len(scale), given.get("epsilon", 1e-5)), scale, [shift])
    module.running_mean, module.running_var = mean.float(), variance.float()
    return module, (_value(given),), {}


def _pool(kind: Any) -> Callable[[Given], Any]:
    def read(given: Given) -> Any:
        if len(given["kernel_shape"]) != 2 or any(one != 1 for one in given.get("dilations", [])):
            raise RefusedError("over another number of dimensions than 2, or dilated")
        more = {"count_include_pad": bool(given.get("count_include_pad", 0))} if kind is nn.AvgPool2d else {}
        stride, ceil = tuple(given.get("strides", [1, 1])), bool(given.get("ceil_mode", 0))
        module = kind(tuple(given["kernel_shape"]), stride, tuple(_pads(given, 2)), ceil_mode=ceil, **more)
        return module, (_value(given),), {}

    return read


def _clip(given: Given) -> Any:
    bounds = [*_constants(given), *(torch.tensor(given[key]) for key in ("min", "max") if key in given)]
    low, high = [*map(float, bounds), -math.inf, math.inf][:2] if len(bounds) != 1 else (float(bounds[0]), math.inf)
    return torch.clamp, (_value(given),), {"min": low, "max": None if math.isinf(high) else high}


def _prelu(given: Given) -> Any:
    (slope,) = _constants(given)
    return _parameters(nn.PReLU(slope.numel()), slope.reshape(-1), []), (_value(given),), {}


def _hard_sigmoid(given: Given) -> Any:
    if abs(given.get("alpha", 0.2) - 1 / 6) > 1e-6 or given.get("beta", 0.5) != 0.5:
        raise RefusedError("a slope that is not 1/6")
    return nn.Hardsigmoid(), (_value(given),), {}


def _reshape(given: Given) -> Any:
    batch, *sizes = (int(one) for one in _constants(given)[0])
    if len(sizes) == 1:
        return nn.Flatten(), (_value(given),), {}
    if sizes == [-1, 1, 1] or (sizes == [0, -1, 1] and given["rank"] == 2):
        return [(nn.Flatten(), (_value(given),), {}), (nn.Unflatten(1, (-1, 1, 1)), (_value(given),), {})]
    if batch not in (-1, 0, 1) or min(sizes, default=0) < 1:
        raise RefusedError(f"to {[batch, *sizes]}; only to known sizes behind the batch")
    return torch.reshape, (_value(given), (-1, *sizes)), {}


def _flatten(given: Given) -> Any:
    if given.get("axis", 1) != 1:
        raise RefusedError(f"along dimension {given['axis']}")
    return nn.Flatten(), (_value(given),), {}


def _mean(given: Given) -> Any:
    axes = [int(one) for one in _constants(given)[0]] if len(given["inputs"]) > 1 else list(given.get("axes", []))
    return torch.mean, (_value(given),), {"dim": axes, "keepdim": bool(given.get("keepdims", 1))}


def _pad(given: Given) -> Any:
    pads, *value = _constants(given) if len(given["inputs"]) > 1 else [torch.tensor(given["pads"])]
    before, after = pads.reshape(2, -1).tolist()
    *widths, first, last = (int(one) for pair in zip(reversed(before), reversed(after), strict=True) for one in pair)
    if first or last:
        raise RefusedError("of the batch")
    mode = {"constant": "constant", "reflect": "reflect", "edge": "replicate"}[given.get("mode", b"constant").decode()]
    more = {"value": float(value[0])} if value and mode == "constant" else {}
    return F.pad, (_value(given),), {"pad": widths if any(widths[4:]) else widths[:4], "mode": mode, **more}


def _slice(given: Given) -> Any:
    starts, ends, *rest = ([int(number) for number in one] for one in _constants(given))
    axes, steps = [*rest, *([range(len(starts))] * (not rest)), [1] * len(starts)][:2]
    if min(axes) < 0 or min(steps) < 1:
        raise RefusedError("backwards, or along dimensions counted from the end")
    cut = [slice(None)] * (max(axes) + 1)
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        cut[axis] = slice(start, end, step)
    return operator.getitem, (_value(given), tuple(cut)), {}


def _of_two(function: Any) -> Callable[[Given], Any]:
    def read(given: Given) -> Any:
        parts = [one if isinstance(one, fx.Node) or one.ndim else float(one) for one in given["inputs"]]
        return function, tuple(parts), {}

    return read


def _alone(make: Callable[[Given], nn.Module]) -> Callable[[Given], Any]:
    return lambda given: (make(given), (_value(given),), {})


def _concat(given: Given) -> Any:
    return torch.cat, (list(given["inputs"]),), {"dim": given["axis"]}


_OPERATORS: dict[str, Callable[[Given], Any]] = {
    "Conv": _conv, "Gemm": _gemm, "MatMul": _matmul, "BatchNormalization": _norm, "MaxPool": _pool(nn.MaxPool2d),
    "AveragePool": _pool(nn.AvgPool2d), "GlobalAveragePool": _alone(lambda _: nn.AdaptiveAvgPool2d(1)),
    "Relu": _alone(lambda _: nn.ReLU()), "LeakyRelu": _alone(lambda given: nn.LeakyReLU(given.get("alpha", 0.01))),
    "PRelu": _prelu, "Clip": _clip, "Sigmoid": _alone(lambda _: nn.Sigmoid()), "Tanh": _alone(lambda _: nn.Tanh()),
    "HardSigmoid": _hard_sigmoid, "HardSwish": _alone(lambda _: nn.Hardswish()),
    "Gelu": _alone(lambda given: nn.GELU(given.get("approximate", b"none").decode())),
    "Softmax": _alone(lambda given: nn.Softmax(given.get("axis", -1))), "Identity": _alone(lambda _: nn.Identity()),
    "Dropout": _alone(lambda _: nn.Identity()), "Flatten": _flatten, "Reshape": _reshape, "ReduceMean": _mean,
    "Pad": _pad, "Slice": _slice, "Concat": _concat, "Add": _of_two(operator.add), "Sub": _of_two(operator.sub),
    "Mul": _of_two(operator.mul), "Div": _of_two(operator.truediv),
    "Transpose": lambda given: (torch.permute, (_value(given), tuple(given["perm"])), {}),
}  # fmt: skip
