"""Two stages of training: 1-bit inputs behind float weights first, then 1-bit weights too."""

from __future__ import annotations

import json

import pytest
import torch
from bnn_fsg import STE, BinaryTrainer, Schedule, binarize, pack
from bnn_fsg.datasets import digits
from bnn_fsg.layers._layers import BinaryConv2d
from bnn_fsg.layers._nets import load_model
from ninefold.errors import InputError
from torch import nn

from .test_train_verbs import call

X = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
DATA = digits("train").first(64)


def net():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3), nn.Flatten(), nn.Linear(8, 10)
    )


def first(activations="rsign"):
    return binarize(net(), "float", activations, skip=["0", "4"], example_input=X)


def test_first_stage_is_the_float_convolution_of_signs():
    model = first()
    with torch.no_grad():
        model[2].activation.threshold.uniform_(-0.5, 0.5)
        x = model[1](model[0](X))
        signs = torch.where(x >= model[2].activation.threshold.view(-1, 1, 1), 1.0, -1.0)
        expected = nn.functional.conv2d(signs, model[2].weight, model[2].bias)
        torch.testing.assert_close(model[2](x), expected)


def test_first_stage_trains_weights_that_are_not_bits():
    model = first()
    before = model[2].weight.detach().clone()
    BinaryTrainer(model, STE(model, torch.optim.SGD(model.parameters(), lr=0.1)), Schedule(epochs=1, batch=16)).fit(
        DATA
    )
    moved = model[2].weight.detach() - before
    assert moved.abs().max() > 0
    with torch.no_grad():  # the forward uses them as they are
        x = model[1](model[0](X))
        torch.testing.assert_close(
            model[2](x), model[2]._conv_forward(model[2].activation(x), model[2].weight, model[2].bias)
        )


@pytest.mark.parametrize("given", [None, "rsign"])
def test_second_stage_begins_where_the_first_ended(given):
    model = first()
    with torch.no_grad():
        model[2].activation.threshold.uniform_(-0.5, 0.5)
    second = binarize(model, "xnor", given, skip=["0", "4"], example_input=X)
    assert type(second[2]) is BinaryConv2d
    assert second[2] is not model[2]
    assert torch.equal(second[2].weight, model[2].weight)
    assert torch.equal(second[2].activation.threshold, model[2].activation.threshold)
    with torch.no_grad():
        x = model[1](model[0](X))
        weight = model[2].weight.sign() * model[2].weight.abs().mean((1, 2, 3), keepdim=True)
        torch.testing.assert_close(second[2](x), nn.functional.conv2d(second[2].activation(x), weight, second[2].bias))
    assert second.state_dict().keys() == binarize(net(), "xnor", "rsign", skip=["0", "4"]).state_dict().keys()


def test_what_does_not_fit_the_stages_is_named():
    with pytest.raises(InputError, match="activations: got None with float weights, expected 1-bit inputs"):
        binarize(net(), "float", skip=["0", "4"])
    with pytest.raises(InputError, match="activations of layer 2: got 'sign', expected 'rsign' or None"):
        binarize(first(), "xnor", "sign", skip=["0", "4"])
    with pytest.raises(InputError, match="no layer to binarise"):
        binarize(binarize(first(), "xnor", skip=["0", "4"]), "xnor", skip=["0", "4"])
    with pytest.raises(InputError, match="weights of layer 2: got float ones, of a first stage"):
        pack(first().eval(), X)


def test_verbs_train_both_stages(tmp_path):
    folders = {name: str(tmp_path / name) for name in ("float", "first", "second", "third")}
    call("pretrain", "--net", "react-resnet8", "--width", "4", "--epochs", "1", "-o", folders["float"])
    words = ["--gradient", "ste", "--epochs", "1"]
    call("train", folders["float"], *words, "--weights", "float", "--activations", "rsign", "--skip", "conv1",
         "--skip", "fc", "-o", folders["first"])  # fmt: skip
    model, recipe = load_model(tmp_path / "first" / "model.safetensors")
    assert (recipe.weights, recipe.activations, recipe.skip) == ("float", "rsign", ("conv1", "fc"))
    call("train", folders["first"], *words, "--weights", "reactnet", "--lr", "1e-30", "-o", folders["second"])
    again, recipe = load_model(tmp_path / "second" / "model.safetensors")
    assert (recipe.weights, recipe.activations, recipe.skip) == ("reactnet", "rsign", ("conv1", "fc"))
    assert json.loads((tmp_path / "second" / "config.json").read_text())["activations"] is None
    kept = dict(again.named_parameters())
    for name, one in model.named_parameters():
        torch.testing.assert_close(kept[name], one, msg=name)
    with pytest.raises(InputError, match="--skip: got fc, expected nothing"):
        call("train", folders["first"], *words, "--skip", "fc", "-o", folders["third"])
