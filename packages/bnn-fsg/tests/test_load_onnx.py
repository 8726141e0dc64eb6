"""ONNX graphs in, binarised, packed, and out again: the same numbers at each step."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from bnn_fsg import binarize, export_onnx, load_onnx, pack
from ninefold.errors import ArtifactError, InputError
from torch import nn

from .packed_helpers import onnx_outputs, outputs, settle

onnx = pytest.importorskip("onnx", reason="needs the extra onnx")
X = torch.randn(2, 3, 12, 10, generator=torch.Generator().manual_seed(0))


class Of(nn.Module):
    """A convolution, then a function."""

    def __init__(self, function):
        super().__init__()
        self.conv, self.function = nn.Conv2d(3, 8, 3, padding=1), function

    def forward(self, x):
        return self.function(self.conv(x))


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8)
        self.first, self.second = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=4)
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        x = F.relu(self.norm(self.stem(x)))
        x = F.relu(self.second(F.relu(self.first(x))) + x)
        return self.head(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1))


GRAPHS = {
    "plain": nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(160, 6)
    ),
    "residual": Residual(),
    "leaky and average": nn.Sequential(nn.Conv2d(3, 8, (3, 1)), nn.LeakyReLU(0.2), nn.AvgPool2d(2, 2)),
    "prelu and clip": nn.Sequential(nn.Conv2d(3, 8, 3), nn.PReLU(8), nn.Conv2d(8, 4, 1), nn.ReLU6()),
    "gate": Of(lambda x: x * torch.sigmoid(x.mean((2, 3), keepdim=True))),
    "hard curves": nn.Sequential(nn.Conv2d(3, 8, 3), nn.Hardswish(), nn.Conv2d(8, 8, 1), nn.Tanh()),
    "concat": Of(lambda x: torch.cat([x, F.relu(x)], 1)),
    "products": Of(lambda x: (x.transpose(2, 3) @ x).softmax(-1)),
    "affine": Of(lambda x: (x * 2.0 - 1.0) / 4.0),
    "softmax": nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.Flatten(), nn.Linear(80, 7), nn.Softmax(1)),
    "depthwise": nn.Sequential(nn.Conv2d(3, 6, 1), nn.Conv2d(6, 6, 3, padding=1, groups=6), nn.ReLU()),
}


def written(model, folder):
    path = folder / "float.onnx"
    torch.onnx.export(model.eval(), (X,), path, dynamo=False, opset_version=18)
    return path


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", GRAPHS)
def test_graph_goes_in_is_packed_and_comes_out(name, tmp_path):
    torch.manual_seed(1)
    original = settle(GRAPHS[name])
    model = load_onnx(written(original, tmp_path))
    np.testing.assert_allclose(outputs(model, X), outputs(original, X), rtol=1e-4, atol=1e-5)
    bits = binarize(model, "bwn-f", example_input=X).eval()
    packed = pack(bits, X)
    np.testing.assert_allclose(packed(X.numpy()), outputs(bits, X), rtol=1e-4, atol=1e-4)
    export_onnx(packed, tmp_path / "bits.onnx")
    np.testing.assert_allclose(onnx_outputs(tmp_path / "bits.onnx", X.numpy()), outputs(bits, X), rtol=1e-4, atol=1e-4)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_nodes_that_cannot_be_read_are_all_named(tmp_path):
    path = written(Of(lambda x: torch.sin(x.cos())), tmp_path)
    with pytest.raises(InputError, match=r"Cos.*\(Cos: is not known here\); .*\(Sin: is not known here\)"):
        load_onnx(path)


def test_operators_that_torch_does_not_write(tmp_path):
    """Constant padding, a clip without an upper bound, and a vector added behind a product of matrices."""
    weight = np.random.default_rng(0).standard_normal((3 * 15 * 12, 4)).astype(np.float32)
    given = {
        "pads": np.array([0, 0, 1, 2, 0, 0, 2, 0]), "value": np.float32(0.5), "least": np.float32(-0.25),
        "weight": weight, "bias": np.arange(4, dtype=np.float32),
    }  # fmt: skip
    make = onnx.helper.make_node
    nodes = [
        make("Pad", ["input", "pads", "value"], ["a"]), make("Clip", ["a", "least"], ["b"]),
        make("Flatten", ["b"], ["c"]), make("MatMul", ["c", "weight"], ["d"]), make("Add", ["d", "bias"], ["y"]),
    ]  # fmt: skip
    floats = onnx.TensorProto.FLOAT
    shapes = {"input": X.shape[1:], "y": [4]}
    values = [onnx.helper.make_tensor_value_info(name, floats, ["n", *shape]) for name, shape in shapes.items()]
    constants = [onnx.numpy_helper.from_array(np.asarray(one), name) for name, one in given.items()]
    graph = onnx.helper.make_graph(nodes, "graph", values[:1], values[1:], constants)
    path = tmp_path / "hand.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9), path)
    expected = onnx_outputs(path, X.numpy())
    np.testing.assert_allclose(pack(load_onnx(path), X)(X.numpy()), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("data", [b"", b"not a model", b"\x08\x08\x12"])
def test_file_that_is_no_model_is_refused(data, tmp_path):
    path = tmp_path / "bad.onnx"
    path.write_bytes(data)
    with pytest.raises(ArtifactError, match="no ONNX model"):
        load_onnx(path)


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match="cannot be read"):
        load_onnx(tmp_path / "none.onnx")
