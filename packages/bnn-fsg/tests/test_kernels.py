"""Each set of kernels, and numpy, against torch's sums of whole numbers: every bit."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from bnn_fsg import PackedModel
from bnn_fsg.graph._graph import OPERATIONS
from bnn_fsg.runtime import _executor, _native, _program
from bnn_fsg.runtime._native import FLAGS, chosen, sets
from ninefold.errors import InputError

from .generated import check, network
from .layer_helpers import BACKENDS, SHAPES, layer, reference, signs, whole

CHANNELS = [1, 3, 16, 17, 31, 64, 65]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_bits_by_bits_equal_int64(shape, backend):
    for channels in CHANNELS:
        for each in (1, 16, 37):
            out, inputs = each * shape[4], channels * shape[4]
            weight = signs((out, shape[0], shape[0], channels), 1)
            x = np.random.default_rng(channels).integers(-2, 3, (2, inputs, *shape[5]))
            threshold = np.random.default_rng(1).integers(-1, 2, inputs).astype(np.float32)
            expected = reference(whole(x >= threshold[:, None, None]), whole(weight), shape)
            found = layer("conv_bits", shape, weight, backend, 2, threshold=threshold)(x.astype(np.float32))
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("op", ["conv_signs", "conv"])
def test_numbers_by_bits_and_by_numbers_equal_int64(op, shape, backend):
    for channels in (1, 3, 17, 64):
        for each in (1, 5, 32, 50):
            weight = whole(signs((each * shape[4], shape[0], shape[0], channels), 1))
            x = np.random.default_rng(5).integers(-50, 50, (2, channels * shape[4], *shape[5]))
            given = weight > 0 if op == "conv_signs" else weight.astype(np.float32)
            found = layer(op, shape, given, backend)(x.astype(np.float32))
            np.testing.assert_array_equal(found, reference(x, weight, shape))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_two_valued_weights_and_inputs_count_no_zero_outside_as_a_value(shape, backend):
    """w = p s + q and a = u s + v, with zeros (no value of a) outside the picture."""
    generator, channels, wide, high = np.random.default_rng(7), 17, 0.7, 0.3
    out = 18 * shape[4]
    weight = signs((out, shape[0], shape[0], channels), 1)
    scale, mean, bias = generator.normal(size=(3, out))
    x = generator.normal(size=(2, channels * shape[4], *shape[5]))
    inputs = np.where(x >= 0, wide, -wide) + high
    filters = whole(weight) * scale[:, None, None, None] + mean[:, None, None, None]
    expected = reference(inputs, filters, shape) + bias[:, None, None]
    numbers = {"scale": scale * wide, "shift": bias, "sums": mean * wide, "threshold": np.zeros(1)}
    arrays = {name: array.astype(np.float32) for name, array in numbers.items()}
    found = layer("conv_bits", shape, weight, backend, offset=high / wide, **arrays)(x.astype(np.float32))
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-4)


@pytest.mark.parametrize("first", [*range(0, 60, 10), 280])
def test_every_set_of_kernels_agrees_with_numpy_bit_for_bit_on_networks_drawn_at_random(first):
    assert sum(check(seed) for seed in range(first, first + 10)) >= 5


def test_networks_drawn_at_random_hold_every_operation():
    seen = set()
    for seed in range(400):
        seen |= {node.op for node in PackedModel(network(seed), backend="numpy").nodes}
    assert seen == set(OPERATIONS)


def test_the_library_is_here_and_its_best_set_is_taken(monkeypatch):
    monkeypatch.delenv("BNN_FSG_BACKEND", raising=False)
    assert sets()
    assert chosen("auto") == chosen("c") == sets()[0]
    for name in sets():
        monkeypatch.setenv("BNN_FSG_BACKEND", name)
        assert chosen("auto") == name
    with pytest.raises(InputError, match="backend: got 'fast'"):
        chosen("fast")
    missing = next(name for name in _native.SETS if name not in sets())
    with pytest.raises(InputError, match=f"backend: got {missing}.*this machine"):
        chosen(missing)


def test_without_the_library_numpy_runs_and_says_so_once(monkeypatch):
    monkeypatch.delenv("BNN_FSG_BACKEND", raising=False)
    monkeypatch.setattr(_native, "library", lambda: None)
    _native._warn.cache_clear()
    with pytest.warns(UserWarning, match="numpy runs packed networks here"):
        assert chosen("auto") == "numpy"
    assert chosen("auto") == "numpy"  # a second warning would be an error
    with pytest.raises(InputError, match="numpy alone: the package was built without its library"):
        chosen("c")


def test_a_library_of_another_version_is_not_used(monkeypatch):
    monkeypatch.setattr(_native, "FIELDS", [*_native.FIELDS, "more"])
    _native.library.cache_clear()
    try:
        assert _native.library() is None
    finally:
        monkeypatch.undo()
        _native.library.cache_clear()
    assert _native.library() is not None


@pytest.mark.skipif("amx" not in sets(), reason="this processor, system or compiler has no tiles of int8")
@pytest.mark.parametrize(
    ("channels", "out", "kernel", "stride", "size", "groups"),
    [
        (64, 64, 3, 1, (21, 37), 1),  # weights kept, several bands of rows
        (128, 144, 3, 1, (14, 14), 1),  # shared by panels
        (40, 33, 3, 2, (17, 40), 1),
        (32, 32, 3, 1, (16, 16), 1),  # a row of the kernel laid side by side
        (16, 70, 3, 2, (33, 33), 1),
        (96, 64, 3, 1, (20, 20), 1),
        (256, 96, 1, 1, (30, 30), 2),
        (512, 256, 3, 1, (12, 12), 1),  # more weights than are kept
    ],
)
def test_tiles_of_int8_agree_with_numpy_bit_for_bit(channels, out, kernel, stride, size, groups, monkeypatch):
    monkeypatch.setattr(_program, "EVERY_TILE", True)
    generator = np.random.default_rng(channels)
    x = generator.normal(size=(2, channels, *size)).astype(np.float32)
    weight, shape = signs((out, kernel, kernel, channels // groups), 2), (kernel, stride, kernel // 2, 1, groups, size)
    numbers = {name: generator.normal(size=out).astype(np.float32) for name in ("scale", "shift", "sums")}
    numbers["threshold"] = np.zeros(1, np.float32)
    expected = layer("conv_bits", shape, weight, "numpy", **numbers)(x)
    for threads in (1, 3):
        model = layer("conv_bits", shape, weight, "amx", threads, **numbers)
        assert (model._run._program.matrix[:, 1] & FLAGS["tiled"]).any()  # marked by the library
        model._run._shares = True
        for one in (x[:1], x):
            np.testing.assert_array_equal(model(one), expected[: len(one)])


@pytest.mark.parametrize("backend", sets())
def test_threads_that_share_a_picture_give_the_same_numbers(backend, monkeypatch):
    shape = (3, 1, 1, 1, 1, (61, 67))
    weight, x = signs((40, 3, 3, 65), 1), np.random.default_rng(0).normal(size=(1, 65, 61, 67)).astype(np.float32)
    zero = np.zeros(1, np.float32)
    alone = layer("conv_bits", shape, weight, backend, threshold=zero)(x)
    shared = layer("conv_bits", shape, weight, backend, 3, threshold=zero)
    assert shared._run._shares
    asked = []
    begin = _executor.start_helpers
    monkeypatch.setattr(_executor, "start_helpers", lambda library, count: (asked.append(count), begin(library, count)))
    for _ in range(20):
        np.testing.assert_array_equal(shared(x), alone)
    assert asked == [2] * 20


@pytest.mark.parametrize("backend", sets())
@pytest.mark.parametrize("op", ["conv_bits", "conv"])
def test_few_rows_are_shared_by_panels(backend, op):
    shape = (1, 2, 0, 1, 1, (13, 14))
    generator = np.random.default_rng(3)
    weight, x = signs((150, 1, 1, 64), 4), generator.integers(-3, 4, (1, 64, 13, 14)).astype(np.float32)
    more = {"threshold": np.zeros(1, np.float32)} if op == "conv_bits" else {}
    weight = weight if op == "conv_bits" else whole(weight).astype(np.float32)
    expected = layer(op, shape, weight, "numpy", **more)(x)
    for threads in (1, 3):
        model = layer(op, shape, weight, backend, threads, **more)
        assert (model._run._program.matrix[:, 1] & FLAGS["by_panels"]).any()
        model._run._shares = True
        for _ in range(5):
            np.testing.assert_array_equal(model(x), expected)


@pytest.mark.parametrize("backend", sets())
def test_callers_at_once_share_their_pictures_each(backend):
    """One caller has the library's threads, the others work alone; all get what one thread gives."""
    shape = (3, 1, 1, 1, 1, (61, 67))
    weight, x = signs((40, 3, 3, 65), 1), np.random.default_rng(0).normal(size=(3, 65, 61, 67)).astype(np.float32)
    zero = np.zeros(1, np.float32)
    expected = layer("conv_bits", shape, weight, backend, threshold=zero)(x)
    models = [layer("conv_bits", shape, weight, backend, threads, threshold=zero) for threads in (2, 2, 3)]

    def calls(number):
        return [models[number](x[index : index + 1]) for index in (0, 1, 2) * 10]

    with ThreadPoolExecutor(3) as pool:
        for outputs in pool.map(calls, range(3)):
            for index, output in enumerate(outputs):
                np.testing.assert_array_equal(output, expected[index % 3 : index % 3 + 1])
