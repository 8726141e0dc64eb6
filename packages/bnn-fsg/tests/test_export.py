"""ONNX in the stock runtime, QONNX by its own meaning, float weights and the float twin: all say the same."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from bnn_fsg import PackedModel, binarize, export_onnx, export_qonnx, export_torch, pack
from bnn_fsg.export._torch import FORMAT, KIND
from bnn_fsg.packing._twin import FloatTwin
from ninefold import artifacts
from ninefold.errors import ArtifactError
from torch import nn

from .packed_helpers import onnx_outputs, outputs, settle
from .test_pack import Residual


@pytest.fixture(scope="module")
def every() -> tuple[PackedModel, np.ndarray, np.ndarray]:
    """(packed model with every operation, inputs, outputs)."""
    torch.manual_seed(4)
    model, x = settle(Residual()), torch.randn(3, 3, 10, 12)
    return pack(model, x), x.numpy(), outputs(model, x)


def bounded() -> tuple[PackedModel, np.ndarray]:
    """A packed network with bounds instead of BatchNorm, on vectors."""
    torch.manual_seed(5)
    net = nn.Sequential(nn.Linear(30, 70), nn.BatchNorm1d(70), nn.Linear(70, 5))
    x = torch.randn(9, 30)
    return pack(settle(binarize(net, weights="bwn", activations="sign", example_input=x)), x), x.numpy()


def test_stock_onnxruntime_gives_the_same_from_bits(every, tmp_path):
    packed, x, expected = every
    export_onnx(packed, tmp_path / "m.onnx")
    np.testing.assert_allclose(onnx_outputs(tmp_path / "m.onnx", x), expected, rtol=1e-4, atol=1e-4)
    packed, x = bounded()
    export_onnx(packed, tmp_path / "v.onnx")
    np.testing.assert_allclose(onnx_outputs(tmp_path / "v.onnx", x), packed(x), rtol=1e-5, atol=1e-5)
    with pytest.raises(ArtifactError, match="exists already"):
        export_onnx(packed, tmp_path / "v.onnx")


def test_binary_weights_are_tight_uint8_in_onnx(every, tmp_path):
    packed, _, _ = every
    export_onnx(packed, tmp_path / "m.onnx")
    sizes = {one.name: onnx.numpy_helper.to_array(one) for one in onnx.load(tmp_path / "m.onnx").graph.initializer}
    for node in packed.nodes:
        if node.op == "conv_bits":
            held = sizes[f"{node.name}.bits"]
            assert held.dtype == np.uint8
            assert held.size == -(-node.arrays["bits"].size // 8)


def test_qonnx_means_the_same_when_bipolar_quant_is_a_sign(every, tmp_path):
    """BipolarQuant(x, scale) is scale * (+1 where x >= 0, else -1): put that in place of each, and run."""
    for number, (packed, x) in enumerate([every[:2], bounded()]):
        path = tmp_path / f"{number}.onnx"
        export_qonnx(packed, path)
        model = onnx.load(path)
        quantisers = [node for node in model.graph.node if node.op_type == "BipolarQuant"]
        assert {node.domain for node in quantisers} == {"qonnx.custom_op.general"}
        assert len(quantisers) >= 2
        one, zero = (onnx.numpy_helper.from_array(np.float32(v), f"test.{v}") for v in (1, 0))
        minus = onnx.numpy_helper.from_array(np.float32(-1), "test.minus")
        model.graph.initializer.extend([one, zero, minus])
        plain = []
        for node in model.graph.node:
            if node.op_type != "BipolarQuant":
                plain.append(node)
                continue
            flag, sign = f"{node.name}.flag", f"{node.name}.sign"
            plain.append(onnx.helper.make_node("GreaterOrEqual", [node.input[0], zero.name], [flag]))
            plain.append(onnx.helper.make_node("Where", [flag, one.name, minus.name], [sign]))
            plain.append(onnx.helper.make_node("Mul", [sign, node.input[1]], list(node.output)))
        del model.graph.node[:]
        model.graph.node.extend(plain)
        onnx.save(model, path)
        np.testing.assert_allclose(onnx_outputs(path, x), packed(x), rtol=1e-4, atol=1e-4)


def test_float_twin_and_float_weights(every, tmp_path):
    packed, x, expected = every
    np.testing.assert_allclose(outputs(FloatTwin(packed), torch.from_numpy(x)), expected, rtol=1e-4, atol=1e-4)
    export_torch(packed, tmp_path / "m.safetensors")
    held = artifacts.Artifact(tmp_path / "m.safetensors", kind=KIND, format_version=FORMAT)
    linear = held.torch("fc.weight")
    assert linear.shape == (7, 72, 1, 1)
    values = held.torch("conv1.weight")
    assert all(len(one.unique()) <= 2 for one in values), "two values a filter"


@pytest.mark.parametrize("name", ["input", "output", "flatten", "number", "pick", "decode"])
def test_layer_may_have_any_name_in_onnx(name, tmp_path):
    torch.manual_seed(6)
    net = nn.Sequential()
    net.add_module(name, nn.Sequential(nn.Linear(6, 8), nn.Hardtanh(-1.0, 1.0), nn.Hardtanh(-1.0, 1.0000001)))
    net.add_module("last", nn.Linear(8, 3))
    x = torch.randn(4, 6)
    net = binarize(net, weights="bwn", skip=["last"], example_input=x)
    alone = nn.Sequential()
    alone.add_module(name, nn.Linear(6, 3))
    for number, model in enumerate([net, alone]):
        path = tmp_path / f"{number}.onnx"
        export_onnx(pack(model, x), path)
        np.testing.assert_allclose(onnx_outputs(path, x.numpy()), outputs(model, x), rtol=1e-5, atol=1e-5)
        assert [one.name for one in onnx.load(path).graph.output] == ["output"]
