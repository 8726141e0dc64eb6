"""Whole models: the segmentation branch with and without; whether images and calibration are what it works from."""

from __future__ import annotations

from collections.abc import Callable

import torch
from fastocc.datasets import OccDataset
from fastocc.evaluation import evaluate, evaluate_head
from fastocc.models import FastOccConfig, FastOccModel
from fastocc.training import TrainConfig, train
from fastocc.views import bev_augmentation
from ninefold_lab import Budget, Claim, all_of, at_least, at_most

from ._setting import Setting, setting


def _trained(given: Setting, seed: int, weight: float, data: OccDataset, limit: int) -> FastOccModel:
    config = FastOccConfig.preset(given.preset, segmentation=weight)
    recipe = TrainConfig.for_preset(given.preset, steps=given.whole_steps, every=50, seed=seed)
    folder = given.folder.with_name(f"{given.folder.name}-whole-{given.whole_steps}-{limit}-{weight:g}-{seed}")
    return train(folder, config, recipe, data)


def _branch(budget: Budget, seed: int) -> dict[str, float]:
    given = setting(budget)
    train_set, val = given.splits()
    half = OccDataset(train_set.root, "sim", "train", limit=max(1, len(train_set) // 2))
    arms = {"with the branch": 0.5, "without": 0.0}
    return {
        name: 100 * evaluate(_trained(given, seed, weight, half, len(half)), val).miou.miou
        for name, weight in arms.items()
    }


def _controls(budget: Budget, seed: int) -> dict[str, float]:
    given = setting(budget)
    train_set, val = given.splits()
    model = _trained(given, seed, 0.5, train_set, 0)
    changes: dict[str, Callable[[dict], dict] | None] = {
        "as it is": None,
        "zeroed images": lambda one: {**one, "images": torch.zeros_like(one["images"])},
        "20 degrees off": lambda one: {**one, "cam2ego": bev_augmentation(rotate=20.0) @ one["cam2ego"]},
    }
    scores = {name: 100 * evaluate(model, val, change=change).miou.miou for name, change in changes.items()}
    encoded = given.encoded()
    prior = evaluate_head(given.head("prior", encoded, seed), encoded.val, encoded.dataset, rayiou=False)
    return {**scores, "prior": 100 * prior.miou.miou, "60 % of it": 0.6 * scores["as it is"]}


SEGMENTATION_HELPS = Claim(
    id="fastocc/segmentation-branch-helps",
    says="training with the perspective segmentation branch adds at least 0.5 points of mIoU at no cost in inference",
    source="arXiv 2412.07163, its training-only branch; the bar is ours",
    run=_branch,
    verdict=at_least("with the branch", "without", margin=0.5),
    full=Budget(3, 15, "full"),
)
IMAGES_MATTER = Claim(
    id="fastocc/images-are-what-it-works-from",
    says="its mIoU is at least 8 points above the per-voxel prior; zeroed images lose 40 %, wrong extrinsics hurt",
    source="ours: the control",
    run=_controls,
    verdict=all_of(
        at_least("as it is", "prior", margin=8.0),
        at_most("zeroed images", "60 % of it"),
        at_most("20 degrees off", "as it is"),
    ),
    full=Budget(3, 7, "full"),
)
