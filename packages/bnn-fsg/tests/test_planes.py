"""Channels first, as numbers come in and go out: signs taken of them, convolutions that write them, NaN in them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from bnn_fsg import PackedModel
from bnn_fsg.runtime import _compiled, _kernels, _numpy
from bnn_fsg.runtime._geometry import Geometry
from bnn_fsg.runtime._layers import BitLayer, Finish, FloatLayer, NotFiniteError, pack_planes
from bnn_fsg.runtime._sign_layer import SignLayer
from ninefold.errors import InputError

from .packed_helpers import built

BACKENDS = ["numba", "numpy"]
SHAPES = [  # kernel, stride, padding, dilation, groups, picture
    (1, 1, 0, 1, 1, (4, 5)),
    (3, 1, 1, 1, 1, (7, 9)),
    (3, 2, 1, 1, 1, (11, 13)),
    (3, 1, 2, 2, 2, (8, 5)),
    (5, 1, 4, 2, 1, (5, 5)),
]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("pixels", [16, 17, 31, 32, 50])
@pytest.mark.parametrize("channels", [1, 3, 63, 64, 70, 130])
def test_signs_of_planes_are_those_of_pixels(channels, pixels, backend):
    generator = np.random.default_rng(channels)
    x = generator.integers(-2, 3, (3, channels, pixels)).astype(np.float32)
    thresholds = generator.integers(-1, 2, channels).astype(np.float32)
    packed = pack_planes(x, thresholds, backend)
    np.testing.assert_array_equal(packed, _numpy.words_of(x.swapaxes(1, 2) >= thresholds))


def test_two_threads_pack_the_same_planes():
    x = np.random.default_rng(0).standard_normal((3, 70, 61 * 67)).astype(np.float32)
    packed = pack_planes(x, np.zeros(70, np.float32), "numba", threads=2)
    np.testing.assert_array_equal(packed, _numpy.words_of(x.swapaxes(1, 2) >= 0))


@pytest.mark.parametrize("backend", BACKENDS)
def test_planes_with_nan_or_infinity_in_any_place_are_refused(backend):
    zeros = np.zeros(3, np.float32)
    for place in range(2 * 3 * 19):
        for wrong in (np.nan, np.inf, -np.inf):
            x = np.full((2, 3, 19), 3e38, np.float32)
            x.flat[place] = wrong
            with pytest.raises(NotFiniteError):
                pack_planes(x, zeros, backend)


def test_planes_of_too_few_pixels_or_other_channels_are_refused():
    for shape in ((1, 3, 15), (1, 4, 16), (3, 16)):
        with pytest.raises(InputError, match=r"expected float32 \(n, 3, 16 pixels or more\)"):
            pack_planes(np.zeros(shape, np.float32), np.zeros(3, np.float32))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 16, 16), (3, 17, 40)])
def test_turning_finds_nan_and_infinity_in_any_place(shape, backend):
    turn = (_kernels if backend == "numba" else _numpy).turn
    out = np.empty((shape[0], shape[2], shape[1]), np.float32)
    for place in {*range(0, np.prod(shape), 29), np.prod(shape) - 1}:
        for wrong in (np.nan, np.inf, -np.inf):
            x = np.full(shape, 3e38, np.float32)
            assert turn(x, out)
            x.flat[place] = wrong
            assert not turn(x, out)


def finish(width, generator):
    return Finish(*(generator.normal(size=width).astype(np.float32) for _ in range(7)))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("channels", [5, 64])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_channels_first_are_the_same_numbers(shape, channels, backend):
    kernel, stride, padding, dilation, groups, size = shape
    geometry = Geometry((kernel,) * 2, (stride,) * 2, (padding,) * 2, (dilation,) * 2)
    generator = np.random.default_rng(channels)
    for each in (3, 32, 50):
        width = each * groups
        bits = generator.random((width, kernel**2, channels)) < 0.5
        signs = generator.random((3, *size, channels * groups)) < 0.5
        numbers = generator.standard_normal(signs.shape).astype(np.float32)
        last = finish(width, generator)
        for layer, x in (
            (BitLayer(bits, geometry, groups, last, offset=0.4, backend=backend), _numpy.words_of(signs)),
            (FloatLayer(bits, geometry, groups, last, backend=backend), numbers),
            (SignLayer(bits, geometry, groups, last, backend=backend), numbers),
        ):
            residual = generator.standard_normal(layer(x).shape).astype(np.float32)
            for threads in (1, 2):
                expected = layer(x, residual).transpose(0, 3, 1, 2)
                np.testing.assert_array_equal(layer(x, residual, threads, planes=True), expected)


@pytest.mark.parametrize("channels", [64, 128])
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (2, 3), (6, 9)])
def test_words_of_small_and_wide_pictures_agree_with_numpy(size, groups, channels):
    """A picture of one pixel would be nine with its margin: its words are collected, not surrounded by zeros."""
    generator = np.random.default_rng(1)
    for geometry in (Geometry((3, 3), padding=(1, 1)), Geometry((5, 3), (2, 3), (4, 1), (2, 1))):
        if min(geometry_size(geometry, size)) < 1:
            continue
        bits = generator.random((20 * groups, geometry.taps, channels)) < 0.5
        x = _numpy.words_of(generator.random((3, *size, channels * groups)) < 0.5)
        last = finish(20 * groups, generator)
        ours, theirs = (BitLayer(bits, geometry, groups, last, offset=0.4, backend=one) for one in BACKENDS)
        np.testing.assert_array_equal(ours(x, exact=True), theirs(x, exact=True))
        np.testing.assert_allclose(ours(x), theirs(x), rtol=1e-4, atol=1e-3)


def geometry_size(geometry, size):
    reach = [step * (taps - 1) for taps, step in zip(geometry.kernel, geometry.dilation, strict=True)]
    return [one + 2 * pad - more for one, pad, more in zip(size, geometry.padding, reach, strict=True)]


@pytest.mark.parametrize("channels", [5, 16, 40])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_sums_of_inputs_count_no_pixel_outside(shape, channels):
    kernel, stride, padding, dilation, groups, size = shape
    geometry = Geometry((kernel,) * 2, (stride,) * 2, (padding,) * 2, (dilation,) * 2)
    generator = np.random.default_rng(2)
    bits = generator.random((20 * groups, kernel**2, channels)) < 0.5
    x = generator.standard_normal((2, *size, channels * groups)).astype(np.float32)
    last = finish(20 * groups, generator)
    theirs = FloatLayer(bits, geometry, groups, last, backend="numpy")(x)
    for kind in (FloatLayer, SignLayer):
        ours = kind(bits, geometry, groups, last, backend="numba")(x)
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-3)


def network(*, residual=False, scale=1.0):
    """One layer of bits; with `residual` the input is added to its output, so that it has to be turned."""
    generator = np.random.default_rng(0)
    nodes = [{"op": "conv_bits", "in": ["input"], "out": "a", "kernel": [3, 3], "padding": [1, 1]}]
    nodes += [{"op": "add", "in": ["a", "input"], "out": "b"}] * residual
    arrays = {
        "a.bits": generator.random((4, 9, 4)) < 0.5,
        "a.threshold": generator.normal(size=4).astype(np.float32),
        "a.scale": np.full(4, scale, np.float32),
        "a.shift": np.zeros(4, np.float32),
    }
    return built(nodes, arrays, [4, 5, 6], 4)


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_network_of_one_layer_agrees_with_numpy(threads, residual):
    data = network(residual=residual).encoded
    x = np.random.default_rng(3).standard_normal((9, 4, 5, 6)).astype(np.float32)
    ours, theirs = PackedModel(data, threads=threads), PackedModel(data, backend="numpy")
    assert ours._planes == (set() if residual else {"input"}) | {"b" if residual else "a"}
    np.testing.assert_allclose(ours(x), theirs(x), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("samples", [1, 5])
def test_nan_and_infinity_in_the_input_are_named_with_their_place(samples, residual, backend):
    model = PackedModel(network(residual=residual).encoded, threads=2, backend=backend)
    for place in range(0, samples * 120, 7):
        for wrong in (np.nan, np.inf, -np.inf):
            x = np.zeros((samples, 4, 5, 6), np.float32)
            x.flat[place] = x.flat[samples * 120 - 1] = wrong
            where = ", ".join(str(one) for one in np.unravel_index(place, x.shape))
            with pytest.raises(InputError, match=rf"element \({where}\).*NaN or infinity.*finite values"):
                model(x)


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_output_with_channels_first_that_overflows_is_no_answer(backend):
    model = PackedModel(network(scale=3e38).encoded, backend=backend)
    with pytest.raises(InputError, match=r"output of the packed model: got NaN or infinity"):
        model(np.ones((1, 4, 5, 6), np.float32))


def test_kernels_are_compiled_anew_where_any_source_changed(tmp_path):
    """numba keys its cache by what a function closes over: a digest of all sources of the folder."""
    found = [one for one in vars(_kernels).values() if hasattr(one, "py_func") and one.targetoptions.get("nogil")]
    cached = [one for one in found if not one.targetoptions.get("forceinline")]
    assert {_kernels.conv_bits, _kernels.conv_floats, _kernels.turn, _kernels.pack_planes} <= set(cached)
    for one in cached:
        assert [cell.cell_contents for cell in one.py_func.__closure__] == [_compiled.SOURCES]
    folder = tmp_path / "runtime"
    shutil.copytree(Path(_kernels.__file__).parent, folder, ignore=shutil.ignore_patterns("__pycache__"))
    assert _compiled._digest(folder) == _compiled.SOURCES
    for name in ("_tiles.py", "_vectors.py", "_gather.py", "_last.py"):
        (folder / name).write_text((folder / name).read_text() + "\n")
        assert _compiled._digest(folder) != _compiled.SOURCES


@pytest.mark.parametrize("backend", BACKENDS)
def test_numbers_that_begin_at_an_odd_address_give_what_others_give(backend):
    x = np.random.default_rng(0).standard_normal((2, 4, 5, 6)).astype(np.float32)
    odd = np.frombuffer(b"." + x.tobytes(), np.float32, offset=1).reshape(x.shape)
    model = PackedModel(network().encoded, backend=backend)
    assert not odd.flags.aligned
    assert np.array_equal(model(odd), model(x))
