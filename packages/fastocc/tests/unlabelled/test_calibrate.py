"""Where free space begins after training on rays: rays end at their returns, one bias changes, all heads have it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from fastocc import FastOccConfig, FastOccModel, GridSpec, OccDataset
from fastocc.unlabelled import _calibrate, calibrate_free
from fastocc.unlabelled._agreement import ray_agreement
from fastocc.unlabelled._calibrate import SHIFTS, _scores, add_to_free
from ninefold.errors import InputError
from ninefold_testing import run_here

GRID = GridSpec((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (10, 3, 3))


def test_rays_end_at_their_return_where_the_wall_alone_is_occupied():
    margin = np.full(GRID.shape, -5.0)
    margin[6], margin[3] = 2.0, 0.5  # a wall, and fog before it that is less sure
    points, origin = np.array([[6.4, 1.5, 1.5], [6.4, 1.2, 1.4], [60.0, 0.0, 0.0]]), np.array([0.5, 1.5, 1.5])
    found = ray_agreement(margin, [0.0, 1.0, 3.0], GRID, points, origin)
    assert found.tolist() == [pytest.approx(1 / 3), 1.0, 0.0]  # 3 m short; at the wall; nothing is hit


def test_a_network_that_fills_all_space_is_opened_up_to_the_returns(street, monkeypatch):
    data, model = OccDataset(street, split="train"), FastOccModel(FastOccConfig.preset("micro"))
    free, added = data.format.free, []

    def scores(_model, data, at):  # something everywhere, and surer of it where there is something
        found = torch.zeros(*data.grid.shape, free + 1)
        found[..., 0] = torch.from_numpy(np.where(data.labels(at).semantics == free, 1.0, 3.0))
        return found

    monkeypatch.setattr(_calibrate, "_scores", scores)
    monkeypatch.setattr(_calibrate, "add_to_free", lambda _model, _data, shift: added.append(shift))
    assert calibrate_free(model, data) == 1.0  # the least that opens what is free
    assert added == [1.0]


@pytest.mark.parametrize("head", ["dcn-c2h", "fastocc", "c2h", "bevnet", "voxel3d", "tpv", "cascade", "fastocc2d"])
def test_nothing_but_the_score_of_free_space_changes(street, head):
    torch.manual_seed(0)
    data, model = OccDataset(street, split="train"), FastOccModel(FastOccConfig.preset("micro", head=head)).eval()
    before, weights = _scores(model, data, 0), {name: one.clone() for name, one in model.state_dict().items()}
    add_to_free(model, data, 0.75)
    moved = _scores(model, data, 0) - before
    free = data.format.free
    torch.testing.assert_close(moved[..., free], torch.full(before.shape[:-1], 0.75), rtol=1e-4, atol=1e-4)
    assert moved[..., [at for at in range(moved.shape[-1]) if at != free]].abs().max() < 1e-4
    changed = [name for name, one in model.state_dict().items() if not torch.equal(one, weights[name])]
    assert len(changed) == 1
    assert changed[0].endswith("bias")


def test_frames_without_a_sweep_and_heads_without_a_bias_are_named(street):
    data, model = OccDataset(street, split="train"), FastOccModel(FastOccConfig.preset("micro")).eval()
    model.head.body[-1].bias = None
    with pytest.raises(InputError, match="bias for each class"):
        add_to_free(model, data, 1.0)
    real = data.sweep
    data.sweep = lambda at: real(at) if at else None  # type: ignore[method-assign]
    assert -4 <= calibrate_free(FastOccModel(FastOccConfig.preset("micro")), data) <= 4  # by the other frames
    data.sweep = lambda at: None  # type: ignore[method-assign]
    with pytest.raises(InputError, match="no LiDAR sweep"):
        calibrate_free(FastOccModel(FastOccConfig.preset("micro")), data)
    with pytest.raises(InputError, match="at least 1"):
        calibrate_free(model, data, frames=0)


def test_training_on_rays_ends_with_it_and_keeps_the_weights(street, tmp_path):
    words = (
        "train",
        "--preset",
        "micro",
        "--steps",
        "4",
        "--supervision",
        "lidar",
        "--root",
        street,
        "-o",
        tmp_path / "run",
    )
    facts = [json.loads(run_here("fastocc.cli", *map(str, words), "--json").stdout) for _ in range(2)]
    assert facts[0] == facts[1]
    assert float(facts[0]["free space"]) in SHIFTS
    model, data = FastOccModel.from_pretrained(tmp_path / "run" / "model"), OccDataset(street, split="train")
    assert abs(calibrate_free(model, data)) <= 0.25
