"""The packed kernels against int64 convolutions of torch: every bit."""

from __future__ import annotations

import threading

import numba
import numpy as np
import pytest
import torch
from bnn_fsg.runtime import _kernels, _layers, _numpy, _tiles, _vectors
from bnn_fsg.runtime._geometry import Geometry
from bnn_fsg.runtime._layers import BitLayer, Finish, FloatLayer, kernels, pack_signs, shared
from bnn_fsg.runtime._sign_layer import SignLayer

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


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("out", [3, 32, 50, 64])
def test_whole_words_of_channels_equal_int64(out, padding, groups):
    """128 channels are two words a pixel; panels even and odd, the last one full or not, 63 or 117 output pixels."""
    shape = (3, 1, padding, 1, groups, (9, 11 if padding else 10))
    x, weight = case(128, shape, out)
    width = out * groups
    expected = reference(whole(x), whole(weight), shape)
    finish = Finish(np.ones(width, np.float32), np.zeros(width, np.float32), np.full(width, 2, np.float32))
    layer = BitLayer(weight.reshape(width, 9, -1), geometry(shape), groups, finish, backend="numba")
    packed = _numpy.words_of(x)
    np.testing.assert_array_equal(layer(packed, exact=True), expected)
    ones = whole(np.ones(weight.shape, bool))
    residual = np.random.default_rng(3).integers(-9, 9, expected.shape).astype(np.float32)
    expected = expected + 2 * reference(whole(x), ones, shape)
    np.testing.assert_array_equal(layer(packed), expected)
    np.testing.assert_array_equal(layer(packed, residual), expected + residual)


@numba.njit
def _each_count(x, begins, steps, panels, out):
    words, width = len(steps), out.shape[1]
    for panel in range(panels.shape[1]):
        row, at, column = 0, panel * words * 16, panel * 16
        while row + 4 <= len(begins):
            one, two, three, four = _tiles.bit_tile(x, begins, row, steps, panels, at, words)
            _vectors.store(out, row * width + column, one)
            _vectors.store(out, (row + 1) * width + column, two)
            _vectors.store(out, (row + 2) * width + column, three)
            _vectors.store(out, (row + 3) * width + column, four)
            row += 4
        while row < len(begins):
            (one,) = _tiles.bit_row(x, begins, row, steps, panels, at, words)
            _vectors.store(out, row * width + column, one)
            row += 1


@pytest.mark.parametrize("way", ["counted", *["looked up"] * _tiles.LOOKUP])
@pytest.mark.parametrize("bits", [1, 130, 496, 497, 1152, 5000])
@pytest.mark.parametrize("panels", [1, 2, 3])
def test_both_ways_to_compare_bits_equal_int64(panels, bits, way):
    """31 rows leave some beside the tiles of 4; 496 bits are the most of which a byte holds the counts."""
    count, generator = 31, np.random.default_rng(bits)
    left, right = generator.random((count, bits)) < 0.5, generator.random((panels * 16, bits)) < 0.5
    left[0], right[0], right[1] = True, False, True  # the largest counts there are
    rows = _numpy.words_of(left)
    words = rows.shape[1]
    laid = np.ascontiguousarray(_numpy.words_of(right).reshape(1, panels, 16, words).swapaxes(2, 3))
    out = np.full((_tiles.BLOCK, panels * 16), 7, np.int32)
    begins, steps = np.arange(count) * words, np.arange(words)
    if way == "counted":
        _each_count(rows.reshape(-1), begins, steps, laid, out)
    else:
        places = np.empty((_tiles.BLOCK, 8 * words), np.uint16)
        _kernels._lookup_places(rows.reshape(-1), begins, steps, count, places)
        _kernels._lookup_rows(places, count, _kernels.arrange(laid), 0, panels, words, bits, out)
    np.testing.assert_array_equal(bits - out[:count], (whole(left) @ whole(right).T).numpy())
    assert (out[count:] == 7).all()


@pytest.mark.parametrize(("worth", "threads", "calls"), [(0, 2, 1), (1, 2, 1), (9, 1, 1), (2, 2, 2), (99, 2, 4)])
def test_work_is_shared_only_where_parts_pay(worth, threads, calls):
    found, lock = [], threading.Lock()

    def call(begin, end):
        with lock:
            found.append((begin, end))

    shared(call, 100, worth, threads)
    assert len(found) == calls
    assert [one for part in sorted(found) for one in range(*part)] == list(range(100))


def test_error_in_a_part_is_raised():
    def call(begin, end):
        if begin:
            raise MemoryError(begin)

    with pytest.raises(MemoryError):
        shared(call, 64, 2, 2)


def test_single_picture_of_a_small_network_stays_in_one_thread(monkeypatch):
    monkeypatch.setattr(_layers, "_pool", None)  # asking for threads would fail
    shape = (3, 1, 1, 1, 1, (32, 32))
    x, weight = case(16, shape, 16)
    layer = BitLayer(weight.reshape(16, 9, 16), geometry(shape), 1, plain(16), backend="numba")
    numbers = np.where(x, 1, -1).astype(np.float32)
    packed = pack_signs(numbers[:1], np.zeros(16, np.float32), "numba", threads=2)
    done = layer(packed, exact=True, threads=2)
    np.testing.assert_array_equal(done, reference(whole(x[:1]), whole(weight), shape))


def test_two_threads_pack_the_same_bits():
    x = np.random.default_rng(0).standard_normal((3, 61, 67, 70)).astype(np.float32)
    packed = pack_signs(x, np.zeros(70, np.float32), "numba", threads=2)
    np.testing.assert_array_equal(packed, _numpy.words_of(x >= 0))


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
            kind = SignLayer if filters.dtype == bool else FloatLayer
            layer = kind(filters, geometry(shape), shape[4], plain(out * shape[4]), backend=backend)
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


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 16, 16), (3, 17, 40), (1, 33, 15)])
def test_rows_and_columns_change_places(shape, backend):
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    out = np.empty((shape[0], shape[2], shape[1]), np.float32)
    assert kernels(backend).turn(x, out)
    np.testing.assert_array_equal(out, x.swapaxes(1, 2))


@pytest.mark.parametrize("kind", [bool, np.float32])
@pytest.mark.parametrize("width", [5, 16, 33, 48])
@pytest.mark.parametrize("pixels", [1, 2, 3, 12, 13, 24, 37])
def test_each_number_of_pixels_and_panels(pixels, width, kind):
    """Tiles of several rows and panels and what they leave over; small whole numbers, so that any order is exact."""
    generator = np.random.default_rng(pixels)
    weight = generator.integers(0, 2, (width, 1, 7)).astype(bool)
    x = generator.integers(-9, 10, (1, 1, pixels, 7)).astype(np.float32)
    signs = np.where(weight[:, 0], 1, -1).astype(np.float32)
    last = Finish(np.ones(width), np.zeros(width))
    layers = [FloatLayer(weight if kind is bool else signs[:, None], Geometry(), 1, last)]
    layers += [SignLayer(weight, Geometry(), 1, last)] if kind is bool else []
    for layer in layers:
        np.testing.assert_array_equal(layer(x)[0, 0], x[0, 0] @ signs.T)
