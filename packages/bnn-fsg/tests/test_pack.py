"""Packing: what comes out of numpy is what torch computes, and what cannot be packed is named, all at once."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from bnn_fsg import PackedModel, binarize, pack
from ninefold.errors import InputError
from torch import nn

from .packed_helpers import BitConv2d, Shifted, outputs, settle


class Residual(nn.Module):
    """Shortcut of option A, additions, every pooling, concatenation, constants: all kinds of calls."""

    def __init__(self, binary: bool = True) -> None:
        super().__init__()
        self.first, self.bn = nn.Conv2d(3, 18, 3, padding=1, bias=False), nn.BatchNorm2d(18)
        self.conv1 = BitConv2d(18, 36, 3, stride=2, padding=1, binary=binary)
        self.bn1, self.act1 = nn.BatchNorm2d(36), Shifted(36)
        self.conv2 = BitConv2d(36, 36, 3, padding=2, dilation=2, groups=2, binary=binary)
        self.bn2, self.act2 = nn.BatchNorm2d(36), nn.PReLU(36)
        self.pool, self.fc = nn.MaxPool2d(2, 2), nn.Linear(72, 7)
        self.bias = nn.Parameter(torch.randn(1, 36, 1, 1))

    def forward(self, x):
        x = F.relu(self.bn(self.first(x)))
        short = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 9, 9))
        x = self.act1(self.bn1(self.conv1(x)) + short)
        x = self.act2(x - self.bn2(self.conv2(x))) * 0.5 + self.bias
        x = self.pool(F.avg_pool2d(x, 3, stride=1, padding=1))
        x = torch.cat([x, F.hardtanh(x)], 1)
        return self.fc(F.dropout(x.mean((2, 3)), training=self.training))


@pytest.mark.parametrize("binary", [True, False], ids=["w1a1", "w1a32"])
@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_network_with_every_operation(binary, backend):
    torch.manual_seed(0)
    model, x = settle(Residual(binary)), torch.randn(5, 3, 10, 12)
    packed = PackedModel(pack(model, x).encoded, backend=backend)
    np.testing.assert_allclose(packed(x.numpy()), outputs(model, x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("weights", ["dorefa", "bwn", "xnor", "adabin", "irnet"])
@pytest.mark.parametrize("activations", [None, "sign", "rsign"])
def test_every_forward_of_binarize(weights, activations):
    torch.manual_seed(1)
    net = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.Hardtanh(),
        nn.Conv2d(16, 20, 3, padding=1, stride=2), nn.BatchNorm2d(20), nn.Conv2d(20, 24, 1), nn.BatchNorm2d(24),
        nn.Flatten(), nn.Linear(24 * 16, 9),
    )  # fmt: skip
    x = torch.randn(4, 3, 8, 8)
    model = settle(binarize(net, weights=weights, activations=activations, skip=["0"], example_input=x))
    packed = pack(model, x)
    np.testing.assert_allclose(packed(x.numpy()), outputs(model, x), rtol=1e-4, atol=1e-4)
    kinds = {node.op for node in packed.nodes}
    assert ("conv_signs" if activations is None else "conv_bits") in kinds
    assert "affine" not in kinds, "BatchNorm is folded"


def test_batch_norm_before_signs_becomes_one_whole_number_a_channel():
    torch.manual_seed(2)
    net = nn.Sequential(
        nn.Linear(30, 70), nn.BatchNorm1d(70), nn.Hardtanh(), nn.Linear(70, 40), nn.BatchNorm1d(40), nn.Linear(40, 5)
    )
    x = torch.randn(200, 30)
    model = settle(binarize(net, weights="bwn", activations="sign", example_input=x))
    model.get_parameter("1.weight").data[3] = 0.0  # constant after BatchNorm
    packed = pack(model, x)
    assert [node.op for node in packed.nodes] == ["conv_bits"] * 3
    assert all("bound" in node.arrays and "scale" not in node.arrays for node in packed.nodes[:2])
    np.testing.assert_allclose(packed(x.numpy()), outputs(model, x), rtol=1e-5, atol=1e-5)


def test_one_dimension():
    torch.manual_seed(3)
    net = nn.Sequential(nn.Conv1d(4, 20, 5, stride=2, padding=2), nn.BatchNorm1d(20), nn.Conv1d(20, 6, 3, dilation=2))
    x = torch.randn(3, 4, 21)
    model = settle(binarize(net, weights="bwn", activations="sign", example_input=x))
    packed = pack(model, x)
    done = packed(x.numpy())
    assert done.shape == outputs(model, x).shape
    np.testing.assert_allclose(done, outputs(model, x), rtol=1e-4, atol=1e-4)


def test_training_mode_of_the_callers_model_is_kept():
    model = nn.Sequential(nn.Linear(4, 3)).train()
    pack(model, torch.zeros(2, 4))
    assert model.training


class Many(nn.Module):
    def __init__(self):
        super().__init__()
        self.up, self.gru = nn.ConvTranspose2d(3, 8, 3), nn.GELU()
        self.volume = nn.Conv2d(8, 8, 3, padding=1, padding_mode="reflect")

    def forward(self, x):
        x = self.volume(self.gru(self.up(x)))
        return torch.fft.fft(x).real * x


def test_all_that_cannot_be_packed_is_listed_at_once():
    with pytest.raises(InputError) as caught:
        pack(Many(), torch.zeros(1, 3, 6, 6))
    for part in ("up (ConvTranspose2d: transposed)", "gru (GELU)", "volume (Conv2d: padding_mode 'reflect')", "fft"):
        assert part in str(caught.value)


class Branching(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


def test_forward_that_branches_on_values_is_refused():
    with pytest.raises(InputError, match="cannot be traced"):
        pack(Branching(), torch.zeros(1, 3))


def test_three_dimensional_convolution_is_refused_by_name():
    x = torch.zeros(1, 2, 4, 4, 4)
    net = binarize(nn.Sequential(nn.Conv3d(2, 3, 3)), weights="bwn", example_input=x)
    with pytest.raises(InputError, match="example_input"):
        pack(net, x)


def test_input_that_is_not_a_sign_is_named_with_its_layer():
    torch.manual_seed(0)
    layer = BitConv2d(4, 5, 3, given=True)
    packed = pack(nn.Sequential(layer), torch.zeros(1, 4, 6, 6))
    good = np.where(np.random.default_rng(0).random((2, 4, 6, 6)) < 0.5, 1, -1).astype(np.float32)
    np.testing.assert_allclose(packed(good), outputs(layer, torch.from_numpy(good)), rtol=1e-4, atol=1e-4)
    good[1, 2, 3, 4] = 0.5
    with pytest.raises(InputError, match=r"input of layer 0.*0\.5.*\+1 or -1"):
        packed(good)
