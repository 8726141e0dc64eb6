"""Verbs beyond what the contract asks."""

from __future__ import annotations

import json

import numpy as np
import pytest
from bnn_fsg import PackedModel, datasets
from ninefold.testing import run

MODULE = "bnn_fsg.cli"


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """Digits from a full-precision run to a .bnn file, by the command line alone."""
    root = tmp_path_factory.mktemp("digits")
    for words in (
        ["pretrain", "--epochs", "3", "--lr", "0.01", "--width", "8", "-o", "float"],
        [
            "train",
            "float",
            "--epochs",
            "1",
            "--gradient",
            "ste",
            "--weights",
            "bwn",
            "--optimizer",
            "adam",
            "-o",
            "bits",
        ],
        ["pack", "bits", "-o", "digits.bnn"],
    ):
        words = [str(root / word) if word in ("float", "bits", "digits.bnn") else word for word in words]
        done = run(MODULE, *words, "--json", "--quiet")
        assert done.returncode == 0, done.stderr
    return root / "digits.bnn"


def test_packed_digits_score_the_same_from_the_command_line_and_from_numpy(packed):
    done = run(MODULE, "eval", str(packed), "digits", "--json")
    assert done.returncode == 0, done.stderr
    images = datasets.digits("test")
    found = PackedModel.load(packed).predict(images.inputs())
    assert json.loads(done.stdout)["accuracy %"] == pytest.approx(100 * np.mean(found == images.labels))
    assert json.loads(done.stdout)["accuracy %"] > 50


def test_inspect_lists_layers_and_sums(packed):
    table, sums = json.loads(run(MODULE, "inspect", str(packed), "--json").stdout)
    assert {"1/32", "32/32"} & {row["bits w/a"] for row in table["rows"]}
    assert sums["bytes"] == packed.stat().st_size
    assert sums["products 1/32 (weights/inputs)"] > 0


def test_export_in_each_form_and_refusals(packed, tmp_path):
    for form in ("onnx", "qonnx", "torch"):
        done = run(MODULE, "export", str(packed), "--to", form, "-o", str(tmp_path / form), "--json")
        assert done.returncode == 0, done.stderr
        assert (tmp_path / form).stat().st_size == json.loads(done.stdout)["bytes"]
    done = run(MODULE, "export", str(packed), "-o", str(tmp_path / "onnx"))
    assert done.returncode == 2
    assert "exists already" in done.stderr
    done = run(MODULE, "export", str(packed), "--to", "tflite", "-o", str(tmp_path / "x"))
    assert done.returncode == 2
    assert "tflite" in done.stderr


def test_bench_names_an_unknown_rival(packed):
    done = run(MODULE, "bench", str(packed), "--against", "float32,gpu")
    assert done.returncode == 2
    assert "gpu" in done.stderr


def test_bench_times_a_model_in_one_process(packed):
    done = run(MODULE, "bench", str(packed), "--against", "numpy", "--json")
    assert done.returncode == 0, done.stderr
    assert [row["arm"] for row in json.loads(done.stdout)["rows"]] == ["packed, by numpy", "packed"]
