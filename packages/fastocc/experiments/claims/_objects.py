"""Debris of shapes that training never showed."""

from __future__ import annotations

import json

import numpy as np
import torch
from fastocc.evaluation import Encoded
from fastocc.heads import OccHead, decode
from fastocc.sim import HELD_OUT_DEBRIS
from fastocc_experiments.models._setting import setting
from ninefold_lab import Budget, Claim, at_least


@torch.no_grad()
def _recalls(head: OccHead, encoded: Encoded) -> tuple[float, float]:
    """Share in % of the voxels of debris of seen and of held-out shapes that the head calls occupied, by frame."""
    data, free = encoded.dataset, encoded.dataset.format.free
    found: dict[bool, list[float]] = {False: [], True: []}
    for at, info in enumerate(data.infos):
        occupied = decode(head(encoded.val.bev[at : at + 1].float()), "softmax", free)[0].numpy() != free
        labels, mask = encoded.val.labels[at].numpy(), encoded.val.masks[at].numpy()
        with np.load(data.root / info.label_path, allow_pickle=False) as file:
            instances = file["instances"]
        boxes = json.loads((data.root / "boxes" / f"{info.token}.json").read_text(encoding="utf-8"))
        kinds = {one["instance"]: one["kind"] in HELD_OUT_DEBRIS for one in boxes if one["kind"] >= 0}
        for is_new, shares in found.items():
            debris = np.isin(instances, [key for key, new in kinds.items() if new == is_new])
            chosen = debris & mask & (labels != free)
            if chosen.any():
                shares.append(float(occupied[chosen].mean()))
    seen, new = (100 * float(np.mean(shares)) if shares else 0.0 for shares in found.values())
    return seen, new


def _debris(budget: Budget, seed: int) -> dict[str, float]:
    given = setting(budget)
    encoded = given.encoded()
    seen, new = _recalls(given.head("fastocc", encoded, seed), encoded)
    return {"held-out": new, "seen": seen, "0.8 of seen": 0.8 * seen}


UNKNOWN_OBJECTS = Claim(
    id="fastocc/finds-unknown-objects",
    says="debris of shapes that training never showed is found occupied at least 0.8 times as often as shown debris",
    source="ours: what occupancy is for",
    run=_debris,
    verdict=at_least("held-out", "0.8 of seen"),
    full=Budget(10, 5, "full"),
)
