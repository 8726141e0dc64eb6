"""Ternary layers that are trained: what every estimator moves, and that what was trained is what runs packed."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from bnn_fsg import TernaryLinear, TernaryLM, pack
from bnn_fsg.baselines import GRADIENTS
from bnn_fsg.estimators._gradient import Gradient, Plain
from bnn_fsg.language.training import BitNet, Shape, bits_a_token, ternarize, train_text
from bnn_fsg.layers._layers import binary_layers
from bnn_fsg.layers._signs import Clip, Power
from bnn_fsg.layers._ternary import AbsMean, BitLinear
from bnn_fsg.runtime._native import sets
from ninefold.errors import InputError
from torch import nn
from transformers import BitNetConfig, BitNetForCausalLM

SHAPE = Shape(
    vocab_size=61, hidden_size=48, intermediate_size=80, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2,
)  # fmt: skip
TEXT = np.random.default_rng(0).permutation(np.repeat(np.arange(61), 3))[
    np.arange(3000) % 50
]  # a line of fifty, again and again
PART = TEXT[:500]


@pytest.fixture(scope="module")
def trained():
    torch.manual_seed(0)
    model = ternarize(BitNet(SHAPE))
    train_text(
        Gradient(model, torch.optim.Adam(model.parameters(), lr=1e-2)), TEXT, steps=90, batch=8, length=24, seed=0
    )
    return model


def test_weights_are_the_mean_times_minus_one_zero_or_one():
    weight = torch.tensor([[0.5, -0.5, 1.5, -1.5, 0.49, 0.51, 0.0, 3.0]])
    weight = weight / weight.abs().mean()
    assert AbsMean().bits(weight).tolist() == TernaryLinear.of_floats(weight.numpy()).ternary().tolist()
    assert AbsMean().bits(weight * 2.5).tolist() == AbsMean().bits(weight).tolist()
    assert AbsMean().values(weight).unique().numel() == 3


def test_straight_through_reaches_all_weights_and_a_stand_in_both_steps():
    weight = torch.tensor([[0.1, 0.4, -0.6, 3.0]], requires_grad=True)
    AbsMean()(weight, Clip()).sum().backward()
    assert weight.grad.tolist() == [[1, 1, 1, 1]]
    weight.grad = None
    out = AbsMean()(weight, Power(2.0))
    torch.testing.assert_close(out, AbsMean().values(weight))
    out.sum().backward()
    x = weight.detach() / weight.detach().abs().mean()
    torch.testing.assert_close(weight.grad, Power(2.0).derivative(2 * x - 1) + Power(2.0).derivative(2 * x + 1))


@pytest.mark.parametrize("backend", [*sets(), "numpy"])
def test_a_layer_gives_what_the_packed_one_gives_bit_for_bit(backend):
    torch.manual_seed(0)
    layer, x = (
        ternarize(nn.Linear(70, 33, bias=False)).eval(),
        torch.randn(5, 70) * torch.tensor([[1.0], [0], [9], [1e-7], [50]]),
    )
    packed = TernaryLinear.of_floats(layer.weight.detach().numpy(), backend=backend)
    np.testing.assert_array_equal(layer(x).detach().numpy(), packed(x.numpy()))
    torch.testing.assert_close(layer.train()(x), layer.eval()(x))


@pytest.mark.parametrize("name", GRADIENTS)
def test_every_estimator_trains_them(name):
    torch.manual_seed(0)
    model = ternarize(nn.Sequential(nn.Linear(12, 24), nn.Tanh(), nn.Linear(24, 3)))
    gradient = GRADIENTS[name](model, torch.optim.Adam(model.parameters(), lr=1e-2))
    x = torch.randn(96, 12)
    labels = (x @ torch.randn(12, 3)).argmax(1)
    losses = [float(gradient.step(lambda: nn.functional.cross_entropy(model(x), labels))) for _ in range(60)]
    assert losses[-1] < 0.8 * losses[0]
    assert gradient.skipped == 0


def test_training_lowers_the_loss_of_a_text(trained):
    torch.manual_seed(0)
    fresh, floats = ternarize(BitNet(SHAPE)).eval(), BitNet(SHAPE)
    assert bits_a_token(trained, PART, 24) < 0.5 * bits_a_token(fresh, PART, 24)
    train_text(
        Plain(floats, torch.optim.Adam(floats.parameters(), lr=1e-2)), TEXT, steps=40, batch=8, length=24, seed=0
    )
    assert bits_a_token(floats, PART, 24) < 0.5 * bits_a_token(fresh, PART, 24)


@pytest.mark.parametrize("backend", [*sets(), "numpy"])
def test_what_was_trained_is_what_runs_and_what_a_file_gives_back(trained, backend, tmp_path):
    trained.packed().save(tmp_path / "small.tlm")
    packed, loaded = trained.packed(backend=backend), TernaryLM.load(tmp_path / "small.tlm", backend=backend)
    with torch.no_grad():
        expected = trained(torch.from_numpy(TEXT[None, :40]))[0].numpy()
    for one in (packed, loaded):
        np.testing.assert_allclose(one(TEXT[:40]), expected, rtol=0, atol=1e-3)
    np.testing.assert_array_equal(packed(TEXT[:40]), loaded(TEXT[:40]))
    assert bits_a_token(packed, PART, 24) == pytest.approx(bits_a_token(trained, PART, 24), abs=1e-3)
    assert list(loaded.generate(TEXT[:10], 20)) == TEXT[10:30].tolist(), "it knows the line by heart"


def test_transformers_own_model_is_trained_and_packed(tmp_path):
    torch.manual_seed(0)
    sizes = {key: value for key, value in vars(SHAPE).items() if key not in ("rms_norm_eps", "rope_theta")}
    model = ternarize(BitNetForCausalLM(BitNetConfig(**sizes)), skip=["lm_head"])
    assert all(type(one) is BitLinear for one in binary_layers(model))
    gradient = Gradient(model, torch.optim.Adam(model.parameters(), lr=1e-3))
    tokens = torch.from_numpy(TEXT[None, :32])
    losses = [float(gradient.step(lambda: model(tokens, labels=tokens).loss)) for _ in range(8)]
    assert losses[-1] < losses[0]
    with torch.no_grad():  # files keep embeddings as float16
        model.get_input_embeddings().weight.copy_(model.get_input_embeddings().weight.half())
        model.lm_head.weight.copy_(model.lm_head.weight.half())
        expected = model.eval()(tokens).logits[0].numpy()
    model.config.quantization_config = {
        "quant_method": "bitnet",
        "linear_class": "autobitlinear",
        "quantization_mode": "online",
    }
    model.save_pretrained(tmp_path)
    np.testing.assert_allclose(TernaryLM.from_pretrained(tmp_path)(TEXT[:32]), expected, rtol=0, atol=1e-3)


def test_what_is_no_ternary_model_is_named():
    with pytest.raises(InputError, match="no binarised layer"):
        BitNet(SHAPE).packed()
    with pytest.raises(InputError, match="no layer to make ternary"):
        ternarize(nn.Sequential(nn.Conv2d(3, 4, 3)))
    with pytest.raises(InputError, match="'conv9', which matches nothing"):
        ternarize(nn.Sequential(nn.Linear(3, 4)), skip=["conv9"])
    with pytest.raises(InputError, match=r"layer 0: got ternary weights.*TernaryLinear"):
        pack(ternarize(nn.Sequential(nn.Linear(8, 4))).eval(), torch.randn(2, 8))


def test_packed_language_models_load_no_torch():
    code = "import sys; from bnn_fsg import TernaryLM, TernaryLinear; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
