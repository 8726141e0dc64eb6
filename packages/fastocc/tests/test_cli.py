"""Verbs as a user would chain them, with an own rig of three cameras; and each mistake as one line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from ninefold_testing import run_here

MODULE = "fastocc.cli"
RIG = """
cameras:
  - {name: FRONT, size: [450, 800], focal: 600, position: [1.7, 0, 1.5], yaw: 0}
  - {name: LEFT, size: [450, 800], focal: 420, position: [1.0, 0.5, 1.5], yaw: 110}
  - {name: RIGHT, size: [450, 800], focal: 420, position: [1.0, -0.5, 1.5], yaw: -110}
"""


def ok(*words):
    done = run_here(MODULE, *map(str, words))
    assert done.returncode == 0, done.stderr
    return done.stdout


def refused(*words):
    done = run_here(MODULE, *map(str, words))
    assert done.returncode == 2, done.stdout + done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    return done.stderr


@pytest.fixture(scope="module")
def own(tmp_path_factory) -> Path:
    """A folder with a rig of three cameras, a street seen by it, and a model trained on that street."""
    root = tmp_path_factory.mktemp("own")
    (root / "rig.yaml").write_text(RIG)
    size = ["--grid", "micro", "--height", 32, "--width", 64]
    ok("simulate", "--train", 1, "--val", 1, "--frames", 2, *size, "--rig", root / "rig.yaml", "-o", root / "street")
    ok("train", "--preset", "micro", "--steps", 4, "--root", root / "street", "-o", root / "run")
    return root


def test_own_rig_is_simulated_trained_and_evaluated(own, tmp_path):
    about = json.loads(ok("info", own / "street", "--json"))
    assert about[0]["cameras"] == "FRONT, LEFT, RIGHT"
    scores = json.loads(
        ok("eval", own / "run", "--root", own / "street", "--rayiou", "-o", tmp_path / "scores", "--json")
    )
    assert {"mIoU", "RayIoU"} <= {row["score"] for row in scores["rows"]}
    assert json.loads((tmp_path / "scores" / "metrics.json").read_text())["mask"] == "camera"
    lines = (tmp_path / "scores" / "per-class.csv").read_text().splitlines()
    assert lines[0] == "class,iou,rayiou"
    assert len(lines) == 18


def test_masks_change_what_counts(own):
    counts = [
        ok("eval", own / "run", "--root", own / "street", "--mask", mask, "--json") for mask in ("camera", "none")
    ]
    assert "mask camera" in counts[0]
    assert counts[0] != counts[1]


def test_predictions_are_written(own, tmp_path):
    ok("predict", own / "run", "--root", own / "street", "-o", tmp_path / "p")
    files = sorted(path.name for path in tmp_path.rglob("*") if path.is_file())
    assert files == ["ninefold.json", "val-0000-00.npz", "val-0000-01.npz"]
    with np.load(tmp_path / "p" / "val-0000" / "val-0000-00.npz") as file:
        assert file["semantics"].shape == (20, 20, 8)


def test_pictures_of_labels_and_predictions(own, tmp_path):
    ok("render", own / "street", "-o", tmp_path / "bird.png")
    ok("render", own / "street", "--view", "overlay", "-o", tmp_path / "over.png")
    ok("render", own / "street", "--model", own / "run", "-o", tmp_path / "view.html")
    assert '"prediction"' in (tmp_path / "view.html").read_text()
    assert "--frame" in refused("render", own / "street", "--frame", 9, "-o", tmp_path / "x.png")
    assert "png" in refused("render", own / "street", "-o", tmp_path / "x.gif")
    assert "--view" in refused("render", own / "street", "--view", "side", "-o", tmp_path / "x.png")


def test_labels_are_made_from_sweeps_and_read_by_the_loader(own, tmp_path):
    from fastocc.datasets import read_occ3d
    from fastocc.geometry import GridSpec

    ok("labels", own / "street", "--grid", "micro", "-o", tmp_path / "made")
    path = tmp_path / "made" / "gts" / "train-0000" / "train-0000-00" / "labels.npz"
    labels = read_occ3d(path, GridSpec.named("micro"))
    assert (labels.semantics != 17).sum() > 50
    assert labels.mask_camera.any()
    ok("labels", own / "street", "--grid", "micro", "--no-boxes", "--ground", 0, "-o", tmp_path / "bare")
    bare = read_occ3d(tmp_path / "bare" / path.relative_to(tmp_path / "made"), GridSpec.named("micro"))
    assert (bare.semantics != 17).sum() < (labels.semantics != 17).sum()


def test_trained_model_is_exported_for_its_rig_in_8_bits(own, exporter, tmp_path):
    pytest.importorskip("onnxscript")  # in 32 bits: the README's commands, and tests of `export`
    rig, out = ("--rig", own / "rig.yaml"), tmp_path / "onnx"
    words = ("export", own / "run", *rig, "--backend", "decomposed", "--logits", "--int8", own / "street", "-o", out)
    facts = json.loads(ok(*words, "--json"))
    assert facts["deformable convolution"] == "decomposed"
    assert 0 < facts["largest relative difference"] < 0.2
    assert json.loads((out / "about.json").read_text())["bits"] == 8
    assert "cameras" in refused("export", own / "run", "-o", tmp_path / "other")


def test_inspect_tells_the_configuration_and_the_parts(own):
    facts, parts = json.loads(ok("inspect", own / "run", "--json"))
    assert facts["cameras"] == 3
    assert {row["part"] for row in parts["rows"]} >= {"image encoder", "head", "segmentation branch (training)"}


def test_bench_has_a_row_for_each_head_and_stage(no_collections):
    rows = json.loads(ok("bench", "--preset", "micro", "--heads", "fastocc,c2h", "--rounds", 3, "--json"))["rows"]
    assert [row["head"] for row in rows] == ["fastocc", "c2h"]
    rows = json.loads(ok("bench", "--preset", "micro", "--heads", "c2h", "--stages", "--rounds", 3, "--json"))["rows"]
    assert rows[-1]["stage"] == "head c2h"


def test_compare_prints_a_row_for_each_head(own, tmp_path):
    words = ("compare", "--preset", "micro", "--heads", "fastocc,prior", "--encoder-steps", 2, "--steps", 2)
    street = tmp_path / "street"
    ok(
        "simulate",
        "--train",
        1,
        "--val",
        1,
        "--frames",
        1,
        "--grid",
        "micro",
        "--height",
        32,
        "--width",
        64,
        "-o",
        street,
    )
    rows = json.loads(ok(*words, "--root", street, "-o", tmp_path / "out", "--json"))["rows"]
    assert [row["head"] for row in rows] == ["fastocc", "prior"]
    assert "bevdet-occ" in refused("compare", "--heads", "bevdet-occ", "--root", street, "-o", tmp_path / "other")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "--preset", "huge", "-o", "x"], "preset"),
        (["train", "--head", "c2h", "--lift", "conv", "-o", "x"], "--lift"),
        (["train", "--format", "occ3d", "-o", "x"], "--root"),
        (["train"], "--out"),
        (["eval", "nowhere"], "nowhere"),
        (["eval", "demo", "--mask", "radar", "--root", "STREET"], "mask"),
        (["eval", "demo", "--root", "STREET"], "size|grid"),
        (["info", "STREET", "--split", "test"], "split"),
        (["convert", "gone.pth", "--source", "flashocc", "-o", "x"], "gone.pth"),
        (["bench", "--heads", "best"], "head"),
        (["bench", "--engine", "tensorrt", "--preset", "micro"], "--engine"),
        (["labels", "nowhere", "-o", "x"], "annotations.json"),
        (["simulate", "--rig", "gone.yaml", "-o", "x"], "gone.yaml"),
    ],
)
def test_mistakes_are_one_line(words, message, street, tmp_path, monkeypatch):
    import re

    monkeypatch.chdir(tmp_path)
    assert re.search(message, refused(*(str(street) if one == "STREET" else one for one in words)))
    assert not (tmp_path / "x").exists()


def test_root_that_is_not_there_is_named(tmp_path):
    done = run_here("fastocc.cli", "train", "--root", str(tmp_path / "nuscenes"), "-o", str(tmp_path / "run"))
    assert done.returncode == 2
    assert "nuscenes, where no folder is" in done.stderr


def test_network_is_trained_on_sweeps_without_a_label_file(own, tmp_path):
    root = tmp_path / "street"
    shutil.copytree(own / "street", root)
    shutil.rmtree(root / "gts")
    words = ["train", "--preset", "micro", "--format", "sim", "--steps", 2, "--root", root]
    assert "labels" in refused(*words, "-o", tmp_path / "labels")
    ok(*words, "--supervision", "lidar", "-o", tmp_path / "run")
    shutil.rmtree(root / "lidarseg")
    ok(*words, "--supervision", "lidar", "-o", tmp_path / "distances")  # the image branch has nothing to learn from
    assert "supervision" in refused(*words, "--supervision", "radar", "-o", tmp_path / "other")
