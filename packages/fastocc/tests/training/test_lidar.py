"""Training on LiDAR rays: no label file is read, points are mirrored with the frame, and it learns."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from fastocc import FastOccConfig, OccDataset
from fastocc.training import BatchMaker, TrainConfig, batch_loss, train
from ninefold.errors import InputError

CONFIG = FastOccConfig.preset("micro")
RECIPE = TrainConfig.for_preset("micro", steps=4, every=2, supervision="lidar")


@pytest.fixture(scope="module")
def bare(street, tmp_path_factory):
    """The street without a single label file."""
    root = tmp_path_factory.mktemp("bare") / "street"
    shutil.copytree(street, root)
    shutil.rmtree(root / "gts")
    return root


def test_network_learns_where_no_label_file_is(bare, tmp_path):
    data = OccDataset(bare, "sim", "train")
    assert not data.labelled
    recipe = TrainConfig(steps=16, every=4, warmup=2, rate=6e-3, photometric=0.0, supervision="lidar")
    model = train(tmp_path / "run", CONFIG, recipe, data)
    assert all(torch.isfinite(one).all() for one in model.parameters())
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").open()]
    assert rows[0].keys() >= {"rays", "classes", "segmentation", "total"}
    assert rows[-1]["rays"] < 0.9 * rows[0]["rays"]
    with pytest.raises(InputError, match="labels"):
        BatchMaker(data, TrainConfig(), 8)


def test_points_are_mirrored_with_the_frame(street):
    data = OccDataset(street, split="train")
    mirrored = BatchMaker(data, TrainConfig(supervision="lidar", flip=1.0), 0).make(0)
    plain = BatchMaker(data, TrainConfig(supervision="lidar", flip=0.0), 0).make(0)
    assert mirrored.labels is None
    assert mirrored.bev_aug[0, 0, 0] == mirrored.bev_aug[0, 1, 1] == -1
    for batch in (mirrored, plain):
        at = batch.queries.points[0, : len(batch.queries.points[0]) // 3]
        returns = data.sweep(BatchMaker(data, RECIPE, 0).indices(0)[0])
        returns = torch.from_numpy(returns * (-1, -1, 1) if batch is mirrored else returns).float()
        assert torch.cdist(at[:200], returns).amin(1).max() < 0.5 * 0.8 + 0.01


def test_data_without_sweeps_and_wrong_choices_are_named(street, tmp_path):
    root = tmp_path / "street"
    shutil.copytree(street, root)
    shutil.rmtree(root / "lidar")
    with pytest.raises(InputError, match=r"supervision.*no LiDAR file"):
        BatchMaker(OccDataset(root, split="train"), RECIPE, 0).make(0)
    for wrong in ({"supervision": "radar"}, {"free_points": -1}, {"supervision": "lidar", "seg_source": "voxels"}):
        with pytest.raises(InputError, match="|".join(wrong)):
            TrainConfig(**wrong)


def test_records_of_runs_with_labels_are_as_they_were():
    assert "supervision" not in TrainConfig().to_dict()
    assert RECIPE.to_dict()["supervision"] == "lidar"


def test_a_batch_with_neither_is_refused(street):
    from dataclasses import replace

    batch = BatchMaker(OccDataset(street, split="train"), RECIPE, 0).make(0)
    from fastocc.models import FastOccModel

    with pytest.raises(InputError, match="neither labels nor queries"):
        batch_loss(FastOccModel(CONFIG).train(), CONFIG, replace(batch, queries=None))
    assert np.isin(batch.queries.occupied.numpy(), (0, 1, 255)).all()
