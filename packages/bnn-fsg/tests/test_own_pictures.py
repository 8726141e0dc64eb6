"""A newcomer's folder of pictures, by the command line: enough training steps by default, and classes of new files."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import torch
from bnn_fsg import PackedModel, pack
from bnn_fsg.evaluation._run_folders import epochs_for, pretrain_into
from bnn_fsg.runtime._format import decode, encode
from bnn_fsg.training._sources import batches
from ninefold.errors import ArtifactError, InputError
from torch import nn

image = pytest.importorskip("PIL.Image", reason="needs the extra data")


def leaf(kind, draw):
    """A picture of odd size: a bright disk on one half."""
    height, width = draw.integers(20, 40, 2)
    row, column = np.mgrid[:height, :width]
    place = width * (0.3 if kind == "healthy" else 0.7)
    disk = (row - height / 2) ** 2 + (column - place) ** 2 < (height / 4) ** 2
    noise = draw.integers(0, 90, (height, width, 3))
    return image.fromarray((noise + 120 * disk[..., None]).astype(np.uint8))


@pytest.fixture(scope="module")
def leaves(tmp_path_factory):
    """A folder of 90 training and 40 test pictures in two classes."""
    draw, data = np.random.default_rng(0), tmp_path_factory.mktemp("own") / "leaves"
    for split, count in (("train", 45), ("test", 20)):
        for kind in ("healthy", "sick"):
            (data / split / kind).mkdir(parents=True)
            for number in range(count):
                leaf(kind, draw).save(data / split / kind / f"{number}.png")
    return data


@pytest.mark.parametrize(("images", "batch"), [(2, 128), (90, 128), (270, 128), (81, 8), (9000, 128), (270, 32)])
def test_the_default_number_of_epochs_makes_enough_steps_and_not_many_more(images, batch):
    epochs, steps = epochs_for(images, batch), len(batches(np.arange(images), batch, 1))
    assert epochs >= 5
    assert epochs * steps >= 200
    assert epochs == 5 or (epochs - 1) * steps < 200


def test_own_pictures_are_learned_by_default_and_new_ones_are_named(call, leaves, tmp_path):
    floats, bits, file = tmp_path / "float", tmp_path / "bits", tmp_path / "mine.bnn"
    status, out, errors = call(
        "pretrain", "--data", leaves, "--width", 8, "--size", 8, "--batch", 8, "-o", floats, "--json"
    )
    assert status == 0, errors
    found = json.loads(out)
    assert found["training steps"] == 200
    assert found["test accuracy"] > 0.9
    assert "warning" not in found
    status, out, errors = call("train", floats, "--data", leaves, "--batch", 8, "-o", bits, "--json")
    assert status == 0, errors
    assert json.loads(out)["test accuracy"] > 0.9
    assert call("pack", bits, "-o", file)[0] == 0
    assert PackedModel.load(file).classes == ("healthy", "sick")

    answers, tests = tmp_path / "answers.csv", leaves / "test"
    status, out, errors = call("predict", file, tests, "-o", answers)
    assert status == 0, errors
    rows = list(csv.DictReader(answers.open()))
    assert len(rows) == 40
    right = [row["class"] == row["picture"].split("/")[-2] for row in rows]
    status, out, _ = call("eval", file, leaves, "--json")
    assert np.mean(right) == pytest.approx(json.loads(out)["accuracy %"] / 100)
    assert all(0.5 <= float(row["score"]) <= 1 for row in rows)

    first = json.loads(call("predict", file, tests / "sick/0.png", tests / "healthy/1.png", "--json")[1])["rows"]
    assert [row["picture"] for row in first] == [str(tests / "sick/0.png"), str(tests / "healthy/1.png")]
    status, out, _ = call("predict", file, tests)
    assert "the first 20 of 40 pictures" in out

    status, _, errors = call("predict", file, tests, "-o", answers)
    assert (status, "exists already" in errors) == (2, True)
    assert call("predict", file, tests, "-o", answers, "--force")[0] == 0
    broken, empty = tmp_path / "broken.png", tmp_path / "empty"
    broken.write_bytes(b"no picture")
    empty.mkdir()
    for given, message in ((broken, "a damaged file"), (empty, "no picture"), (tmp_path / "x.png", "no such file")):
        status, _, errors = call("predict", file, given)
        assert (status, len(errors.splitlines())) == (2, 1)
        assert message in errors
        assert str(given) in errors


def test_a_network_that_learned_nothing_is_not_called_trained(leaves, tmp_path):
    found = pretrain_into(tmp_path / "short", str(leaves), net="resnet8", width=4, size=16, epochs=1, lr=1e-6)
    assert found is not None
    assert found["training steps"] == 1
    assert found["test accuracy"] <= 0.65
    assert "the network has not learned" in found["warning"]
    assert "right for 0.5 of the 40 test pictures" in found["warning"]


def test_names_of_classes_are_one_for_each_output():
    net, x = nn.Sequential(nn.Flatten(), nn.Linear(64, 3)).eval(), torch.rand(1, 1, 8, 8)
    for names in (["a"], ["a", "b", "b"], ["a", "b", "c", "d"]):
        with pytest.raises(InputError, match=r"classes: got . different names, expected 3 different names"):
            pack(net, x, classes=names)
    packed = pack(net, x, classes=["a", "b", "c"])
    assert PackedModel(packed.encoded).classes == packed.classes == ("a", "b", "c")
    assert pack(net, x).classes == ()


@pytest.mark.parametrize("classes", ["abc", [1, 2, 3], {"a": 1}, None, ["a"], ["a", "b", "c", "d"], ["a", "a", "b"]])
def test_names_that_do_not_fit_are_a_damaged_file(classes):
    packed = pack(nn.Sequential(nn.Flatten(), nn.Linear(64, 3)).eval(), torch.rand(1, 1, 8, 8))
    about, arrays = decode(packed.encoded, "x.bnn")
    with pytest.raises(ArtifactError, match=r"x\.bnn: is damaged: .*classes"):
        PackedModel(encode({**about["graph"], "classes": classes}, arrays), path="x.bnn")
