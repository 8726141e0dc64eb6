"""Debris of shapes that training never showed, and columns that hold several layers."""

from __future__ import annotations

import json

import numpy as np
import torch
from fastocc.evaluation import Encoded
from fastocc.heads import OccHead, decode
from fastocc.sim import HELD_OUT_DEBRIS
from ninefold_lab import Budget, Claim, at_least

from ._setting import Setting, setting


def upper_layers(semantics: np.ndarray, free: int) -> np.ndarray:
    """(X, Y, Z) bool: occupied voxels with a free voxel somewhere below them and an occupied one below that."""
    filled = semantics != free
    below = np.cumsum(filled, axis=2) - filled  # occupied voxels below each
    gap = np.zeros_like(filled)
    for level in range(1, semantics.shape[2]):
        gap[:, :, level] = gap[:, :, level - 1] | (~filled[:, :, level - 1] & (below[:, :, level - 1] > 0))
    return filled & gap


@torch.no_grad()
def _recalls(head: OccHead, encoded: Encoded) -> dict[str, np.ndarray]:
    """By group of voxels: share in %, frame by frame, that the head calls occupied; frames without any are left out."""
    data, free = encoded.dataset, encoded.dataset.format.free
    found: dict[str, list[float]] = {"seen debris": [], "held-out debris": [], "upper layers": []}
    for at, info in enumerate(data.infos):
        occupied = decode(head(encoded.val.bev[at : at + 1].float()), "softmax", free)[0].numpy() != free
        labels, mask = encoded.val.labels[at].numpy(), encoded.val.masks[at].numpy()
        with np.load(data.root / info.label_path, allow_pickle=False) as file:
            instances = file["instances"]
        boxes = json.loads((data.root / "boxes" / f"{info.token}.json").read_text(encoding="utf-8"))
        kinds = {one["instance"]: one["kind"] for one in boxes if one["kind"] >= 0}
        new = np.isin(instances, [key for key, kind in kinds.items() if kind in HELD_OUT_DEBRIS])
        known = np.isin(instances, [key for key, kind in kinds.items() if kind not in HELD_OUT_DEBRIS])
        groups = {"seen debris": known, "held-out debris": new, "upper layers": upper_layers(labels, free)}
        for name, voxels in groups.items():
            chosen = voxels & mask & (labels != free)
            if chosen.any():
                found[name].append(float(occupied[chosen].mean()))
    return {name: 100 * np.array(values) for name, values in found.items()}


def _debris(budget: Budget, seed: int) -> dict[str, float]:
    given: Setting = setting(budget)
    encoded = given.encoded()
    recalls = _recalls(given.head("fastocc", encoded, seed), encoded)
    means = {name: float(values.mean()) if len(values) else 0.0 for name, values in recalls.items()}
    return {
        "held-out": means["held-out debris"],
        "seen": means["seen debris"],
        "0.8 of seen": 0.8 * means["seen debris"],
    }


def _layers(budget: Budget, seed: int) -> dict[str, np.ndarray]:
    given = setting(budget)
    encoded = given.encoded()
    return {name: _recalls(given.head(name, encoded, seed), encoded)["upper layers"] for name in ("fastocc", "c2h")}


UNKNOWN_OBJECTS = Claim(
    id="fastocc/finds-unknown-objects",
    says="debris of shapes that training never showed is found occupied at least 0.8 times as often as shown debris",
    source="ours: what occupancy is for",
    run=_debris,
    verdict=at_least("held-out", "0.8 of seen"),
    full=Budget(10, 5, "full"),
)
SEVERAL_LAYERS = Claim(
    id="fastocc/keeps-several-layers",
    says="voxels above a gap (canopies, beams, booms) are found at least as often as by FlashOcc's head",
    source="ours: what keeping height through the FPN is for",
    run=_layers,
    verdict=at_least("fastocc", "c2h"),
    full=Budget(10, 5, "full"),
)
