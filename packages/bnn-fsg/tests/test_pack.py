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
@pytest.mark.parametrize("backend", ["c", "numpy"])
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
        self.up, self.gru = nn.ConvTranspose2d(3, 8, 3), nn.CELU()

    def forward(self, x):
        x = self.up(x)
        return torch.fft.fft(x).real * self.gru(x) + x.cumsum(2)


def test_all_that_cannot_be_packed_is_listed_at_once():
    with pytest.raises(InputError) as caught:
        pack(Many(), torch.zeros(1, 3, 6, 6))
    for part in ("gru (CELU)", "cumsum", "fft"):
        assert part in str(caught.value)
    assert "up (" not in str(caught.value)


class Branching(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


def test_forward_that_branches_on_values_is_refused():
    with pytest.raises(InputError, match="cannot be traced"):
        pack(Branching(), torch.zeros(1, 3))


def test_output_of_frames_is_refused():
    x = torch.zeros(1, 2, 4, 4, 4)
    net = binarize(nn.Sequential(nn.Conv3d(2, 3, 3)), weights="bwn", example_input=x)
    with pytest.raises(InputError, match=r"an output of shape \(1, 3, 2, 2, 2\)"):
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


class Calls(nn.Module):
    """A forward that is one function."""

    def __init__(self, forward, **parts):
        super().__init__()
        self.call = forward
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x):
        return self.call(self, x)


def same_as_torch(model, x):
    """Packed, it gives what torch gives; each is called on numbers of its own, for torch may change them in place."""
    packed = pack(model, x)
    np.testing.assert_allclose(packed(x.clone().numpy()), outputs(model, x.clone()), rtol=1e-5, atol=1e-5)
    return packed


def _changed_argument(_, x):
    y = F.leaky_relu(x - 1, 0.5, inplace=True)
    return y + x


def _statement(_, x):
    y = x * 2
    y.clamp_(-1, 1)
    return y + x


def _sum_in_place(_, x):
    kept = y = x * 2
    y += x
    return y + kept


IN_PLACE = {
    "module": (lambda self, x: self.relu(x) + x, {"relu": nn.ReLU(inplace=True)}),
    "function": (lambda _, x: F.relu(x, inplace=True) + x, {}),
    "method": (lambda _, x: x.mul_(3) - x.relu(), {}),
    "statement": (_statement, {}),
    "sum": (_sum_in_place, {}),
    "another": (_changed_argument, {}),
}


@pytest.mark.parametrize("form", IN_PLACE)
def test_value_changed_in_place_is_used_as_it_is_then(form):
    torch.manual_seed(0)
    call, parts = IN_PLACE[form]
    x = torch.randn(3, 4, 5, 5)
    before = x.clone()
    same_as_torch(Calls(call, **parts), x)
    assert torch.equal(x, before), "the caller's example stays as it was"


def test_value_changed_in_place_under_another_name_is_refused():
    def forward(_, x):
        flat = x.flatten(1)
        flat.relu_()
        return x * 2

    with pytest.raises(InputError, match=r"mul.*reads input, which was changed in place"):
        pack(Calls(forward), torch.randn(2, 3, 4, 4))

    def given_back(_, x):
        y = x * 2
        y.flatten(1).relu_()
        return y

    with pytest.raises(InputError, match=r"output \(mul was changed in place"):
        pack(Calls(given_back), torch.randn(2, 3, 4, 4))


def test_packing_in_inference_mode():
    with torch.inference_mode():
        net = Calls(lambda self, x: self.fc(x) * self.scale, fc=nn.Linear(4, 3), scale=torch.rand(3))
        same_as_torch(net, torch.randn(2, 4))


REFUSED_CALLS = {
    "rounding_mode": lambda _, x: torch.div(x, 2, rounding_mode="floor"),
    "alpha": lambda _, x: torch.add(x, x, alpha=2),
    "training": lambda _, x: F.dropout(x),
    "divisor_override": lambda _, x: F.avg_pool2d(x, 2, divisor_override=3),
    "gives a tuple": lambda _, x: F.max_pool2d(x, 2, return_indices=True)[0],
    "float64": lambda _, x: x.mean((2, 3), dtype=torch.float64),
    "around the batch": lambda _, x: F.pad(x, (0, 0, 0, 0, 0, 0, 1, 1))[1:2],
    "antialias": lambda _, x: F.interpolate(x, size=3, mode="bilinear", antialias=True),
    "over dimension 0": lambda _, x: x.softmax(0),
    "over the batch": lambda _, x: x * x.mean(0),
    "along dimension 0": lambda _, x: x.chunk(1, 0)[0],
    "over the batch ": lambda _, x: x.unbind(0)[0],
    "int32": lambda _, x: x.view(torch.int32),
    "larger": lambda self, x: self.conv(x) * torch.arange(4.0).view(1, 4, 1, 1),
}


@pytest.mark.parametrize("word", REFUSED_CALLS)
def test_argument_that_changes_what_a_call_does_is_refused(word):
    with pytest.raises(InputError, match=rf"model: got .*({word.strip()})"):
        pack(Calls(REFUSED_CALLS[word], conv=nn.Conv2d(4, 1, 1)), torch.randn(1, 4, 5, 5))


def test_argument_that_changes_nothing_is_taken():
    def forward(_, x):
        x = F.dropout(F.pad(x, (0, 0, 0, 0)), 0.5, training=False)
        x = F.max_pool2d(input=x, kernel_size=2, return_indices=False)
        x = torch.add(input=x, other=F.relu(x, inplace=False)).clone(memory_format=torch.contiguous_format)
        return torch.clamp(x, max=0.5).mean(dim=(-1, -2), keepdim=False)

    same_as_torch(Calls(forward), torch.randn(2, 3, 4, 6))


def test_what_is_made_of_parameters_alone_is_a_constant():
    def forward(self, x):
        return x * torch.sigmoid(self.size * 2).view(1, -1, 1, 1)

    same_as_torch(Calls(forward, size=nn.Parameter(torch.randn(3))), torch.randn(2, 3, 4, 4))


class Optional(nn.Module):
    def forward(self, x, scale=None, *, add=0.5):
        return (x if scale is None else x * scale) + add


def test_arguments_of_forward_keep_their_defaults():
    same_as_torch(Optional(), torch.randn(2, 3))


@pytest.mark.parametrize("name", ["input", "output", "flatten", "number", "relu_1", "add"])
def test_layer_may_have_any_name(name):
    torch.manual_seed(0)

    def forward(self, x):
        return torch.relu(torch.relu(getattr(self, name)(x) + 1) - 0.5)

    for layer in (nn.Linear(5, 4), nn.Sequential(nn.Linear(5, 6), nn.Linear(6, 4))):
        same_as_torch(Calls(forward, **{name: layer}), torch.randn(3, 5))
    same_as_torch(nn.Linear(5, 4), torch.randn(3, 5))


@pytest.mark.parametrize(
    ("example", "match"),
    [
        (torch.randn(1, 5), r"example_input: got shape \(1, 5\), at which forward fails: .*mat"),
        (torch.randn(0, 4), "no dimension of size 0"),
        ("a", "got str, expected a float tensor"),
    ],
)
def test_example_that_does_not_fit_is_named(example, match):
    with pytest.raises(InputError, match=match):
        pack(nn.Linear(4, 3), example)


def test_picture_without_a_batch_is_refused():
    with pytest.raises(InputError, match=r"0 \(Conv2d: a value of 3 dimensions\)"):
        pack(nn.Sequential(nn.Conv2d(1, 1, 3)), torch.randn(1, 8, 8))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize(
    ("place", "binary"),
    [("0.weight", False), ("0.weight", True), ("0.bias", True), ("1.running_mean", True), ("1.running_var", False)],
)
def test_parameter_that_is_no_number_is_named_by_its_layer(place, binary, value):
    net = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5))
    if binary:
        net = binarize(net, weights="bwn", activations="sign")
    tensor = net.state_dict()[place]
    tensor.view(-1)[1] = value
    if place.endswith("var") and value == float("inf"):  # a channel of zeros: no fault
        return
    with pytest.raises(InputError, match=rf"model: got {place[0]}\b.*NaN or infinity"):
        pack(net, torch.randn(2, 6))


class Liar(BitConv2d):
    """Its thresholds are not those of its forward."""

    def binary_input(self):
        found = super().binary_input()
        return type(found)(found.threshold + 0.5, found.scale, found.shift)


def test_layer_whose_bits_are_not_those_of_its_forward_is_named():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), Liar(4, 5, 3))
    with pytest.raises(InputError, match=r"1 \(Liar: packed it gives .* where torch gives"):
        pack(net, torch.randn(1, 3, 8, 8))


def test_hook_that_changes_an_output_is_followed():
    net = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
    net[0].register_forward_hook(lambda module, inputs, output: output + 1)
    same_as_torch(net, torch.randn(1, 4))


def test_hook_that_changes_the_output_of_a_layer_of_bits_is_refused():
    net = nn.Sequential(BitConv2d(4, 3, 1))
    net[0].register_forward_pre_hook(lambda module, inputs: (inputs[0] + 1,))
    with pytest.raises(InputError, match="none from its input"):
        pack(net, torch.randn(1, 4, 3, 3))


@pytest.mark.parametrize(
    ("forward", "match"),
    [
        (lambda _, x: x * torch.rand(x.shape[1:]), "depend on the input by a hidden way, or on chance"),
        (lambda _, x: x * torch.from_numpy(np.asarray(x.tolist(), np.float32)), "cannot be traced: tolist"),
        (lambda _, x: x.relu() if len(x) == 1 else x.sigmoid(), "does something else with other samples"),
        (lambda _, x: x.view(x.shape[0], -1).view(1, -1, 2), "the batch in dimension 1"),
        (lambda _, x: x.view(1, 4, 6).transpose(0, 1), "takes no two samples"),
        (lambda _, x: x.flip(0) * 2, "flip"),
        (lambda _, x: (x.transpose(0, 1) @ x.transpose(0, 1).transpose(1, 2)).transpose(0, 1), "matmul"),
    ],
)
def test_forward_that_is_no_function_of_each_sample_is_refused(forward, match):
    with pytest.raises(InputError, match=match):
        pack(Calls(forward), torch.randn(1, 4, 6))


def test_layers_that_were_left_in_evaluation_stay_there():
    net = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)).train()
    net[1].eval()
    pack(net, torch.randn(2, 4))
    assert net.training
    assert not net[1].training


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_model_on_another_device_is_packed_and_stays_there():
    net = settle(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.PReLU(4)))
    x = torch.randn(2, 3, 6, 6)
    expected = outputs(net, x)
    packed = pack(net.cuda(), x.cuda())
    np.testing.assert_allclose(packed(x.numpy()), expected, rtol=1e-4, atol=1e-4)
    assert next(net.parameters()).device.type == "cuda"


@pytest.mark.parametrize("seed", range(5))
def test_rounding_and_ties_are_no_difference(seed):
    """BatchNorm that takes 1000 away again, sums on thresholds, and examples of noise, zeros and whole numbers."""
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), BitConv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8),
        nn.Hardtanh(), BitConv2d(8, 200, 3, groups=2), nn.BatchNorm2d(200), Shifted(200),
        BitConv2d(200, 4, 3, binary=False),
    )  # fmt: skip
    settle(net, seed)
    net[0].bias.data.add_(1000)
    net[1].running_mean.add_(1000)
    net[1].running_var[:4] = 0
    net[5].threshold.data[:] = 0
    for example in (torch.randn(1, 3, 9, 9), torch.zeros(1, 3, 9, 9), torch.randint(-9, 9, (1, 3, 9, 9))):
        pack(net, example)
    pack(net.bfloat16().float(), 100 * torch.randn(1, 3, 9, 9))


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"mean": [0.5]}, "mean and std: got one without the other"),
        ({"mean": [0.5, 0.5], "std": [1.0, 1.0]}, "mean: got 2 numbers, expected 3"),
        ({"mean": [0.5] * 3, "std": [1.0, 0.0, 1.0]}, "std: got .*0.0.*above 0"),
    ],
)
def test_normalisation_that_cannot_be_is_refused(given, match):
    with pytest.raises(InputError, match=match):
        pack(nn.Conv2d(3, 2, 1), torch.randn(1, 3, 4, 4), **given)


def test_packing_leaves_no_hook_behind():
    pack(binarize(nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 3)), "bwn-f").eval(), torch.randn(1, 8))
    assert not torch.nn.modules.module._global_forward_hooks_with_kwargs
