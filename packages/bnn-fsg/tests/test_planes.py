"""Channels first, as numbers come in and go out: signs taken of them, NaN in them, pictures of uint8."""

from __future__ import annotations

import numpy as np
import pytest
from bnn_fsg import PackedModel
from ninefold.errors import InputError

from .layer_helpers import BACKENDS
from .packed_helpers import built


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
    assert ("turn_in" in _steps(ours)) == residual
    np.testing.assert_array_equal(ours(x), theirs(x))


def _steps(model):
    from bnn_fsg.runtime._native import OPERATIONS

    return [list(OPERATIONS)[step.values["op"]] for step in model._run._program.steps]


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


@pytest.mark.parametrize("backend", BACKENDS)
def test_numbers_that_begin_at_an_odd_address_give_what_others_give(backend):
    x = np.random.default_rng(0).standard_normal((2, 4, 5, 6)).astype(np.float32)
    odd = np.frombuffer(b"." + x.tobytes(), np.float32, offset=1).reshape(x.shape)
    model = PackedModel(network().encoded, backend=backend)
    assert not odd.flags.aligned
    assert np.array_equal(model(odd), model(x))


def stem(**settings):
    """A first layer of numbers with its border, then one of bits, of normalised pictures."""
    generator = np.random.default_rng(0)
    nodes = [
        {"op": "conv", "in": ["input"], "out": "a", "kernel": [3, 5], "padding": [1, 2], "stride": [2, 1], **settings},
        {"op": "conv_bits", "in": ["a"], "out": "b", "kernel": [3, 3], "padding": [1, 1]},
    ]
    arrays = {
        "a.weight": generator.normal(size=(24, 15, 3)).astype(np.float32),
        "a.shift": generator.normal(size=24).astype(np.float32),
        "b.bits": generator.random((7, 9, 24)) < 0.5,
        "b.threshold": generator.normal(size=24).astype(np.float32),
        "b.scale": np.ones(7, np.float32),
        "b.shift": np.zeros(7, np.float32),
    }
    model = built(nodes, arrays, [3, 12, 9], 4)
    model.normalisation = {"mean": [0.4, 0.5, 0.3], "std": [0.2, 0.3, 0.25], "white": 255}
    return model


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_first_layer_of_whole_numbers_is_that_of_floats_to_a_ten_thousandth_of_its_range(backend):
    made = stem()
    graph = {**made.about["graph"], "normalisation": made.normalisation, "output": "a"}
    graph["nodes"] = graph["nodes"][:1]
    arrays = {f"a.{name}": array for name, array in made.nodes[0].arrays.items()}
    alone = PackedModel(_encode(graph, arrays), backend=backend)
    pictures = np.random.default_rng(1).integers(0, 256, (5, 12, 9, 3)).astype(np.uint8)
    assert alone.reads_pictures
    floats = alone(alone.prepare(pictures))
    assert np.abs(alone.on_pictures(pictures) - floats).max() < 1e-4 * np.abs(floats).max()
    np.testing.assert_array_equal(alone.predict(pictures), alone.on_pictures(pictures).argmax(1))


def _encode(graph, arrays):
    from bnn_fsg.runtime import _format

    return _format.encode(graph, arrays)


@pytest.mark.parametrize("change", [{"dilation": [1, 2]}, {"groups": 3}])
def test_pictures_are_normalised_first_where_no_such_layer_is_first(change):
    made = stem()
    node = {**made.about["graph"]["nodes"][0], **change}
    graph = {**made.about["graph"], "normalisation": made.normalisation, "output": "a", "nodes": [node]}
    arrays = {f"a.{name}": array for name, array in made.nodes[0].arrays.items()}
    if "groups" in change:
        arrays["a.weight"] = arrays["a.weight"][:, :, :1]
    model = PackedModel(_encode(graph, arrays))
    pictures = np.random.default_rng(1).integers(0, 256, (2, 12, 9, 3)).astype(np.uint8)
    assert not model.reads_pictures
    np.testing.assert_array_equal(model.on_pictures(pictures), model(model.prepare(pictures)))


@pytest.mark.parametrize("shape", [(2, 12, 9, 4), (0, 12, 9, 3), (2, 3, 12, 9)])
def test_pictures_of_another_shape_are_named(shape):
    made = stem()
    graph = {**made.about["graph"], "normalisation": made.normalisation}
    arrays = {f"{node.name}.{name}": array for node in made.nodes for name, array in node.arrays.items()}
    model = PackedModel(_encode(graph, arrays))
    with pytest.raises(InputError, match=r"pictures: .*expected uint8 \(n, 12, 9, 3\)"):
        model.on_pictures(np.zeros(shape, np.uint8))
