"""The packed kernels against int64 convolutions of torch: every bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from bnn_fsg.runtime import _numpy
from bnn_fsg.runtime._layers import BitLayer, Finish, FloatLayer, Geometry, kernels, pack_signs

CHANNELS = [1, 3, 16, 17, 63, 64, 65, 130]
BACKENDS = ["numba", "numpy"]
SHAPES = [  # kernel, stride, padding, dilation, groups, picture
    (1, 1, 0, 1, 1, (5, 4)),
    (3, 1, 1, 1, 1, (7, 9)),
    (3, 2, 1, 1, 1, (9, 7)),
    (3, 1, 2, 2, 2, (8, 5)),
    (5, 3, 4, 1, 1, (6, 11)),
    (1, 2, 1, 1, 3, (5, 5)),
    (5, 1, 4, 2, 1, (3, 3)),
]


def signs(shape, seed):
    return np.random.default_rng(seed).random(shape) < 0.5


def whole(bits):
    return torch.from_numpy(np.where(bits, 1, -1).astype(np.int64))


def reference(x, weight, shape):
    """x (n, h, w, c), weight (out, kernel, kernel, c / groups), int64 -> (n, oh, ow, out) int64."""
    _, stride, padding, dilation, groups, _ = shape
    pictures, filters = x.permute(0, 3, 1, 2), weight.permute(0, 3, 1, 2)
    done = torch.nn.functional.conv2d(
        pictures, filters, stride=stride, padding=padding, dilation=dilation, groups=groups
    )
    return done.permute(0, 2, 3, 1).numpy()


def geometry(shape):
    kernel, stride, padding, dilation, _, _ = shape
    return Geometry((kernel,) * 2, (stride,) * 2, (padding,) * 2, (dilation,) * 2)


def plain(out):
    return Finish(np.ones(out, np.float32), np.zeros(out, np.float32))


def case(channels, shape, out, seed=0):
    kernel, groups, size = shape[0], shape[4], shape[5]
    x = signs((2, *size, channels * groups), seed)
    return x, signs((out * groups, kernel, kernel, channels), seed + 1)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_convolution_of_bits_equals_int64(channels, shape, backend):
    for out in (1, 16, 21):
        x, weight = case(channels, shape, out)
        expected = reference(whole(x), whole(weight), shape)
        bits = weight.reshape(out * shape[4], -1, channels)
        layer = BitLayer(bits, geometry(shape), shape[4], plain(out * shape[4]), backend=backend)
        packed = _numpy.words_of(x)
        for threads in (1, 2):
            np.testing.assert_array_equal(layer(packed, exact=True, threads=threads), expected)
            np.testing.assert_array_equal(layer(packed, threads=threads), expected)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("channels", CHANNELS)
def test_linear_layer_of_bits_equals_int64(channels, backend):
    x, weight = signs((7, channels), 2), signs((33, channels), 3)
    layer = BitLayer(weight[:, None], Geometry(), 1, plain(33), backend=backend)
    expected = torch.nn.functional.linear(whole(x), whole(weight)).numpy()
    for threads in (1, 2):
        done = layer(_numpy.words_of(x)[:, None, None], exact=True, threads=threads)
        np.testing.assert_array_equal(done[:, 0, 0], expected)


def test_work_worth_two_threads_gives_the_same_bits():
    shape = (3, 1, 1, 1, 1, (31, 33))
    x, weight = case(65, shape, 40)
    layer = BitLayer(weight.reshape(40, 9, 65), geometry(shape), 1, plain(40), backend="numba")
    one, two = (layer(_numpy.words_of(x), exact=True, threads=threads) for threads in (1, 2))
    np.testing.assert_array_equal(one, reference(whole(x), whole(weight), shape))
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("channels", [3, 17, 64, 130])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_numbers_times_bits_equal_int64(channels, shape, backend):
    for out in (5, 32):
        x, weight = case(channels, shape, out)
        numbers = np.random.default_rng(5).integers(-50, 50, x.shape)
        expected = reference(torch.from_numpy(numbers), whole(weight), shape)
        bits = weight.reshape(out * shape[4], -1, channels)
        given = numbers.astype(np.float32)
        for filters in (bits, np.where(bits, 1, -1).astype(np.float32)):
            layer = FloatLayer(filters, geometry(shape), shape[4], plain(out * shape[4]), backend=backend)
            for threads in (1, 2):
                np.testing.assert_array_equal(layer(given, threads=threads), expected)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_two_valued_weights_and_inputs_with_zero_padding(shape, backend):
    """w = p s + q and a = u s + v, with zeros (no value of a) outside the picture, then residual and rectifier."""
    out, channels, generator = 18, 17, np.random.default_rng(7)
    x, weight = case(channels, shape, out)
    width = out * shape[4]
    scale, mean, bias, before, after = generator.normal(size=(5, width))
    positive, negative = generator.uniform(0.2, 2, (2, width))
    wide, high = 0.7, 0.3
    inputs = torch.from_numpy(np.where(x, wide, -wide) + high)
    filters = np.where(weight, 1, -1) * scale[:, None, None, None] + mean[:, None, None, None]
    expected = reference(inputs, torch.from_numpy(filters), shape)
    residual = generator.normal(size=expected.shape).astype(np.float32)
    total = expected + bias + residual + before
    expected = np.where(total > 0, positive, negative) * total + after
    finish = Finish(scale * wide, bias, mean * wide, before, positive, negative, after)
    bits = weight.reshape(width, -1, channels)
    layer = BitLayer(bits, geometry(shape), shape[4], finish, offset=high / wide, backend=backend)
    done = layer(_numpy.words_of(x), np.ascontiguousarray(residual))
    np.testing.assert_allclose(done, expected, rtol=2e-5, atol=2e-4)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_bits_of_bounded_sums(shape, backend):
    out, channels = 70, 5
    x, weight = case(channels, shape, out)
    width = out * shape[4]
    generator = np.random.default_rng(1)
    bound, turned = generator.integers(-9, 9, width).astype(np.int32), generator.random(width) < 0.5
    bits = weight.reshape(width, -1, channels)
    layer = BitLayer(bits, geometry(shape), shape[4], plain(width), bound=(bound, turned), backend=backend)
    expected = (reference(whole(x), whole(weight), shape) >= bound) ^ turned
    np.testing.assert_array_equal(_numpy.bits_of(layer(_numpy.words_of(x)), width), expected)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("channels", [*CHANNELS, 128])
def test_signs_are_packed_with_ties_up(channels, backend):
    x = np.random.default_rng(0).integers(-2, 3, (3, 4, 5, channels)).astype(np.float32)
    thresholds = np.random.default_rng(1).integers(-1, 2, channels).astype(np.float32)
    packed = pack_signs(x, thresholds, backend)
    assert packed.shape[-1] == -(-channels // 64)
    np.testing.assert_array_equal(_numpy.bits_of(packed, channels), x >= thresholds)
    spare = _numpy.bits_of(packed, packed.shape[-1] * 64)[..., channels:]
    assert not spare.any()


def test_numpy_steps_in_with_a_warning_where_numba_is_missing(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "bnn_fsg.runtime._kernels", None)
    monkeypatch.delattr("bnn_fsg.runtime._kernels", raising=False)
    kernels.cache_clear()
    with pytest.warns(UserWarning, match="slower than float32"):
        assert kernels("auto") is _numpy
    kernels.cache_clear()
