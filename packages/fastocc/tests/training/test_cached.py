"""Heads that look at images, trained and scored on cached views: each crop sees what its window of the grid sees."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from fastocc import CameraRig, FastOccConfig, GridSpec, OccDataset
from fastocc.evaluation import _compare, compare_heads, encode_splits, evaluate_head
from fastocc.geometry import LENS_SIZE
from fastocc.heads import HeadContext, OccHead
from fastocc.models import FastOccModel, build_head
from fastocc.training import BevBank, TrainConfig, _cached, cache_looks, train_head
from fastocc.views import sample_heights, sample_images
from ninefold import artifacts
from ninefold.errors import InputError

CONFIG, GRID, RIG = FastOccConfig.preset("micro"), GridSpec.named("micro"), CameraRig.nominal(32, 64)
LOOKING = ["voxel3d", "cascade", "tpv", "fastocc2d"]


class Probe(OccHead):
    """Gives the image features at each voxel, and keeps what it was given."""

    name, source, needs_context = "probe", "this test", True

    def __init__(self, in_channels, grid, num_classes, *, channels=8, context_channels=4):
        super().__init__(in_channels, grid, num_classes, channels=channels)
        self.context_channels, self.scale = context_channels, torch.nn.Parameter(torch.ones(()))
        points = sample_heights(grid, self.levels).permute(2, 1, 0, 3).reshape(-1, 3)
        self.register_buffer("points", points, persistent=False)

    def score(self, bev, context):
        rows, columns = bev.shape[2:]
        made = sample_images(context.features, self.points, context.cameras).transpose(1, 2)
        return self.scale * made.unflatten(1, (columns, rows, self.levels))


def bank_of(frames=3, **more):
    draw = torch.Generator().manual_seed(0)
    looks = HeadContext(
        torch.randn(frames, 6, 4, 4, 8, generator=draw), torch.from_numpy(RIG.cam2img)[None].repeat(frames, 1, 1, 1),
        torch.from_numpy(RIG.cam2ego)[None].repeat(frames, 1, 1, 1), (32, 64),
    )  # fmt: skip
    labels = torch.randint(0, 4, (frames, *GRID.shape), generator=draw, dtype=torch.uint8)
    bank = BevBank(torch.randn(frames, 8, 20, 20, generator=draw), labels, labels < 9, [], looks)
    return replace(bank, **more)


def test_each_crop_sees_the_images_that_its_window_of_the_grid_sees(monkeypatch):
    bank, seen = bank_of(), []
    whole = Probe(8, GRID, 4).eval()(bank.bev, bank.context([0, 1, 2])).detach()
    labels = whole.argmax(-1).to(torch.uint8)  # labels that only the right window explains

    def loss(logits, truth, *_, **__):
        seen.append((logits.detach().argmax(-1) == truth).float().mean())
        return logits.sum()

    monkeypatch.setattr(_cached, "occupancy_loss", loss)
    train_head(Probe(8, GRID, 4), replace(bank, labels=labels), 3, steps=12, seed=0, crop=8, rate=1e-9)
    assert len(seen) == 12
    assert min(seen) > 0.97  # rounding at the border of an image decides the rest


def test_features_at_a_point_are_the_mean_over_the_cameras_that_see_it():
    bank = bank_of(1)
    context = bank.context([0])
    one = sample_images(torch.ones_like(context.features), sample_heights(GRID, 8).reshape(-1, 3), context.cameras)
    assert one.amin() == 0  # under the vehicle
    assert one.amax() == pytest.approx(1)
    point = torch.tensor([[6.0, 0.0, 1.5]])  # straight ahead: the front camera alone
    features = torch.zeros_like(context.features)
    features[:, RIG.names.index("CAM_FRONT")] = 3.0
    assert sample_images(features, point, context.cameras).unique().tolist() == [3.0]
    assert not sample_images(features, torch.tensor([[-6.0, 0.0, 1.5]]), context.cameras).any()


@pytest.mark.parametrize("name", LOOKING)
def test_image_features_change_what_a_head_says(name):
    torch.manual_seed(0)
    head, bank = build_head(name, replace(CONFIG, image_channels=4)).eval(), bank_of(1)
    context = bank.context([0])
    before = head(bank.bev[:1], context)
    after = head(bank.bev[:1], context._replace(features=context.features + 1))
    assert before.shape == (1, 20, 20, 8, 18)
    assert (before - after).abs().max() > 1e-3


def test_3d_head_tells_heights_of_a_pillar_apart_by_the_images():
    torch.manual_seed(0)
    head, context = build_head("voxel3d", replace(CONFIG, image_channels=4)).eval(), bank_of(1).context([0])
    torch.nn.init.zeros_(head.lift.weight)
    torch.nn.init.zeros_(head.lift.bias)
    x = sample_images(context.features, head.points, context.cameras).unflatten(2, (8, 20, 20))
    assert (x.amax(2) - x.amin(2)).mean() > 0.1
    assert head(torch.randn(1, 8, 20, 20), context)[0].std(2).mean() > 1e-4


@pytest.mark.parametrize("name", LOOKING)
def test_training_changes_a_head_that_looks_and_its_scores_come_from_the_images(name, tmp_path):
    torch.manual_seed(0)
    bank = bank_of(2)
    head = build_head(name, replace(CONFIG, image_channels=4))
    before = {key: one.clone() for key, one in head.named_parameters()}
    train_head(head, bank, 17, steps=2, seed=0, crop=8, batch=2)
    assert not head.training
    assert any(not torch.equal(one, before[key]) for key, one in head.named_parameters())
    dataset = SimpleNamespace(format=CONFIG.labels, grid=GRID)
    assert np.isfinite(evaluate_head(head, bank, dataset, rayiou=False).miou.geometric)
    with pytest.raises(InputError, match=r"bank.*cache_looks"):
        train_head(head, replace(bank, looks=None), 17, steps=1, seed=0, crop=8)


def test_image_features_are_kept_beside_the_views_and_read_again(street, tmp_path, monkeypatch):
    splits = tuple(OccDataset(street, split=one) for one in ("train", "val"))
    recipe = TrainConfig.for_preset("micro", steps=2)
    encode_splits(tmp_path, CONFIG, recipe, splits)
    assert not list(tmp_path.glob("looks-*"))
    made = encode_splits(tmp_path, CONFIG, recipe, splits, looks=True)
    files = sorted(path.name for path in tmp_path.glob("looks-*"))
    assert files == ["looks-train.safetensors", "looks-val.safetensors"]
    monkeypatch.setattr("fastocc.evaluation._compare.cache_looks", None)
    again = encode_splits(tmp_path, CONFIG, recipe, splits, looks=True)
    for one, other in zip(made.val.looks[:3], again.val.looks[:3], strict=True):
        assert torch.equal(one, other)
    expected = cache_looks(FastOccModel.from_pretrained(tmp_path / "encoder" / "model"), splits[1])
    assert torch.equal(expected.features, made.val.looks.features)
    assert made.val.looks.features.dtype == torch.float16


def test_heads_that_look_are_compared_with_those_that_do_not(street, tmp_path):
    splits = tuple(OccDataset(street, split=one) for one in ("train", "val"))
    recipe = TrainConfig.for_preset("micro", steps=2)
    made = compare_heads(tmp_path, ["c2h", "voxel3d", "tpv"], CONFIG, recipe, splits, steps=2)
    assert list(made) == ["c2h", "voxel3d", "tpv"]


def test_image_features_kept_before_other_lenses_were_known_are_read(tmp_path):
    path, lens = tmp_path / "looks.safetensors", torch.tensor([[[0.1, -0.02, 0, 0, 1.5]] * 6])
    arrays = {"features": torch.zeros(1, 6, 4, 2, 4), "cam2img": torch.eye(3).repeat(1, 6, 1, 1),
              "cam2ego": torch.eye(4).repeat(1, 6, 1, 1), "lens": lens}  # fmt: skip
    artifacts.save(path, arrays, kind="fastocc.looks", format_version=1, package="fastocc")
    found = _compare._looks(path, FastOccModel(CONFIG), None)
    assert found.lens.shape == (1, 6, LENS_SIZE)
    assert torch.equal(found.lens[..., :5], lens)
    assert not found.lens[..., 5:].any()
