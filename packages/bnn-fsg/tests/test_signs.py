"""Derivatives and forwards against formulas written out another way."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from bnn_fsg.layers._quantizers import QUANTIZERS, quantizer
from bnn_fsg.layers._signs import Approx, Clip, Power, Tanh, binary, hard_sign
from ninefold.errors import InputError

POINTS = [-2.0, -1.5, -1.2, -1.0, -0.5, -0.1, -0.05, 0.0, 0.03, 0.1, 0.7, 1.0, 1.4, 1.6]


def by_hand(name, x):
    size = abs(x)
    if name == "clip":
        return 1.0 if size <= 1 else 0.0
    if name == "approx":
        return 2 - 2 * size if size < 1 else 0.0
    if name == "power":
        o = 2.2
        if size > 1.5:
            return 0.0
        return 0.1 ** (1 / o) / 0.1 if size <= 0.1 else (1 / o) * size ** ((1 - o) / o)
    t = 0.4
    return max(1 / t, 1) * t * (1 - math.tanh(t * x) ** 2)


@pytest.mark.parametrize(
    ("name", "surrogate"), [("clip", Clip()), ("approx", Approx()), ("power", Power(2.2)), ("tanh", Tanh(0.4))]
)
def test_derivative_equals_its_formula(name, surrogate):
    x = torch.tensor(POINTS, requires_grad=True)
    out = binary(x, surrogate)
    out.sum().backward()
    assert out.tolist() == [1.0 if value >= 0 else -1.0 for value in POINTS]
    np.testing.assert_allclose(x.grad, [by_hand(name, value) for value in POINTS], rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize("surrogate", [Clip(), Approx(), Power(2.2), Tanh(0.4)])
def test_value_is_the_integral_of_the_derivative(surrogate):
    x = torch.linspace(-2, 2, 40_001, dtype=torch.float64)
    steps = torch.cumulative_trapezoid(surrogate.derivative(x), x)
    value = surrogate.value(x)
    np.testing.assert_allclose(steps, value[1:] - value[0], atol=1e-3)
    np.testing.assert_allclose(value, -surrogate.value(-x), atol=1e-12)


def test_schedules_begin_and_end_where_published():
    assert Power.at(0).o == 1
    assert Power.at(1).o == pytest.approx(3)
    assert Power.at(0.5).o == pytest.approx(1 + 2 * (1 - math.cos(math.pi / 4)))
    assert (Tanh.at(0).t, Tanh.at(1).t) == pytest.approx((0.1, 10))
    assert Tanh.at(0.5).t == pytest.approx(1)


def test_zero_is_never_a_third_value():
    assert hard_sign(torch.tensor([0.0, -0.0])).tolist() == [1, 1]
    assert hard_sign(torch.tensor([0.0, -0.0]), tie=-1).tolist() == [-1, -1]
    with pytest.raises(InputError, match="tie"):
        hard_sign(torch.zeros(1), tie=0)


def expected(name, w):
    """W^ of (filters, rest) weights in numpy, row by row."""
    out = np.empty_like(w)
    biggest = np.abs(np.tanh(w)).max()
    for row, values in enumerate(w):
        plus = np.where(values >= 0, 1.0, -1.0)
        if name == "dorefa":
            out[row] = 2 * np.round(0.5 + np.tanh(values) / (2 * biggest)) - 1
        elif name == "bwn":
            out[row] = np.abs(w).mean() * plus
        elif name == "bwn-none":
            out[row] = plus
        elif name in ("bwn-f", "xnor", "reactnet"):
            out[row] = np.abs(values).mean() * plus
        elif name == "irnet":
            x = (values - values.mean()) / values.std(ddof=1)
            out[row] = 2.0 ** np.round(np.log2(np.abs(x).mean())) * np.where(x >= 0, 1, -1)
        else:
            b = values.mean()
            a = np.sqrt(((values - b) ** 2).mean())
            out[row] = a * np.where(values - b >= 0, 1, -1) + b
    return out


@pytest.mark.parametrize("name", QUANTIZERS)
def test_forward_equals_its_formula_and_its_bits(name):
    w = torch.randn(5, 3, 3, 3, generator=torch.Generator().manual_seed(1)) * 0.3
    w[0, 0, 0, 0] = 0.0
    form = quantizer(name)
    got = form.values(w)
    np.testing.assert_allclose(got.flatten(1), expected(name, w.flatten(1).double().numpy()), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(form(w, Clip()).detach(), got)
    scale, shift = (one.view(-1, 1, 1, 1) for one in form.affine(w))
    torch.testing.assert_close(form.bits(w) * scale + shift, got)
    assert set(form.bits(w).unique().tolist()) == {-1.0, 1.0}


@pytest.mark.parametrize("name", ["dorefa", "bwn", "bwn-none", "bwn-f"])
def test_gradient_is_gate_times_calibration(name):
    w = (torch.randn(4, 6, generator=torch.Generator().manual_seed(2)) * 0.9).requires_grad_()
    g = torch.randn(4, 6, generator=torch.Generator().manual_seed(3))
    form = quantizer(name)
    form(w, Clip()).backward(g)
    fixed = w.detach()
    torch.testing.assert_close(w.grad, g * form.gate(fixed) * form.calibration(fixed))
    if name == "dorefa":
        bent = torch.tanh(fixed)
        torch.testing.assert_close(w.grad, g * (1 - bent**2) / bent.abs().max())


def test_gradient_of_xnor_is_equation_11():
    w = (torch.randn(3, 8, generator=torch.Generator().manual_seed(4)) * 0.5).requires_grad_()
    g = torch.randn(3, 8, generator=torch.Generator().manual_seed(5))
    quantizer("xnor")(w, Clip()).backward(g)
    for row in range(3):
        values, up = w.detach()[row], g[row]
        alpha = values.abs().mean()
        direct = up * alpha * (values.abs() <= 1) + values.sign() / 8 * (up * values.sign()).sum()
        torch.testing.assert_close(w.grad[row], direct)
