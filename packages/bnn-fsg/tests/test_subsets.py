"""Layers of signs by sums of four inputs: which they are, where they are used, and what comes of them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from bnn_fsg.runtime._arguments import SUBSETS
from bnn_fsg.runtime._geometry import Geometry, Margins
from bnn_fsg.runtime._layers import Finish, FloatLayer
from bnn_fsg.runtime._sign_layer import SignLayer
from bnn_fsg.runtime._subsets import picks_of

GEOMETRIES = [
    (Geometry((3, 3), padding=(1, 1)), (8, 11)),
    (Geometry((1, 1)), (1, 37)),
    (Geometry((5, 1), padding=(2, 0)), (40, 3)),
    (Geometry((2, 3), padding=(0, 1), dilation=(3, 2)), (9, 20)),
    (Geometry((3, 3)), (3, 3)),
]


def made(geometry, size, channels, each, groups=1, seed=0):
    """(bits, numbers small and whole, so that any order of sums is exact, last steps)."""
    generator = np.random.default_rng(seed)
    bits = generator.random((each * groups, geometry.taps, channels)) < 0.5
    x = generator.integers(-9, 10, (3, *size, channels * groups)).astype(np.float32)
    finish = Finish(*(generator.integers(1, 4, each * groups).astype(np.float32) for _ in range(7)))
    return bits, x, finish


@pytest.mark.parametrize(("geometry", "size"), GEOMETRIES, ids=str)
@pytest.mark.parametrize("channels", [1, 4, 17, 70])
@pytest.mark.parametrize("each", [16, 21, 64])
def test_the_same_sums_as_by_numpy(geometry, size, channels, each, monkeypatch):
    for groups in (1, 3):
        bits, x, finish = made(geometry, size, channels, each, groups)
        expected = FloatLayer(bits, geometry, groups, finish, backend="numpy")(x)
        layer = SignLayer(bits, geometry, groups, finish, backend="numba")
        residual = np.arange(expected.size, dtype=np.float32).reshape(expected.shape) % 7
        added = FloatLayer(bits, geometry, groups, finish, backend="numpy")(x, residual)
        with monkeypatch.context() as patch:
            patch.setattr(FloatLayer, "__call__", None)  # nothing is left to the layer that multiplies
            for threads in (1, 2):
                np.testing.assert_array_equal(layer(x, threads=threads), expected)
            np.testing.assert_array_equal(layer(x, residual), added)
            np.testing.assert_array_equal(layer(x, planes=True), expected.transpose(0, 3, 1, 2))


@pytest.mark.parametrize(
    ("geometry", "size", "each"),
    [
        (Geometry((3, 3), (2, 2), (1, 1)), (9, 9), 32),
        (Geometry((3, 3), padding=(1, 1)), (9, 9), 15),
        (Geometry((5, 5), padding=(4, 4)), (6, 6), 32),
    ],
    ids=["a stride", "few filters", "wide margins"],
)
def test_elsewhere_they_multiply(geometry, size, each, monkeypatch):
    bits, x, finish = made(geometry, size, 8, each)
    expected = FloatLayer(bits, geometry, 1, finish, backend="numpy")(x)
    layer = SignLayer(bits, geometry, 1, finish, backend="numba")
    monkeypatch.setattr("bnn_fsg.runtime._sign_layer.shared", None)
    np.testing.assert_array_equal(layer(x), expected)


@pytest.mark.parametrize("fours", [1, SUBSETS, SUBSETS + 3])
def test_a_pick_names_the_signs_of_four_steps(fours):
    """Each pick's entry, written out in bits, gives the filter back."""
    bits = np.random.default_rng(0).random((6, fours, 3)) < 0.5
    (picks,) = picks_of(bits, 1)
    found = np.zeros((8, fours, 4), bool)
    at = 0
    for first in range(0, fours, SUBSETS):
        some = range(first, min(fours, first + SUBSETS))
        for quad, four, one in itertools.product(range(2), some, range(4)):
            entry, row = picks[at] // 16 % 16, picks[at] // 256
            assert row == four - first
            found[4 * quad + one, four] = [entry >> bit & 1 for bit in range(4)]
            at += 1
    assert at == len(picks)
    np.testing.assert_array_equal(found[:6, :, :3], bits)
    assert not found[6:].any()
    assert not found[:, :, 3].any()


def test_planes_with_margins_hold_what_the_steps_ask_for():
    for geometry, size in GEOMETRIES:
        found = Margins.of(geometry, *size, 5)
        assert found.channels == 8
        assert found.steps.max() + 16 * int(found.shape[3]) <= found.channels * found.plane
        assert found.plane // 16 % 2
