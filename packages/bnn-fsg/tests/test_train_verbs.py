"""pretrain, train and compare, as a user runs them."""

from __future__ import annotations

import json

import pytest
from bnn_fsg import _train_verbs
from bnn_fsg._train.nets import load_model
from ninefold.cli import house_app
from ninefold.errors import InputError
from typer.testing import CliRunner

APP = house_app("bnn_fsg", "Verbs that train.")
_train_verbs.add(APP)


def call(*words):
    done = CliRunner().invoke(APP, [*words, "--json"])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    folder = tmp_path_factory.mktemp("verbs") / "start"
    found = call(
        "pretrain", "--net", "mlp", "--width", "8", "--epochs", "3", "--batch", "64", "--lr", "3e-3", "-o", str(folder)
    )
    assert found["test accuracy"] > 0.8
    return folder


def test_train_writes_a_run_and_a_one_bit_model(start, tmp_path):
    out = tmp_path / "run"
    found = call("train", str(start), "--lr", "0.1", "--epochs", "2", "-o", str(out))
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [0, 1]
    assert found["training loss of the last epoch"] == lines[-1]["loss"]
    _, recipe = load_model(out / "model.safetensors")
    assert recipe.weights == "dorefa"
    with pytest.raises(InputError, match="got a 1-bit model, expected a full-precision one"):
        call("train", str(out), "-o", str(tmp_path / "again"))


def test_compare_prints_all_arms_and_the_tuned_control(start, tmp_path):
    out = tmp_path / "comparison"
    words = ["--gradients", "ste,fsg", "--seeds", "1", "--epochs", "2", "--lr", "0.01", "-o", str(out)]
    rows = call("compare", str(start), *words)["rows"]
    assert [row["arm"].split(",")[0] for row in rows] == ["ste", "fsg", "ste"]
    assert "tuned" in rows[2]["arm"]
    assert {one.name for one in out.iterdir()} == {
        "comparison.md", "comparison.csv", "loss.png", "flips.png", "error.png", "spread.png",
    }  # fmt: skip
    assert (out / "loss.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--lr", "0"], "--lr: got 0.0, expected a positive number"),
        (["--gradient", "magic"], "gradient: got 'magic', expected one of fsg"),
        (["--optimizer", "lion"], "optimizer: got 'lion', expected sgd, momentum or adam"),
        (["--data", "/nowhere"], "/nowhere: is not there"),
        (["--skip", "conv9"], "skip: got 'conv9', which matches nothing"),
    ],
)
def test_bad_words_are_named(start, tmp_path, words, message):
    with pytest.raises(Exception, match=message):
        call("train", str(start), *words, "--epochs", "1", "-o", str(tmp_path / "out"))
