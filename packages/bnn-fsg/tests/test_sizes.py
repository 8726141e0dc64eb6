"""A file with a right checksum whose sizes do not fit is refused by name before anything is made of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from bnn_fsg import PackedModel
from bnn_fsg.runtime import _format, _model
from ninefold.errors import ArtifactError, InputError

from .packed_helpers import built

K3 = {"kernel": [3, 3], "padding": [1, 1]}
MEAN = {"input": [3, 8, 6], "output": "a", "output_rank": 4}
MEAN["nodes"] = [{"op": "mean", "in": ["input"], "out": "a"}]
TURN = {"op": "rearrange", "sizes": [8, 6, 3], "order": [1, 0, 2], "size": [6, 8, 3]}
POOL = {"op": "max_pool", "kernel": [2, 2], "stride": [2, 2], "padding": [0, 0]}


def floats(*shape):
    return np.ones(shape, np.float32)


def made(*nodes, rank=4, inputs=(3, 8, 6), **arrays):
    """A packed model of nodes in a row: arrays by `node_name`."""
    before, listed = "input", []
    for index, node in enumerate(nodes):
        listed.append({"in": [before], "out": "abc"[index], **node})
        before = "abc"[index]
    return built(listed, {name.replace("_", ".", 1): array for name, array in arrays.items()}, list(inputs), rank)


def conv(weight=(16, 9, 3), shift=16, **settings):
    return made({"op": "conv", **K3, **settings}, a_weight=floats(*weight), a_shift=floats(shift))


def test_a_convolution_that_fits_runs():
    assert conv()(floats(2, 3, 8, 6)).shape == (2, 16, 8, 6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weight": (16, 9, 4_000)}, "a: weights for 4000 channels, given 3"),
        ({"weight": (16, 4, 3)}, r"a: weights of shape \(16, 4, 3\) for kernel \(3, 3\), 1 groups"),
        ({"shift": 17}, r"a: shift is float32 of shape \(17,\), expected 16 of float32"),
        ({"stride": [0, 1]}, "a: stride 0, expected a whole number from 1"),
        ({"stride": 1.5}, "a: stride 1.5, expected a whole number from 1"),
        ({"dilation": [-3, 1]}, "a: dilation -3, expected a whole number from 1"),
        ({"padding": [-1, 0]}, "a: padding -1, expected a whole number from 0"),
        ({"padding": [1, 1, 1]}, r"a: padding \[1, 1, 1\], expected two whole numbers"),
        ({"padding": [20_000, 20_000]}, "a: 40006 x 40004 x 16 numbers for one sample"),
        ({"padding": [3_000, 3_000]}, r"one sample needs .* GB, more than 1.1 GB; it states no need of its own"),
        ({"dilation": [5, 1]}, r"a: a picture of 8 x 6 is smaller than the kernel \(3, 3\)"),
        ({"groups": 3}, "a: weights of shape .*, 3 groups"),
    ],
)
def test_a_convolution_that_does_not_fit_is_refused(change, message):
    with pytest.raises(ArtifactError, match=message):
        conv(**change)


@pytest.mark.parametrize(
    ("nodes", "arrays", "message"),
    [
        (
            [{"op": "affine"}],
            {"a_scale": floats(4), "a_shift": floats(3)},
            "a: scale is .*, expected 3 or 1 of float32",
        ),
        ([{"op": "affine"}], {"a_scale": floats(3) > 0, "a_shift": floats(3)}, "a: scale is bool"),
        ([{"op": "clip", "low": "a", "high": 1}], {}, "a: low 'a', expected a number"),
        ([{**POOL, "stride": [2, 0]}], {}, "a: stride 0"),
        ([{**POOL, "padding": [2, 0]}], {}, "padding .* of more than half the kernel"),
        ([{**POOL, "kernel": 9}], {}, "a: kernel 9, expected two whole numbers"),
        ([{**POOL, "kernel": [9, 1]}], {}, "smaller than the kernel"),
        ([{"op": "pick", "stride": [1, 1], "front": -1, "back": 0}], {}, "a: front -1"),
        ([{"op": "add", "in": ["input"]}], {}, "add has 1 inputs"),
        ([{"op": "mean"}, {"op": "add", "in": ["input", "a"]}], {}, r"b: a sum of shapes \(8, 6, 3\) and \(1, 1, 3\)"),
        ([{"op": "mean"}, {"op": "concat", "in": ["input", "a"]}], {}, "b: concat of"),
        (
            [{"op": "mean"}, {"op": "matmul", "in": ["input", "a"]}],
            {},
            r"b: a product of matrices of \(8, 6, 3\) and \(1",
        ),
        (
            [{"op": "pixelwise"}],
            {"a_scale": floats(8, 1, 4)},
            r"a: scale is float32 of shape \(8, 1, 4\) for \(8, 6, 3\)",
        ),
        ([{"op": "pixelwise"}], {"a_shift": floats(3)}, r"a: shift is float32 of shape \(3,\)"),
        ([{"op": "pixelwise"}], {"a_shift": floats(1, 1, 3) > 0}, "a: shift is bool"),
        ([{**TURN, "sizes": [8, 18]}], {}, r"a: order \[1, 0, 2\], expected 2 whole numbers"),
        ([{**TURN, "sizes": [8, 7, 3]}], {}, r"a: \(8, 6, 3\) as axes \[8, 7, 3\]"),
        ([{**TURN, "order": [0, 0, 2]}], {}, r"in order \[0, 0, 2\]"),
        ([{**TURN, "order": [0, 1, 3]}], {}, r"in order \[0, 1, 3\]"),
        ([{**TURN, "size": [6, 8, 2**40]}], {}, "a: size 1099511627776, expected a whole number"),
        ([{**TURN, "size": [6, 24, 2]}], {}, r"then as \[6, 24, 2\]"),
        ([{**TURN, "sizes": [1] * 13}], {}, "expected 1 to 12 whole numbers"),
        ([{**TURN, "sizes": "abc"}], {}, "a: sizes 'abc', expected 1 to 12"),
        ([{"op": "mean"}], {"z_scale": floats(3)}, r"arrays of \['z'\], which are no nodes"),
    ],
)
def test_other_operations_that_do_not_fit_are_refused(nodes, arrays, message):
    with pytest.raises(ArtifactError, match=message):
        made(*nodes, **arrays)


def bits(channels=70, **more):
    bounded = {"a_bits": floats(channels, 9, 3) > 0, "a_threshold": floats(1)}
    bounded |= {"a_bound": np.zeros(channels, np.int32), "a_turned": floats(channels) > 0}
    return {**bounded, **more}


def test_a_value_that_is_kept_as_bits_goes_to_layers_of_bits_alone():
    first, second = {"op": "conv_bits", **K3}, {"op": "conv_bits"}
    after = {"b_bits": floats(5, 1, 70) > 0, "b_scale": floats(5), "b_shift": floats(5)}
    assert made(first, second, **bits(**after))(floats(1, 3, 8, 6)).shape == (1, 5, 8, 6)
    with pytest.raises(ArtifactError, match=r"b: mean of a value that is kept as bits"):
        made(first, {"op": "mean"}, **bits())
    with pytest.raises(ArtifactError, match=r"the output 'a' is kept as bits"):
        made(first, **bits())
    with pytest.raises(ArtifactError, match=r"b: a threshold for a value that is kept as bits"):
        made(first, second, **bits(**after, b_threshold=floats(70)))


@pytest.mark.parametrize("shape", [[0, 8, 6], [3, -8, 6], [3, 8, 6, 1, 1], [], [3, 8.0, 6], "ab", None, [2**40]])
def test_an_input_of_an_odd_shape_is_refused(shape):
    with pytest.raises(ArtifactError, match=r"graph makes no sense"):
        built([{"op": "mean", "in": ["input"], "out": "a"}], {}, shape, 4)


@pytest.mark.parametrize("rank", [0, 1, 2, 3, 5, "4", None, True])
def test_an_output_of_another_rank_is_refused(rank):
    with pytest.raises(ArtifactError, match=r"output_rank"):
        made({**POOL}, rank=rank)


def test_a_file_that_states_another_need_than_it_has_is_refused():
    assert PackedModel(_format.encode({**MEAN, "value_bytes": 588}, {})).memory > 588
    with pytest.raises(ArtifactError, match=r"take 588 bytes, and it states 587"):
        PackedModel(_format.encode({**MEAN, "value_bytes": 587}, {}))


def test_a_need_larger_than_the_machine_is_refused_before_it_is_taken(monkeypatch):
    monkeypatch.setattr(_model, "_machine", lambda: 1000)
    with pytest.raises(ArtifactError, match=r"one sample needs .* GB, more than 0.0 GB"):
        PackedModel(_format.encode({**MEAN, "value_bytes": 588}, {}))


def test_arrays_with_nan_twice_or_of_no_size_are_refused():
    for array in (np.full(3, np.nan, np.float32), np.full(3, np.inf, np.float32)):
        with pytest.raises(ArtifactError, match=r"a.scale holds NaN or infinity"):
            made({"op": "affine"}, a_scale=array, a_shift=floats(3))
    with pytest.raises(ArtifactError, match=r"a.scale has shape"):
        made({"op": "affine"}, a_scale=floats(0), a_shift=floats(3))


def test_an_output_that_overflows_is_no_answer():
    model = made({"op": "affine"}, a_scale=np.full(3, 3e38, np.float32), a_shift=floats(3))
    with pytest.raises(InputError, match=r"output of the packed model: got NaN or infinity"):
        model(np.full((1, 3, 8, 6), 10, np.float32))


def test_the_normalisation_of_a_file_is_checked():
    good = {"mean": [0, 0, 0], "std": [1, 1, 1], "white": 255}
    assert PackedModel(_format.encode({**MEAN, "normalisation": good}, {})).normalisation == good
    for bad in ({"mean": [0, 0]}, {"std": [1, 0, 1]}, {"white": "255"}, {"mean": None}):
        with pytest.raises(ArtifactError, match=r"graph makes no sense"):
            PackedModel(_format.encode({**MEAN, "normalisation": {**good, **bad}}, {}))


@pytest.mark.parametrize(("kind", "run"), [([], 20), (["--structure"], 2)])
def test_mutated_files_are_refused_or_run_in_the_memory_that_they_need(kind, run):
    words = [sys.executable, str(Path(__file__).with_name("fuzz_packed.py")), "--count", "300", *kind]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr.replace("\r", "\n")[-2000:]
    found = json.loads(done.stdout)
    assert sum(found.values()) == 300
    assert found["ran"] > run
    assert found["refused at load"] > 150
