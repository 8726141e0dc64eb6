"""The packed runtime as its users meet it: without torch, in little memory, and strict about what it is given."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from bnn_fsg import PackedModel
from bnn_fsg.evaluation._summary import summary
from bnn_fsg.graph import _graph
from bnn_fsg.runtime import _format
from ninefold.errors import ArtifactError, InputError

from .packed_helpers import built


def tiny(seed=0):
    generator = np.random.default_rng(seed)
    nodes = [
        {"op": "conv", "in": ["input"], "out": "a", "kernel": [3, 3], "padding": [1, 1]},
        {"op": "conv_bits", "in": ["a"], "out": "b", "kernel": [3, 3], "padding": [1, 1]},
        {"op": "mean", "in": ["b"], "out": "c"},
    ]
    arrays = {
        "a.weight": generator.normal(size=(16, 9, 3)).astype(np.float32),
        "a.shift": np.zeros(16, np.float32),
        "b.bits": generator.random((10, 9, 16)) < 0.5,
        "b.threshold": np.zeros(1, np.float32),
        "b.scale": np.ones(10, np.float32),
        "b.shift": np.zeros(10, np.float32),
    }
    return built(nodes, arrays, [3, 8, 6], 2)


def test_file_comes_back_the_same(tmp_path):
    model, x = tiny(), np.random.default_rng(1).normal(size=(4, 3, 8, 6)).astype(np.float32)
    model.save(tmp_path / "m.bnn")
    again = PackedModel.load(tmp_path / "m.bnn", threads=2)
    np.testing.assert_array_equal(again(x), model(x))
    with pytest.raises(ArtifactError, match="exists already"):
        model.save(tmp_path / "m.bnn")
    model.save(tmp_path / "m.bnn", force=True)


def test_full_disk_leaves_the_old_file_whole(tmp_path, monkeypatch):
    path = tmp_path / "m.bnn"
    tiny().save(path)
    before = path.read_bytes()

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        tiny(1).save(path, force=True)
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["m.bnn"]


def test_bits_are_tight_on_disk():
    bits = tiny().nodes[1].arrays["bits"].size
    one = built([{"op": "conv_signs", "in": ["input"], "out": "a"}], _linear(1000, 1), [1000], 2)
    two = built([{"op": "conv_signs", "in": ["input"], "out": "a"}], _linear(1016, 1), [1016], 2)
    assert two.nbytes - one.nbytes == 2
    assert bits == 1440


def _linear(inputs, outputs):
    ones, zeros = np.ones(outputs, np.float32), np.zeros(outputs, np.float32)
    return {"a.bits": np.ones((outputs, 1, inputs), bool), "a.scale": ones, "a.shift": zeros}


@pytest.mark.parametrize("samples", [1, 3, 7])
def test_batch_threads_and_backend_change_nothing(samples):
    data, x = tiny().encoded, np.random.default_rng(2).normal(size=(samples, 3, 8, 6)).astype(np.float32)
    alone = np.concatenate([PackedModel(data)(one[None]) for one in x])
    for threads in (1, 2):
        np.testing.assert_array_equal(PackedModel(data, threads=threads)(x), alone)
    np.testing.assert_array_equal(PackedModel(data, backend="numpy")(x), alone)


@pytest.mark.parametrize(
    ("x", "match"),
    [
        (np.zeros((2, 8, 6, 3), np.float32), "channels come first"),
        (np.zeros((3, 8, 6), np.float32), r"x\[None\]"),
        (np.zeros((1, 3, 8, 7), np.float32), r"shape \(1, 3, 8, 7\), expected \(n, 3, 8, 6\)"),
        (np.zeros((0, 3, 8, 6), np.float32), "shape"),
        (np.zeros((1, 3, 8, 6)), "dtype float64, expected float32"),
        (np.zeros((1, 3, 8, 6), np.uint8), "dtype uint8"),
        (np.full((1, 3, 8, 6), np.nan, np.float32), r"element \(0, 0, 0, 0\).*NaN"),
        ([[1.0]], "list, expected a numpy array"),
    ],
)
def test_wrong_input_is_named(x, match):
    with pytest.raises(InputError, match=match):
        tiny()(x)


@pytest.mark.parametrize("backend", ["auto", "numpy"])
def test_one_call_after_another_gives_what_a_fresh_model_gives(backend):
    """Memory is kept from call to call: what a caller still has stays as it is, and a refused call leaves no trace."""
    data = tiny().encoded
    model, generator = PackedModel(data, backend=backend), np.random.default_rng(5)
    given = [generator.normal(size=(1, 3, 8, 6)).astype(np.float32) for _ in range(8)]
    given[2] = np.full_like(given[2], np.nan)
    given[4] = np.asfortranarray(given[4])
    given[5].flags.writeable = False
    kept = []
    for x in given:
        if np.isnan(x).any():
            with pytest.raises(InputError, match="NaN"):
                model(x)
            continue
        kept.append((x, model(x)))
        model(-x)  # into memory that nobody has any more
    for x, found in kept:
        np.testing.assert_array_equal(found, PackedModel(data, backend=backend)(x))


def test_every_damaged_byte_is_found(tmp_path):
    path = tmp_path / "m.bnn"
    tiny().save(path)
    whole = path.read_bytes()
    for place in range(0, len(whole), 97):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(ArtifactError, match=r"m\.bnn"):
            PackedModel.load(path)
    for length in (0, 5, 40, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(ArtifactError, match=r"m\.bnn.*(truncated|no \.bnn file)"):
            PackedModel.load(path)


@pytest.mark.parametrize("shape", [[3] * 400_000, [2] * 5, [2**40] * 9, "ab", 3, None])
def test_an_array_of_an_odd_shape_is_refused_at_once(shape):
    graph = {"input": [3, 1, 1], "output": "a", "output_rank": 4}
    graph["nodes"] = [{"op": "affine", "in": ["input"], "out": "a"}]
    data = _format.encode(graph, {"a.scale": np.ones(3, np.float32), "a.shift": np.zeros(3, np.float32)})
    length = int.from_bytes(data[8:12], "little")
    about = json.loads(data[12 : 12 + length])
    about["arrays"][0][2] = shape
    header = json.dumps(about).encode()
    body = b"".join([data[:8], len(header).to_bytes(4, "little"), header, data[12 + length : -32]])
    start = time.perf_counter()
    with pytest.raises(ArtifactError, match=r"list of arrays makes no sense"):
        PackedModel(body + hashlib.sha256(body).digest())
    assert time.perf_counter() - start < 2


def test_nodes_that_wait_for_later_values_are_put_in_order_at_once():
    """2,000 convolutions first, whose sums with a chain of 2,000 values come after: fused, each waits for its value."""
    count, before, arrays = 2000, "input", {"scale": np.ones(2, np.float32), "shift": np.zeros(2, np.float32)}
    convolutions = [_graph.Node("conv_signs", ["input"], f"c{i}", {}, arrays, f"c{i}") for i in range(count)]
    chain, sums = [], []
    for i in range(count):
        chain.append(_graph.Node("affine", [before], f"v{i}", {}, arrays, f"v{i}"))
        before = f"v{i}"
        sums.append(_graph.Node("add", [f"c{i}", before], f"s{i}", {}, {}, f"s{i}"))
    start = time.perf_counter()
    fused = _graph.fuse([*convolutions, *chain, *sums], f"s{count - 1}")
    assert time.perf_counter() - start < 1
    assert [node.output for node in fused] == [f"{kind}{i}" for i in range(count) for kind in "vs"]


def test_newer_format_is_told_before_the_checksum(tmp_path):
    path = tmp_path / "m.bnn"
    path.write_bytes(tiny().encoded.replace(b'"format_version":1', b'"format_version":7'))
    with pytest.raises(ArtifactError, match="version 7, newer than 1"):
        PackedModel.load(path)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"op": "erode"}, "unknown operation 'erode'"),
        ({"in": ["nowhere"]}, "nowhere"),
        ({"in": ["input", "input"]}, "2 inputs"),
        ({"kernel": [5, 5]}, "kernel"),
        ({"groups": 3}, "groups"),
    ],
)
def test_graph_that_makes_no_sense_is_refused(change, match):
    node = {"op": "conv_signs", "in": ["input"], "out": "a", **change}
    with pytest.raises(ArtifactError, match=match):
        built([node], _linear(8, 4), [8], 2)


def test_kernel_larger_than_the_picture_is_named():
    arrays = {
        "a.bits": np.ones((4, 25, 2), bool),
        "a.scale": np.ones(4, np.float32),
        "a.shift": np.zeros(4, np.float32),
    }
    with pytest.raises(ArtifactError, match=r"a: a picture of 3 x 3 is smaller than the kernel \(5, 5\)"):
        built([{"op": "conv_signs", "in": ["input"], "out": "a", "kernel": [5, 5]}], arrays, [2, 3, 3], 4)


@pytest.mark.parametrize(("arguments", "match"), [({"threads": 0}, "threads"), ({"backend": "cuda"}, "backend")])
def test_wrong_settings_are_named(arguments, match):
    with pytest.raises(InputError, match=match):
        PackedModel(tiny().encoded, **arguments)


def test_summary_counts_products_by_precision():
    rows = {row.name: row for row in summary(tiny())}
    assert (rows["a"].bits, rows["a"].products) == ("32/32", 16 * 9 * 3 * 48)
    assert (rows["b"].bits, rows["b"].products) == ("1/1", 10 * 9 * 16 * 48)
    assert rows["b"].nbytes == 180 + 4 * 21


def test_pictures_are_prepared_as_the_file_says():
    model = tiny()
    with pytest.raises(InputError, match="normalisation"):
        model.prepare(np.zeros((1, 8, 6, 3), np.uint8))
    model.normalisation = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.25, 0.5], "white": 255}
    x = model.prepare(np.full((2, 8, 6, 3), 255, np.uint8))
    assert x.shape == (2, 3, 8, 6)
    assert x[0, :, 0, 0].tolist() == [1, 2, 1]
    with pytest.raises(InputError, match="uint8"):
        model.prepare(np.zeros((1, 8, 6, 3), np.float32))


def test_runs_without_torch_in_little_memory(tmp_path):
    tiny().save(tmp_path / "m.bnn")
    code = (
        "import sys, numpy as np\n"
        "from bnn_fsg import PackedModel\n"
        "PackedModel.load(sys.argv[1])(np.ones((2, 3, 8, 6), np.float32))\n"
        "assert not {'torch', 'numba'} & set(sys.modules)\n"
        "print(*(line.split()[1] for line in open('/proc/self/status') if line.startswith('RssAnon')))\n"
    )
    words = [sys.executable, "-c", code, str(tmp_path / "m.bnn")]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert 1024 * int(done.stdout) <= 40e6


@pytest.mark.parametrize("shape", [(5,), (5, 7)], ids=["vectors", "sequences"])
def test_what_is_no_picture_is_prepared_too(shape):
    arrays = {"a.scale": np.ones(5, np.float32), "a.shift": np.zeros(5, np.float32)}
    model = built([{"op": "affine", "in": ["input"], "out": "a"}], arrays, list(shape), len(shape) + 1)
    model.normalisation = {"mean": [0.5] * 5, "std": [0.5] * 5, "white": 10}
    given = np.random.default_rng(0).integers(0, 10, (3, *shape[1:], 5)).astype(np.uint8)
    x = model.prepare(given)
    assert x.shape == (3, *shape)
    np.testing.assert_allclose(np.moveaxis(model(x), 1, -1), given / 5 - 1, rtol=1e-6, atol=1e-6)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_threads_run_in_a_forked_process_too(tmp_path):
    tiny().save(tmp_path / "m.bnn")
    code = (
        "import os, signal, sys, numpy as np\n"
        "from bnn_fsg import PackedModel\n"
        "model = PackedModel.load(sys.argv[1], threads=2)\n"
        "x = np.ones((8, 3, 8, 6), np.float32)\n"
        "before = model(x)\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    signal.alarm(20)\n"
        "    os._exit(int(not np.array_equal(model(x), before)))\n"
        "sys.exit(os.waitpid(child, 0)[1] != 0)\n"
    )
    words = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code, str(tmp_path / "m.bnn")]
    assert subprocess.run(words, timeout=120).returncode == 0


def test_outputs_that_somebody_holds_are_never_written_again():
    model = built([{"op": "clip", "low": -9, "high": 9, "in": ["input"], "out": "a"}], {}, [16, 40, 40], 4)
    x = np.random.default_rng(0).standard_normal((2, 16, 40, 40)).astype(np.float32)
    first, part = model(x), model(2 * x)[1, 3]
    flat = model(3 * x).reshape(-1)[5:9]
    for _ in range(3):
        model(0 * x)
    np.testing.assert_array_equal(first, x)
    np.testing.assert_array_equal(part, 2 * x[1, 3])
    np.testing.assert_array_equal(flat, 3 * x.reshape(-1)[5:9])
