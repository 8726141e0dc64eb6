"""Deformable lifting: all backends and a slow formula agree; shapes and multiply-accumulates by formula."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from fastocc.evaluation import count_macs
from fastocc.lifting import (
    LIFTS,
    DeformConv,
    _deform,
    deform_conv_gathered,
    faster_backend,
    offset_parameters,
    set_backend,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from ninefold.errors import InputError


def by_hand(x, offset, mask, weight):
    """U(p) = sum_k m_k(p) W_k F(p + p_k + D_k(p)), point by point."""
    channels, height, width = x.shape
    made = np.zeros((weight.shape[0], height, width))

    def at(row, column):
        value, base_r, base_c = np.zeros(channels), int(np.floor(row)), int(np.floor(column))
        for r in (base_r, base_r + 1):
            for c in (base_c, base_c + 1):
                if 0 <= r < height and 0 <= c < width:
                    value += x[:, r, c] * (1 - abs(row - r)) * (1 - abs(column - c))
        return value

    for r in range(height):
        for c in range(width):
            for k in range(9):
                row, column = r + k // 3 - 1 + offset[2 * k, r, c], c + k % 3 - 1 + offset[2 * k + 1, r, c]
                made[:, r, c] += weight[:, :, k // 3, k % 3] @ at(row, column) * mask[k, r, c]
    return made


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000), st.floats(0, 3))
def test_backends_equal_the_formula(seed, reach):
    generator = torch.Generator().manual_seed(seed)
    x, weight = torch.randn(1, 2, 4, 5, generator=generator), torch.randn(3, 2, 3, 3, generator=generator)
    offset = torch.randn(1, 18, 4, 5, generator=generator) * reach
    mask = torch.rand(1, 9, 4, 5, generator=generator)
    expected = by_hand(*(one.double().numpy() for one in (x[0], offset[0], mask[0], weight)))
    for run in _deform.BACKENDS.values():
        np.testing.assert_allclose(run(x, offset, mask, weight, None)[0].numpy(), expected, atol=1e-4)


@pytest.mark.parametrize("backend", list(_deform.BACKENDS))
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_places_on_a_wide_map_are_exact_in_each_type(backend, dtype):
    layer = DeformConv(1, 1, backend).to(dtype)
    with torch.no_grad():
        layer.weight.zero_()[0, 0, 1, 1] = 2.0  # times a modulation of one half: the cell itself, moved
        layer.field.bias[9] = 0.5  # the middle point's column
    x = torch.zeros(1, 1, 3, 300, dtype=dtype)
    x[..., 201] = 1.0
    with torch.no_grad():
        made = layer(x)
    assert made.dtype == dtype
    torch.testing.assert_close(made[0, 0, 1, 199:203].float(), torch.tensor([0.0, 0.5, 0.5, 0.0]))


@pytest.mark.parametrize("backend", list(_deform.BACKENDS))
def test_offsets_that_are_not_finite_are_seen_in_the_result(backend):
    layer = DeformConv(2, 3, backend)
    torch.nn.init.constant_(layer.field.bias, float("nan"))
    assert layer(torch.ones(1, 2, 4, 5)).isnan().all()


def test_gradients_of_the_backends_agree():
    torch.manual_seed(0)
    grads = []
    x = torch.randn(2, 4, 6, 7)
    layer = DeformConv(4, 5)
    torch.nn.init.normal_(layer.field.weight, std=0.2)
    for backend in _deform.BACKENDS:
        set_backend(layer, backend)
        layer.zero_grad()
        layer(x).square().sum().backward()
        grads.append([one.grad.clone() for one in layer.parameters()])
    for native, *others in zip(*grads, strict=True):
        for other in others:
            torch.testing.assert_close(native, other, atol=1e-3, rtol=1e-4)


def test_size_of_blocks_changes_nothing_but_memory(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    draw = [torch.randn(2, count, 7, 5, generator=generator) for count in (3, 18, 9)]
    weight, bias = torch.randn(4, 3, 3, 3, generator=generator), torch.randn(4, generator=generator)
    whole = deform_conv_gathered(*draw, weight, bias)
    monkeypatch.setattr(_deform, "_BLOCK", 9 * 3 * 4)  # four cells of 35 at a time
    torch.testing.assert_close(deform_conv_gathered(*draw, weight, bias), whole, atol=1e-5, rtol=1e-5)


def test_fresh_deformation_is_a_plain_convolution_at_half_weight():
    torch.manual_seed(0)
    layer, x = DeformConv(3, 4), torch.randn(1, 3, 5, 5)
    torch.testing.assert_close(layer(x), torch.nn.functional.conv2d(x, layer.weight, padding=1) / 2, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", list(LIFTS))
def test_lift_folds_height_into_the_batch(name):
    lift = LIFTS[name](6, 3, 4).eval()
    assert lift(torch.randn(2, 6, 5, 7)).shape == (8, 3, 5, 7)


@pytest.mark.parametrize("name", list(LIFTS))
def test_each_height_has_a_norm_of_its_own_and_no_sign_is_lost(name):
    torch.manual_seed(0)
    lift = LIFTS[name](6, 3, 4)
    made = lift(torch.randn(2, 6, 5, 7)).unflatten(0, (2, 4))  # (B, Z, Cv, Y, X), in training
    torch.testing.assert_close(made.mean((0, 3, 4)), torch.zeros(4, 3), atol=1e-5, rtol=0)
    assert (made < 0).any()
    assert lift.norm.weight.shape == (12,)


@pytest.mark.parametrize("name", list(LIFTS))
def test_lifts_keep_a_narrow_type(name):
    torch.manual_seed(0)
    lift, x = LIFTS[name](4, 3, 2).eval(), torch.randn(1, 4, 5, 6)
    made = lift.bfloat16()(x.bfloat16())
    assert made.dtype == torch.bfloat16
    torch.testing.assert_close(made.float(), lift.float()(x), atol=0.05, rtol=0.05)


def test_macs_follow_the_formula():
    cells, channels, outputs, levels = 5 * 7, 6, 3, 4
    counts = {
        name: count_macs(LIFTS[name](channels, outputs, levels).eval(), torch.zeros(1, channels, 5, 7))
        for name in LIFTS
    }
    field = 9 * channels * 27
    assert counts["dcn"] == cells * (9 * channels * outputs * levels + field)
    assert counts["conv"] == cells * 9 * channels * outputs * levels
    assert counts["linear"] == cells * channels * outputs * levels


def test_offsets_move_during_training():
    torch.manual_seed(0)
    layer = DeformConv(4, 4)
    optimizer = torch.optim.AdamW(layer.parameters(), lr=1e-2)
    x = torch.randn(4, 4, 8, 8)
    for _ in range(5):
        optimizer.zero_grad()
        (layer(x) - x.roll(1, 3)).square().mean().backward()
        optimizer.step()
    assert layer.offsets(x)[0].abs().max() > 1e-3


@pytest.mark.parametrize(("name", "count"), [("dcn", 2), ("conv", 0), ("linear", 0)])
def test_weights_of_the_offsets_are_found(name, count):
    lift = LIFTS[name](4, 3, 2)
    found = offset_parameters(lift)
    assert len(found) == count
    assert all(not one.any() for one in found)  # they alone start at zero in weight and bias


def test_faster_backend_is_left_set():
    layer = DeformConv(3, 3)
    assert faster_backend(layer, torch.randn(1, 3, 6, 6), repeats=1) == layer.backend


def test_unknown_backend_is_named():
    with pytest.raises(InputError, match="cuda"):
        DeformConv(3, 3, "cuda")
