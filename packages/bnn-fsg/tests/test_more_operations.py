"""Operations beyond those of plain ResNets: each packed alone gives what torch gives, on both backends."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from bnn_fsg import PackedModel, binarize, export_onnx, pack
from ninefold.errors import InputError, NinefoldError
from torch import nn

from .networks import UNet, squeeze_excite
from .packed_helpers import onnx_outputs, outputs, settle

SAMPLES = Path(__file__).parent / "samples"
NEW = ("average", "curve", "multiply", "normalise", "pad", "resample", "shuffle", "slice", "softmax", "spread")


class Call(nn.Module):
    """A function as a module, after a convolution, so that something is there to pack."""

    def __init__(self, function, channels=8):
        super().__init__()
        self.conv, self.function = nn.Conv2d(3, channels, 3, padding=1), function

    def forward(self, x):
        return self.function(self.conv(x))


def gated(x):
    return x * torch.sigmoid(x.mean((2, 3), keepdim=True))


def chunked(x):
    first, second = x.chunk(2, 1)
    return first * second.tanh()


def split(x):
    first, second, third = torch.split(x, 3, dim=1)
    return torch.cat([third, first, F.relu(second)], 1)


MODULES = {
    "silu": nn.SiLU(), "gelu": nn.GELU(), "gelu tanh": nn.GELU("tanh"), "sigmoid": nn.Sigmoid(), "tanh": nn.Tanh(),
    "hardswish": nn.Hardswish(), "hardsigmoid": nn.Hardsigmoid(), "softmax": nn.Softmax(1),
    "group norm": nn.GroupNorm(4, 8), "instance norm": nn.InstanceNorm2d(8, affine=True),
    "layer norm": nn.LayerNorm([8, 9, 11], elementwise_affine=False),
    "nearest": nn.Upsample(scale_factor=2), "nearest to a size": nn.Upsample(size=(13, 7)),
    "nearest by halves": nn.Upsample(scale_factor=1.5), "exact": nn.Upsample(size=(13, 7), mode="nearest-exact"),
    "bilinear": nn.Upsample(scale_factor=2, mode="bilinear"),
    "bilinear by 1.7": nn.Upsample(scale_factor=1.7, mode="bilinear"),
    "bilinear to corners": nn.Upsample(size=(20, 5), mode="bilinear", align_corners=True),
    "shuffle": nn.PixelShuffle(2), "adaptive": nn.AdaptiveAvgPool2d((4, 3)), "adaptive max": nn.AdaptiveMaxPool2d(4),
    "transposed": nn.ConvTranspose2d(8, 6, 3, stride=2, padding=1, output_padding=1),
    "transposed in groups": nn.ConvTranspose2d(8, 6, (3, 2), stride=(1, 3), groups=2, dilation=(2, 1), bias=False),
    "transposed without overlap": nn.ConvTranspose2d(8, 6, 2, stride=2, groups=2),
    "transposed, cut": nn.ConvTranspose2d(8, 4, 3, stride=1, padding=2),
    "zeros around": nn.ZeroPad2d((1, 2, 0, 3)), "ones around": nn.ConstantPad2d(2, 1.0),
    "reflected": nn.ReflectionPad2d((1, 2, 3, 0)), "edges": nn.ReplicationPad2d(2), "circular": nn.CircularPad2d(1),
    "padded by itself": nn.Conv2d(8, 4, 3, padding=1, padding_mode="reflect"),
    "ceil max": nn.MaxPool2d(2, ceil_mode=True), "ceil max padded": nn.MaxPool2d(3, 2, 1, ceil_mode=True),
    "ceil average": nn.AvgPool2d(3, 2, 1, ceil_mode=True),
    "ceil average, uncounted": nn.AvgPool2d(4, 3, 1, ceil_mode=True, count_include_pad=False),
    "large pool": nn.AvgPool2d(8, 3, 1), "long pool": nn.MaxPool2d((9, 1), (4, 1), (4, 0)),
}  # fmt: skip


def shuffled(x, groups):
    n, channels, height, width = x.shape
    return (
        x.view(n, groups, channels // groups, height, width)
        .transpose(1, 2)
        .contiguous()
        .view(n, channels, height, width)
    )


def pixel_norm(x):
    scale, shift = torch.linspace(0.5, 2, x.shape[1]), torch.linspace(-1, 1, x.shape[1])
    return F.layer_norm(x.permute(0, 2, 3, 1), x.shape[1:2], scale, shift, 1e-5).permute(0, 3, 1, 2)


def channels_last(x):
    y = x.permute(0, 2, 3, 1)
    return (F.gelu(y) + y).permute(0, 3, 1, 2) * 0.5 + x


def attention(x):
    tokens = x.flatten(2).transpose(1, 2)
    scores = (tokens @ (tokens * 2).transpose(-2, -1)) * 0.3
    return (scores.softmax(-1) @ tokens).transpose(1, 2).reshape(x.shape)


def heads(x):
    n, channels, height, width = x.shape
    parts = x.flatten(2).transpose(1, 2).reshape(n, height * width, 2, channels // 2).permute(0, 2, 1, 3)
    done = F.scaled_dot_product_attention(parts, parts.roll(1, 2), parts)
    return done.transpose(1, 2).reshape(n, height * width, channels)


def windows(x):
    """Rolled windows of 3 x 11 pixels with a bias for each place and another for each window, as in Swin."""
    n, channels, height, width = x.shape
    y = torch.roll(x.permute(0, 2, 3, 1), (-1, 2), (1, 2)).view(n, height // 3, 3, width // 11, 11, channels)
    y = y.permute(0, 1, 3, 2, 4, 5).reshape(n * 3, 33, channels)
    scores = y @ F.normalize(y, dim=-1).transpose(1, 2) + torch.linspace(-1, 1, 33 * 33).view(1, 33, 33)
    scores = scores.view(n, 3, 33, 33) + torch.arange(3.0).view(1, 3, 1, 1) * torch.eye(33)
    y = scores.view(n * 3, 33, 33).softmax(-1) @ y
    y = y.view(n, 3, 1, 3, 11, channels).permute(0, 1, 3, 2, 4, 5).reshape(n, height, width, channels)
    return torch.roll(y, (1, -2), (1, 2))[:, :8, 1:, :].permute(0, 3, 1, 2)


def with_token(x):
    tokens = x.flatten(2).transpose(1, 2)
    tokens = torch.cat([torch.linspace(-1, 1, 8).expand(len(x), 1, 8), tokens], 1) + torch.linspace(0, 2, 100 * 8).view(
        100, 8
    )
    return tokens[:, 0]


CALLS = {
    "attention": attention, "attention in heads": heads, "rolled windows": windows, "token before others": with_token,
    "product of two values": lambda x: torch.matmul(x, x.transpose(2, 3)), "softmax of rows": lambda x: x.softmax(2),
    "einsum": lambda x: torch.einsum("bchw,bcdw->bchd", x, x * 0.5),
    "sides turned": lambda x: x.permute(0, 3, 2, 1) * 2,
    "softmax where channels come last": lambda x: x.permute(0, 2, 3, 1).softmax(1).permute(0, 3, 1, 2),
    "groups": lambda x: F.relu(x.view(x.shape[0], 2, 4, x.shape[2], x.shape[3])).flatten(1),
    "mean over channels": lambda x: x.mean(1), "channels around": lambda x: F.pad(x, (0, 0, 0, 0, 2, -1), value=1.0),
    "parts": lambda x: x.unbind(1)[3] * 2, "one row": lambda x: x[:, :, 2], "last of all": lambda x: x[..., -1],
    "cat of rows": lambda x: torch.cat([x, x * 2], 2), "columns by pieces": lambda x: torch.cat(x.chunk(4, 3)[::-1], 3),
    "roll": lambda x: x.roll((2, -3), (2, 3)), "unit vectors": lambda x: F.normalize(x, dim=1),
    "a constant for each pixel": lambda x: x * torch.linspace(0, 1, 99).view(9, 11) + torch.ones(8, 1, 11).cumsum(2),
    "gate": gated, "chunk": chunked, "gate of pixels": lambda x: x.mean(1, keepdim=True).sigmoid() * x,
    "part of channels": lambda x: x[:, 2:7], "part of pixels": lambda x: x[:, :, 1:-2, ::3],
    "every third channel": lambda x: x[:, 1::3], "rows": lambda x: x.mean(2, keepdim=True),
    "columns": lambda x: x.mean(3, keepdim=True), "rows away": lambda x: x.mean(2),
    "pixels and channels": lambda x: x.mean((1, 3), keepdim=True),
    "pad": lambda x: F.pad(x, (1, -1, 0, 2), value=0.5), "reflect": lambda x: F.pad(x, (2, 1, 0, 3), mode="reflect"),
    "interpolate": lambda x: F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False),
    "silu": F.silu, "softmax": lambda x: x.softmax(dim=1), "pixel_shuffle": lambda x: F.pixel_shuffle(x, 2),
    "channel shuffle": lambda x: shuffled(x, 2), "channel shuffle in four": lambda x: shuffled(x, 4),
    "layer norm of each pixel": pixel_norm, "layers over channels that come last": channels_last,
    "swish by hand": lambda x: x * x.sigmoid(), "square": lambda x: x * x,
}  # fmt: skip
VECTORS = {
    "layer norm": nn.LayerNorm(12), "softmax": nn.Softmax(-1), "gelu": nn.GELU(), "group norm": nn.GroupNorm(3, 12),
}  # fmt: skip
LINES = {
    "instance norm": nn.InstanceNorm1d(4), "transposed": nn.ConvTranspose1d(4, 5, 3, stride=2, padding=1),
    "without overlap": nn.ConvTranspose1d(4, 5, 2, stride=2), "padded": nn.ReflectionPad1d((2, 1)),
    "nearest": nn.Upsample(scale_factor=3), "linear": nn.Upsample(size=5, mode="linear"),
    "adaptive": nn.AdaptiveAvgPool1d(4), "one": nn.AdaptiveAvgPool1d(1),
}  # fmt: skip


def agrees(model, x, folder):
    packed = pack(model.eval(), x)
    export_onnx(packed, folder / "m.onnx")
    np.testing.assert_allclose(onnx_outputs(folder / "m.onnx", x.numpy()), outputs(model, x), rtol=1e-4, atol=1e-4)
    for backend in ("c", "numpy"):
        done = PackedModel(packed.encoded, backend=backend)(x.numpy())
        np.testing.assert_allclose(done, outputs(model, x), rtol=1e-4, atol=1e-4)
    return packed


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def _strangers(module):
    """Its weights, if it has any, off what they begin as."""
    for tensor in module.parameters():
        tensor.data += 0.3 * torch.randn(tensor.shape)
    return module


@pytest.mark.parametrize("name", MODULES)
def test_module(name, tmp_path):
    agrees(
        nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), _strangers(MODULES[name])), 2 * torch.randn(2, 3, 9, 11), tmp_path
    )


@pytest.mark.parametrize("name", CALLS)
def test_call(name, tmp_path):
    agrees(Call(CALLS[name]), torch.randn(2, 3, 9, 11), tmp_path)


def test_split_in_three(tmp_path):
    agrees(Call(split, channels=9), torch.randn(2, 3, 5, 4), tmp_path)


class Branches(nn.Module):
    """Two convolutions of one value, side by side."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 5, 1), nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, x):
        return torch.cat([self.first(x), self.second(x)], 1)


def test_concatenation_of_packed_branches(tmp_path):
    x = torch.randn(2, 3, 9, 11)
    agrees(settle(binarize(Branches(), weights="xnor", activations="sign", example_input=x)), x, tmp_path)


@pytest.mark.parametrize(
    ("net", "x", "name"),
    [
        (nn.Sequential(nn.Embedding(7, 4), nn.Linear(4, 2)), torch.tensor([[1, 2]]), "mbedding"),
    ],
    ids=["embedding"],
)
def test_what_cannot_be_packed_is_refused_by_name(net, x, name):
    with pytest.raises(NinefoldError, match=name):
        pack(net.eval(), x)


@pytest.mark.parametrize("name", VECTORS)
def test_vector(name, tmp_path):
    agrees(nn.Sequential(nn.Linear(5, 12), _strangers(VECTORS[name])), torch.randn(3, 5), tmp_path)


@pytest.mark.parametrize("name", LINES)
def test_one_dimension(name, tmp_path):
    agrees(nn.Sequential(nn.Conv1d(2, 4, 3), _strangers(LINES[name])), torch.randn(3, 2, 12), tmp_path)


@pytest.mark.parametrize(
    ("make", "skip"),
    [(squeeze_excite, ["0", "*.down", "*.up"]), (UNet, ["stem.0", "up", "head"])],
    ids=["squeeze-excite", "u-net"],
)
def test_network_of_one_bit_layers_is_smaller_and_agrees(make, skip, tmp_path):
    x = torch.randn(2, 3, 20, 24)
    net = make()
    model = settle(binarize(net, weights="xnor", activations="sign", skip=skip, example_input=x))
    packed = agrees(model, x, tmp_path)
    assert packed.nbytes < sum(4 * one.numel() for one in net.parameters()) / 8


def test_file_with_each_of_them_that_an_earlier_version_wrote_loads():
    model = PackedModel.load(SAMPLES / "more-operations.bnn")
    assert {node.op for node in model.nodes} >= set(NEW)
    x = ((np.arange(2 * 4 * 6 * 5) * 37 % 101 - 50) / 32).astype(np.float32).reshape(2, 4, 6, 5)
    expected = json.loads((SAMPLES / "more-operations.json").read_text())
    np.testing.assert_allclose(model(x), expected, rtol=0, atol=2e-5)


def test_file_of_tokens_and_frames_that_an_earlier_version_wrote_loads():
    model = PackedModel.load(SAMPLES / "token-operations.bnn")
    assert {node.op for node in model.nodes} >= {"matmul", "pixelwise", "rearrange", "concat", "slice", "softmax"}
    assert {node.settings.get("function") for node in model.nodes} >= {"rsqrt"}
    x = ((np.arange(2 * 2 * 3 * 4 * 5) * 37 % 101 - 50) / 32).astype(np.float32).reshape(2, 2, 3, 4, 5)
    expected = json.loads((SAMPLES / "token-operations.json").read_text())
    np.testing.assert_allclose(model(x), expected, rtol=0, atol=2e-5)


class Block(nn.Module):
    """A block of ConvNeXt's form: depthwise, then layers over the channels of each pixel."""

    def __init__(self):
        super().__init__()
        self.deep = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.norm, self.wide, self.back = nn.LayerNorm(8, eps=1e-6), nn.Linear(8, 24), nn.Linear(24, 8)
        self.scale = nn.Parameter(torch.randn(8, 1, 1))

    def forward(self, x):
        y = self.norm(self.deep(x).permute(0, 2, 3, 1))
        return x + self.scale * self.back(F.gelu(self.wide(y))).permute(0, 3, 1, 2)


@pytest.mark.parametrize("weights", ["float", "xnor"])
def test_block_with_channels_last(weights, tmp_path):
    block = _strangers(Block())
    x = torch.randn(2, 8, 5, 6)
    if weights == "xnor":
        block = binarize(block, "xnor", skip=["deep"], example_input=x)
    agrees(block, x, tmp_path)


def test_stochastic_depth_is_nothing_in_evaluation(tmp_path):
    ops = pytest.importorskip("torchvision.ops")
    agrees(nn.Sequential(nn.Conv2d(3, 4, 3), ops.StochasticDepth(0.3, "row")), torch.randn(2, 3, 5, 6), tmp_path)


FRAMES = {
    "convolution": nn.Conv3d(4, 6, 3, padding=1), "strides": nn.Conv3d(4, 6, (3, 5, 2), (2, 3, 2), (1, 2, 0)),
    "dilated in groups": nn.Conv3d(4, 8, (2, 3, 3), padding=(0, 2, 1), dilation=(2, 2, 1), groups=2),
    "over time": nn.Conv3d(4, 5, (3, 1, 1), (2, 1, 1), (1, 0, 0), bias=False), "each pixel": nn.Conv3d(4, 5, 1, 2),
    "average": nn.AvgPool3d((2, 3, 3), (1, 2, 2), (0, 1, 1)), "max": nn.MaxPool3d(3, 2, 1),
    "max over time": nn.MaxPool3d((2, 1, 1)), "max of frames": nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
    "mean": nn.AdaptiveAvgPool3d(1),
}  # fmt: skip


@pytest.mark.parametrize("name", FRAMES)
@pytest.mark.parametrize("weights", ["float", "xnor"])
def test_frames(name, weights, tmp_path):
    net = nn.Sequential(nn.Conv3d(2, 4, 1), nn.BatchNorm3d(4), nn.ReLU(), _strangers(FRAMES[name]), nn.Flatten())
    x = torch.randn(2, 2, 5, 7, 6)
    agrees(
        net
        if weights == "float"
        else binarize(net, "xnor", skip=["0"], example_input=x)
        if name not in ("average", "max", "max over time", "max of frames", "mean")
        else net,
        x,
        tmp_path,
    )


def test_bits_of_frames_without_padding(tmp_path):
    x = torch.randn(2, 3, 5, 7, 6)
    net = nn.Sequential(nn.Conv3d(3, 5, (2, 3, 3), stride=(1, 2, 1)), nn.Flatten())
    agrees(binarize(net, "xnor", "sign", example_input=x).eval(), x, tmp_path)
    padded = binarize(nn.Sequential(nn.Conv3d(3, 5, 3, padding=1), nn.Flatten()), "xnor", "sign", example_input=x)
    with pytest.raises(InputError, match="1-bit inputs with padding over three dimensions"):
        pack(padded.eval(), x)


@pytest.mark.parametrize("batch_first", [True, False])
def test_attention_of_torch(batch_first, tmp_path):
    class Attends(nn.Module):
        def __init__(self):
            super().__init__()
            self.inside, self.attention = nn.Linear(5, 8), nn.MultiheadAttention(8, 2, batch_first=batch_first)
            self.outside = nn.Linear(8, 3)

        def forward(self, x):
            y = self.inside(x.transpose(1, 2) if batch_first else x.permute(2, 0, 1))
            y = self.attention(y, y, y, need_weights=False)[0]
            return self.outside(y if batch_first else y.transpose(0, 1))

    x = torch.randn(2, 5, 7)
    net = binarize(_strangers(Attends()), "xnor", example_input=x)
    assert type(net.attention.out_proj) is not type(net.inside), "attention reads those weights as they are"
    packed = agrees(net.eval(), x, tmp_path)
    assert sum(node.op == "conv_signs" for node in packed.nodes) == 2
