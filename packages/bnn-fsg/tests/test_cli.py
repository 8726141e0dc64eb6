"""Verbs beyond what the contract asks, called in this process: each process of its own would load torch anew."""

from __future__ import annotations

import json

import numpy as np
import pytest
from bnn_fsg import PackedModel, datasets
from ninefold.datasets import data_dir


@pytest.fixture
def packed(call, tmp_path):
    """Digits from a full-precision run to a .bnn file, by the command line alone."""
    floats, bits, file = tmp_path / "float", tmp_path / "bits", tmp_path / "digits.bnn"
    for words in (
        ["pretrain", "--epochs", 3, "--lr", 0.01, "--width", 8, "-o", floats],
        ["train", floats, "--epochs", 1, "--gradient", "ste", "--weights", "bwn", "--optimizer", "adam", "-o", bits],
        ["pack", bits, "-o", file],
    ):
        status, _, errors = call(*words)
        assert status == 0, errors
    return file


def test_from_digits_to_a_packed_file_and_out_again(call, packed, tmp_path):
    status, out, _ = call("eval", packed, "digits", "--json")
    assert status == 0
    images = datasets.digits("test")
    found = PackedModel.load(packed).predict(images.inputs())
    assert json.loads(out)["accuracy %"] == pytest.approx(100 * np.mean(found == images.labels))
    assert json.loads(out)["accuracy %"] > 50

    table, sums = json.loads(call("inspect", packed, "--json")[1])
    assert "1/32" in {row["bits w/a"] for row in table["rows"]}
    assert sums["bytes"] == packed.stat().st_size
    assert sums["products 1/32 (weights/inputs)"] > 0
    assert 0 < sums["milliseconds for one sample, one thread"] < 1000

    for form in ("onnx", "qonnx", "torch"):
        status, out, errors = call("export", packed, "--to", form, "-o", tmp_path / form, "--json")
        assert status == 0, errors
        assert (tmp_path / form).stat().st_size == json.loads(out)["bytes"]
    status, _, errors = call("export", packed, "-o", tmp_path / "onnx")
    assert (status, len(errors.splitlines())) == (2, 1)
    assert "exists already" in errors
    status, _, errors = call("export", packed, "--to", "tflite", "-o", tmp_path / "x")
    assert (status, "tflite" in errors) == (2, True)

    status, out, _ = call("bench", packed, "--json")
    assert [row["arm"] for row in json.loads(out)["rows"]] == ["torch float32", "packed"]


def test_file_that_is_none_is_named(call, tmp_path):
    file = tmp_path / "x.bnn"
    file.write_text("something else")
    for words in (["inspect", file], ["bench", file], ["export", file, "-o", tmp_path / "out"]):
        status, _, errors = call(*words)
        assert status == 2
        assert str(file) in errors
    status, _, errors = call("pack", tmp_path / "nowhere", "-o", tmp_path / "out")
    assert status == 2
    assert "nowhere" in errors


@pytest.mark.parametrize("verb", ["eval", "inspect", "bench", "export"])
def test_a_run_that_is_not_packed_is_told_how(call, tmp_path, verb):
    more = {"eval": ["digits"], "export": ["-o", tmp_path / "out"]}.get(verb, [])
    status, _, errors = call(verb, tmp_path, *more)
    assert (status, len(errors.splitlines())) == (2, 1)
    assert f"got a folder, expected a .bnn file (`bnn-fsg pack {tmp_path} -o NAME.bnn` makes one" in errors


@pytest.mark.data
def test_the_published_network_is_packed_by_name(call, tmp_path):
    root = data_dir("bnn-fsg")
    if root is None or not (root / "cifar10-lossless-14k").is_dir():
        pytest.skip("needs bnn-fsg/cifar10-lossless-14k under NINEFOLD_DATA")
    status, out, errors = call("pack", "adabin", "-o", tmp_path / "adabin.bnn", "--json")
    assert status == 0, errors
    assert json.loads(out)["bytes"] < 64 * 1024
    images = datasets.load(str(root / "cifar10-lossless-14k"), "test").first(200)
    found = PackedModel.load(tmp_path / "adabin.bnn").predict(images.inputs())
    assert np.mean(found == images.labels) > 0.8
