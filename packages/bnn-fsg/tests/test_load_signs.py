"""Binarised ONNX graphs in: our own exports, QONNX's nodes, and signs as Larq's converters write them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from bnn_fsg import STE, binarize, export_onnx, export_qonnx, load_onnx, pack
from bnn_fsg.layers._layers import BinaryConv2d, binary_layers
from ninefold.errors import InputError
from torch import nn

from .packed_helpers import onnx_outputs, outputs, settle
from .test_export import bounded
from .test_pack import Residual

onnx = pytest.importorskip("onnx", reason="needs the extra onnx")
make, stored = onnx.helper.make_node, onnx.numpy_helper.from_array
QONNX = "qonnx.custom_op.general"
DRAW = np.random.default_rng(0)
X = DRAW.standard_normal((2, 3, 9, 8)).astype(np.float32)


def of_residual():
    torch.manual_seed(4)
    model, x = settle(Residual()), torch.randn(3, 3, 10, 12)
    return pack(model, x), x.numpy()


def of_reactnet():
    torch.manual_seed(1)
    net = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.Hardtanh(), nn.Conv2d(16, 24, 3, 2), nn.BatchNorm2d(24),
        nn.PReLU(24), nn.Conv2d(24, 24, 3, padding=1, groups=2), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(48, 5),
    )  # fmt: skip
    model = binarize(settle(net), "adabin", "rsign", skip=["0"], example_input=torch.from_numpy(X))
    with torch.no_grad():
        for layer in binary_layers(model):
            layer.activation.threshold.normal_(0, 0.2)
    return pack(model.eval(), torch.from_numpy(X)), X


@pytest.mark.parametrize("export", [export_onnx, export_qonnx])
@pytest.mark.parametrize("packed", [of_residual, bounded, of_reactnet])
def test_what_export_wrote_packs_to_the_same(packed, export, tmp_path):
    packed, x = packed()
    export(packed, tmp_path / "bits.onnx")
    again = pack(load_onnx(tmp_path / "bits.onnx"), torch.from_numpy(x))
    np.testing.assert_allclose(again(x), packed(x), rtol=1e-4, atol=1e-4)
    bits = [sum(node.op.startswith("conv_") for node in one.nodes) for one in (again, packed)]
    assert bits[0] == bits[1] > 0, "as many layers of bits"


def saved(path, nodes, constants, output="y"):
    """A graph from "input" (n, 3, 9, 8) to `output`."""
    values = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", *sizes])
        for name, sizes in {"input": X.shape[1:], output: [None] * 3}.items()
    ]
    initial = [stored(np.asarray(one), name) for name, one in constants.items()]
    graph = onnx.helper.make_graph(nodes, "graph", values[:1], values[1:], initial)
    opsets = [onnx.helper.make_opsetid(*one) for one in (("", 18), (QONNX, 1))]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opsets, ir_version=9), path)
    return path


WEIGHT = np.where(DRAW.random((8, 3, 3, 3)) < 0.5, 1, -1).astype(np.float32)
SCALE = DRAW.uniform(0.5, 2, (8, 1, 1, 1)).astype(np.float32)
STEM = DRAW.standard_normal((3, 3, 1, 1)).astype(np.float32)
SCALARS = {"zero": 0.0, "one": 1.0, "minus": -1.0, "tenth": 0.1, "two": 2.0, "half": 0.5}
CONSTANTS = {key: np.float32(value) for key, value in SCALARS.items()}
CONSTANTS |= {
    "stem": STEM,
    "weight": WEIGHT,
    "scaled": WEIGHT * SCALE,
    "latent": WEIGHT * DRAW.random((8, 3, 3, 3), np.float32),
}
CONSTANTS["by_channel"] = np.array([0.2, -0.1, 0.4], np.float32).reshape(1, 3, 1, 1)
CONSTANTS["turned"] = np.array([True, False, True]).reshape(1, 3, 1, 1)
STANDARD = {
    "where": [make("GreaterOrEqual", ["x", "zero"], ["f"]), make("Where", ["f", "one", "minus"], ["s"])],
    "where, the other way": [make("Less", ["x", "zero"], ["f"]), make("Where", ["f", "minus", "one"], ["s"])],
    "strictly above": [make("Greater", ["x", "half"], ["f"]), make("Where", ["f", "one", "minus"], ["s"])],
    "not above": [
        make("LessOrEqual", ["x", "half"], ["g"]), make("Not", ["g"], ["f"]),
        make("Where", ["f", "one", "minus"], ["s"]),
    ],
    "cast": [
        make("GreaterOrEqual", ["x", "zero"], ["f"]), make("Cast", ["f"], ["c"], to=1),
        make("Mul", ["c", "two"], ["d"]), make("Sub", ["d", "one"], ["s"]),
    ],
    "a sign that is never 0": [
        make("Sign", ["x"], ["f"]), make("Add", ["f", "tenth"], ["c"]), make("Sign", ["c"], ["s"])
    ],
    "sign": [make("Sign", ["x"], ["s"])],
    "two values": [make("GreaterOrEqual", ["x", "half"], ["f"]), make("Where", ["f", "two", "tenth"], ["s"])],
    "thresholds by channel": [
        make("GreaterOrEqual", ["x", "by_channel"], ["f"]), make("Where", ["f", "one", "minus"], ["s"])
    ],
    "turned by channel": [
        make("GreaterOrEqual", ["x", "by_channel"], ["g"]), make("Xor", ["g", "turned"], ["f"]),
        make("Where", ["f", "one", "minus"], ["s"]),
    ],
}  # fmt: skip
CONV = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
ENDS = {
    "conv": [make("Conv", ["s", "scaled"], ["y"], **CONV)],
    "pool": [
        make("MaxPool", ["s"], ["p"], kernel_shape=[2, 2], strides=[2, 2]), make("Conv", ["p", "weight"], ["y"], **CONV)
    ],
    "latent": [  # filters as TensorFlow keeps them
        make("Sign", ["latent"], ["k"]), make("Transpose", ["k"], ["t"], perm=[2, 3, 1, 0]),
        make("Transpose", ["t"], ["w"], perm=[3, 2, 0, 1]), make("Conv", ["s", "w"], ["y"], **CONV),
    ],
}  # fmt: skip


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("start", STANDARD)
def test_signs_of_standard_operators_are_read_as_the_stock_runtime_runs_them(start, end, tmp_path):
    nodes = [make("Conv", ["input", "stem"], ["x"], kernel_shape=[1, 1]), *STANDARD[start], *ENDS[end]]
    path = saved(tmp_path / "net.onnx", nodes, CONSTANTS)
    model, expected = load_onnx(path), onnx_outputs(path, X)
    (layer,) = binary_layers(model)
    assert type(layer) is BinaryConv2d
    np.testing.assert_allclose(outputs(model, torch.from_numpy(X)), expected, rtol=1e-4, atol=1e-4)
    packed = pack(model, torch.from_numpy(X))
    np.testing.assert_allclose(packed(X), expected, rtol=1e-4, atol=1e-4)
    assert [node.op for node in packed.nodes if node.op.startswith("conv")] == ["conv", "conv_bits"]


def by_qonnx(x, scale, offset):
    return (np.where(x / scale + offset >= 0, 1, -1) - offset) * scale


@pytest.mark.parametrize("offset", [0.0, 0.25])
@pytest.mark.parametrize("scale", [1.0, 0.3])
@pytest.mark.parametrize("op", ["BipolarQuant", "Quant"])
def test_nodes_of_qonnx_mean_what_their_format_says(op, scale, offset, tmp_path):
    if op == "BipolarQuant" and offset:
        pytest.skip("BipolarQuant has no offset")
    more = ["offset", "one"] if op == "Quant" else []
    nodes = [
        make(op, ["input", "scale", *more], ["s"], domain=QONNX),
        make(op, ["latent", "size", *more], ["k"], domain=QONNX),
        make("Conv", ["s", "k"], ["y"], **CONV),
    ]  # fmt: skip
    given = CONSTANTS | {"scale": np.float32(scale), "size": SCALE, "offset": np.float32(offset)}
    model = load_onnx(saved(tmp_path / "net.onnx", nodes, given))
    signs, weight = by_qonnx(X, scale, offset), by_qonnx(CONSTANTS["latent"], SCALE, offset)
    expected = nn.functional.conv2d(*(torch.tensor(one, dtype=torch.float32) for one in (signs, weight)), padding=1)
    np.testing.assert_allclose(pack(model, torch.from_numpy(X))(X), expected, rtol=1e-4, atol=1e-4)


def test_what_was_read_can_be_trained(tmp_path):
    nodes = [make("Conv", ["input", "stem"], ["x"], kernel_shape=[1, 1]), *STANDARD["where"], *ENDS["conv"]]
    model = load_onnx(saved(tmp_path / "net.onnx", nodes, CONSTANTS)).train()
    gradient, x = STE(model, torch.optim.SGD(model.parameters(), lr=1e-3)), torch.from_numpy(X)
    losses = [float(gradient.step(lambda: (model(x) - 1).square().mean())) for _ in range(5)]
    assert losses[-1] < losses[0]
    assert pack(model.eval(), x)(X).shape == (2, 8, 9, 8)


def test_float_layers_stay_float(tmp_path):
    """A depthwise filter of one weight, a mean, and two values in one filter alone are no bits."""
    given = {
        "one": np.full((3, 1, 1, 1), 2, np.float32), "mean": np.full((3, 1, 3, 3), 1 / 9, np.float32),
        "some": np.concatenate([WEIGHT[:1], DRAW.standard_normal((2, 3, 3, 3)).astype(np.float32)]),
    }  # fmt: skip
    nodes = [
        make("Conv", ["input", "one"], ["a"], group=3), make("Conv", ["a", "mean"], ["b"], group=3),
        make("Conv", ["b", "some"], ["y"]),
    ]  # fmt: skip
    path = saved(tmp_path / "net.onnx", nodes, given)
    model = load_onnx(path)
    assert {type(one) for one in model.children()} == {nn.Conv2d}
    np.testing.assert_allclose(outputs(model, torch.from_numpy(X)), onnx_outputs(path, X), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("nodes", "match"),
    [
        ([make("Sign", ["input"], ["s"]), make("Conv", ["s", "latent"], ["y"])], "Conv: takes signs with weights of"),
        ([make("Sign", ["input"], ["s"]), make("Relu", ["s"], ["y"])], "Relu: takes signs"),
        ([make("Sign", ["input"], ["y"])], "signs or a constant as output"),
        ([make("Quant", ["input", "one", "zero", "two"], ["y"], domain=QONNX)], "Quant: of other than one bit"),
        ([make("BipolarQuant", ["input", "minus"], ["y"], domain=QONNX)], "BipolarQuant: a scale that is not positive"),
        (
            [
                make("Sign", ["input"], ["a"]), make("Mul", ["a", "by_channel"], ["s"]),
                make("Conv", ["s", "weight"], ["y"]),
            ],
            "signs whose values differ by channel",
        ),
        ([make("Trunc", ["input"], ["y"], domain=QONNX)], "Trunc: is not known here"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_named(nodes, match, tmp_path):
    with pytest.raises(InputError, match=match):
        load_onnx(saved(tmp_path / "net.onnx", nodes, CONSTANTS))
