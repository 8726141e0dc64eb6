"""Counting and timing: MACs by formula, linear growth, the folded head far below a 3D one."""

from __future__ import annotations

import torch
from fastocc import CameraRig, FastOccConfig, FastOccHead, FastOccModel, GridSpec
from fastocc.evaluation import count_macs, head_inputs, time_heads, time_stages
from fastocc.models import build_head


def macs(side=20, levels=8, channels=4, lift="dcn", fpn="partial"):
    grid = GridSpec((0, 0, 0), (1, 1, 1), (side, side, levels))
    return count_macs(
        FastOccHead(8, grid, 5, channels=channels, lift=lift, fpn=fpn).eval(), torch.zeros(1, 8, side, side)
    )


def test_macs_grow_linearly_in_the_plane_and_in_height():
    assert macs(side=40) == 4 * macs(side=20)
    field = 20 * 20 * 9 * 8 * 27  # offsets do not depend on height
    assert macs(levels=16) - field == 2 * (macs(levels=8) - field)


def test_head_with_the_partial_fpn_needs_at_most_eight_tenths_of_one_with_the_full():
    config = FastOccConfig.preset("mini")
    bev = torch.zeros(1, 32, 80, 80)
    counts = {}
    for fpn in ("partial", "full"):
        head = build_head("fastocc", FastOccConfig.from_dict({**config.to_dict(), "fpn": fpn})).eval()
        counts[fpn] = count_macs(head, bev)
    assert counts["partial"] <= 0.8 * counts["full"]


def test_head_needs_less_than_half_the_macs_of_the_3d_one():
    heads = {name: build_head(name, FastOccConfig.preset("mini")).eval() for name in ("fastocc", "voxel3d")}
    counts = {name: count_macs(head, *head_inputs(head)) for name, head in heads.items()}
    assert counts["fastocc"] < counts["voxel3d"] / 2


def test_heads_are_timed_beside_the_first(no_collections):
    rows = time_heads(["fastocc", "c2h", "cascade"], FastOccConfig.preset("micro"), rounds=3)
    assert [one.name for one in rows] == ["fastocc", "c2h", "cascade"]
    assert rows[0].ratio == 1
    assert all(one.seconds > 0 for one in rows)
    looked = []
    engine = lambda head, bev, context: looked.append(context) or (lambda: head(bev, context))  # noqa: E731
    time_heads(["cascade", "c2h"], FastOccConfig.preset("micro"), engine=engine, rounds=3)
    assert [one is None for one in looked] == [False, True]


def test_stages_add_up_to_the_macs_of_the_model():
    model, rig = FastOccModel(FastOccConfig.preset("micro")), CameraRig.nominal(32, 64)
    stages = time_stages(model, rig, rounds=1)
    images = torch.zeros(1, 6, 3, 32, 64)
    matrices = (torch.from_numpy(one)[None] for one in (rig.cam2img, rig.cam2ego))
    assert sum(one.macs for one in stages) == count_macs(model.to_inference(), images, *matrices)
    assert stages[-1].name == "head dcn-c2h"


def test_inputs_of_a_head_are_the_same_for_the_same_seed():
    head = build_head("fastocc2d", FastOccConfig.preset("micro"))
    (one, context), (other, _) = head_inputs(head, 3), head_inputs(head, 3)
    assert torch.equal(one, other)
    assert context.features.shape[2] == 8
