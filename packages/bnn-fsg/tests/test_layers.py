"""`binarize`: which layers, in which order, and what it refuses."""

from __future__ import annotations

import copy

import pytest
import torch
from bnn_fsg.layers._activations import ACTIVATIONS, Maxout, RPReLU
from bnn_fsg.layers._layers import BinaryConv1d, BinaryConv2d, BinaryConv3d, BinaryLinear, binarize, binary_layers
from bnn_fsg.layers._quantizers import QUANTIZERS
from bnn_fsg.layers._spec import BinaryLayer
from ninefold.errors import InputError
from torch import nn


class Net(nn.Module):
    """Registered in another order than it runs."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 3)
        self.conv2 = nn.Conv2d(4, 8, 3, padding=1, groups=2, bias=False)
        self.conv1 = nn.Conv2d(2, 4, 3, stride=2)

    def forward(self, x):
        return self.fc(self.conv2(self.conv1(x)).mean((2, 3)))


X = torch.randn(2, 2, 9, 9, generator=torch.Generator().manual_seed(0))


def test_layers_are_numbered_as_they_run_and_the_model_stays():
    torch.manual_seed(0)
    model = Net()
    before = copy.deepcopy(model.state_dict())
    made = binarize(model, "bwn", example_input=X)
    assert [layer.label for layer in binary_layers(made)] == ["conv1", "conv2", "fc"]
    assert [layer.label for layer in binary_layers(binarize(model, "bwn"))] == ["fc", "conv2", "conv1"]
    assert type(model.conv1) is nn.Conv2d
    assert all(torch.equal(one, before[name]) for name, one in made.state_dict().items())
    assert made.training


@pytest.mark.parametrize("rule", ["conv*", nn.Conv2d])
def test_skip_by_name_and_type(rule):
    assert [layer.label for layer in binary_layers(binarize(Net(), skip=[rule]))] == ["fc"]


def behind(rectifier):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), rectifier(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 3)
    )


@pytest.mark.parametrize("activations", ["sign", "approx", "reste", "irnet"])
def test_signs_of_what_a_relu_leaves_are_refused(activations):
    """They are +1 everywhere: the network would score as chance does, and nothing would say why."""
    with pytest.raises(InputError, match=r"input of layer 5: got no negative value .* as behind a ReLU") as caught:
        binarize(behind(nn.ReLU), "bwn", activations, skip=["0"], example_input=X)
    assert "Hardtanh" in str(caught.value)


@pytest.mark.parametrize(
    ("rectifier", "activations", "example"),
    [(nn.Hardtanh, "approx", X), (nn.ReLU, "rsign", X), (nn.ReLU, "adabin", X), (nn.ReLU, None, X),
     (nn.ReLU, "sign", torch.zeros_like(X))],
)  # fmt: skip
def test_signs_that_can_be_of_both_kinds_are_not(rectifier, activations, example):
    net = behind(rectifier)
    net[0].bias = None  # so that zeros stay zeros, which say nothing
    assert len(binary_layers(binarize(net, "bwn", activations, skip=["0"], example_input=example))) == 1


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_an_example_of_one_value_says_nothing_about_signs(value):
    """What it leaves in a layer is the layer's bias, which may well be positive in every channel."""
    net = behind(nn.Hardtanh)
    net[0].weight.data.zero_()
    net[1].bias.data.fill_(0.5)
    assert binary_layers(binarize(net, "bwn", "sign", skip=["0"], example_input=torch.full_like(X, value)))


def test_a_layer_that_is_called_by_keyword_is_seen_too():
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(64, 3)

        def forward(self, x):
            return self.fc(input=x.relu())

    with pytest.raises(InputError, match="input of layer fc: got no negative value"):
        binarize(Named(), "bwn", "sign", example_input=torch.randn(2, 64))


def test_skip_of_a_block_takes_all_below_it():
    model = nn.ModuleDict({"a": nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), "b": nn.Linear(2, 2)})
    assert [layer.label for layer in binary_layers(binarize(model, skip=["a"]))] == ["b"]


@pytest.mark.parametrize(
    ("layer", "form", "shape"),
    [
        (nn.Linear(4, 3), BinaryLinear, (2, 4)),
        (nn.Conv1d(4, 3, 3, dilation=2), BinaryConv1d, (2, 4, 9)),
        (nn.Conv2d(4, 3, 3, padding=1, padding_mode="circular"), BinaryConv2d, (2, 4, 5, 5)),
        (nn.Conv3d(4, 2, 2, groups=2), BinaryConv3d, (2, 4, 3, 3, 3)),
    ],
)
def test_each_kind_computes_with_its_binary_weight(layer, form, shape):
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(1))
    made = binarize(layer, "xnor")
    assert type(made) is form
    plain = copy.deepcopy(layer)
    kept = made.binary_weight()
    scale = kept.scale.view(-1, *[1] * (layer.weight.ndim - 1))
    plain.weight.data = kept.sign * scale
    torch.testing.assert_close(made(x), plain(x))


@pytest.mark.parametrize("weights", QUANTIZERS)
@pytest.mark.parametrize("activations", ACTIVATIONS)
def test_what_pack_is_told_is_what_the_layer_computes(weights, activations):
    torch.manual_seed(1)
    made = binarize(nn.Conv2d(3, 4, 3, padding=1), weights, activations)
    assert isinstance(made, BinaryLayer)
    for name, one in made.activation.named_parameters():
        one.data += 0.3 if name != "alpha_a" else 0.5
    x = torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(2))
    told, weight = made.binary_input(), made.binary_weight()
    s = torch.where(x >= told.threshold.view(-1, 1, 1), 1.0, -1.0) * told.scale
    s = s if told.shift is None else s + told.shift
    w = weight.sign * weight.scale.view(-1, 1, 1, 1)
    w = w if weight.shift is None else w + weight.shift.view(-1, 1, 1, 1)
    torch.testing.assert_close(made(x), nn.functional.conv2d(s, w, made.bias, padding=1))


@pytest.mark.parametrize("kind", [RPReLU, Maxout])
def test_rectifiers_tell_pack_what_they_compute(kind):
    one = kind(3)
    for number, parameter in enumerate(one.parameters()):
        parameter.data += 0.1 * (number + 1)
    x = torch.randn(4, 3, 2, generator=torch.Generator().manual_seed(3))
    told = one.rectifier()
    u = x if told.shift_in is None else x + told.shift_in.view(-1, 1)
    y = told.positive.view(-1, 1) * u.clamp(min=0) + told.negative.view(-1, 1) * u.clamp(max=0)
    torch.testing.assert_close(one(x), y if told.shift_out is None else y + told.shift_out.view(-1, 1))


def shared():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    return model


def zeros(value):
    layer = nn.Linear(3, 2)
    layer.weight.data.fill_(value)
    return nn.Sequential(layer)


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (nn.Sequential(nn.ReLU()), {}, "no layer to binarise"),
        (Net(), {"skip": ["conv3"]}, "'conv3', which matches nothing"),
        (Net(), {"skip": "conv1"}, "expected a list of patterns"),
        (Net(), {"weights": "ternary"}, "weights: got 'ternary', expected one of dorefa"),
        (Net(), {"activations": "relu"}, "activations: got 'relu', expected None or one of sign"),
        (shared(), {}, "weights of 1.weight: got the same tensor as 0.weight"),
        (zeros(0.0), {}, "weights of layer 0: got all zero"),
        (zeros(0.3), {"weights": "irnet"}, "weights of layer 0: got filter 0 constant"),
        (zeros(float("nan")), {}, "weights of layer 0: got NaN"),
        (nn.Sequential(nn.ConvTranspose2d(2, 2, 2)), {}, "layer 0: got ConvTranspose2d"),
        (nn.MultiheadAttention(4, 2), {}, "no layer to binarise"),
        (nn.Sequential(nn.Linear(2, 2).half()), {}, "weights of layer 0: got torch.float16, expected float32"),
        (nn.ModuleDict({"a": nn.Linear(2, 2)}), {"skip": ["a"]}, "no layer to binarise"),
    ],
)
def test_bad_input_is_named(model, options, message):
    with pytest.raises(InputError, match=message):
        binarize(model, **options)


def test_layer_that_never_runs_is_named():
    class Idle(nn.Sequential):
        def forward(self, x):
            return self[0](x)

    with pytest.raises(InputError, match="layer 1: got it does not run on example_input"):
        binarize(Idle(nn.Linear(3, 3), nn.Linear(3, 3)), example_input=torch.zeros(1, 3))
