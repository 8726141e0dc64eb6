"""Training without voxel labels: points on LiDAR rays against the labels, in the same network, scenes and steps.

No arm has the segmentation branch, and the returns have no class, so that the LiDAR arms are given distances alone.
What `train --supervision lidar` does in the end, finding where free space begins with the sweeps that were trained on,
each LiDAR arm does with its own; one arm with voxel labels does it too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from fastocc.datasets import OccDataset
from fastocc.evaluation import RayIoU, predict_frame, select_origins
from fastocc.models import FastOccConfig, FastOccModel
from fastocc.training import TrainConfig, train
from fastocc.unlabelled import calibrate_free
from fastocc_experiments.models._setting import setting
from ninefold.datasets import cache_path
from ninefold_lab import Budget, Claim, all_of, at_least

LABELS = "voxel labels"
ARMS: dict[str, dict[str, Any]] = {
    LABELS: {},
    "LiDAR rays": {"supervision": "lidar"},
    "without free points": {"supervision": "lidar", "free_points": 0},
    "returns of another frame": {"supervision": "lidar"},
}
_FAR = 0.37  # share of the data set by which frames are shifted: into another scene


class Returns(OccDataset):
    """A data set whose returns have no class, and come from another frame if `shuffled`."""

    shuffled = False

    def points(self, at: int) -> None:  # type: ignore[override]  # noqa: ARG002
        """Nobody labelled the returns."""
        return

    def sweep(self, at: int) -> np.ndarray | None:
        """Returns of frame `at`, or those of a frame of another scene."""
        return super().sweep((at + round(_FAR * len(self))) % len(self) if self.shuffled else at)


def geometric_rayiou(model: FastOccModel, data: OccDataset) -> float:
    """RayIoU in % with one class, occupied."""
    metric = RayIoU(data.grid, ["occupied", "free"], 1)
    for at in range(len(data)):
        found, truth = (one == data.format.free for one in (predict_frame(model, data, at), data.labels(at).semantics))
        origins = select_origins(data.lidar_origins(at), data.grid)
        metric.add(found.astype(np.uint8), truth.astype(np.uint8), origins)
    return 100 * metric.compute().rayiou


def returns_of(root: Path, name: str) -> Returns:
    """Training frames with the returns that an arm has."""
    data = Returns(root, "sim", "train")
    data.shuffled = name == "returns of another frame"
    return data


def trained(root: Path, name: str, preset: str, steps: int, seed: int) -> FastOccModel:
    """A network trained as an arm, kept in the cache."""
    data = returns_of(root, name)
    recipe = TrainConfig.for_preset(preset, steps=steps, every=50, seed=seed, **ARMS[name])
    folder = cache_path("fastocc") / "rays" / f"{root.name}-{steps}-{name.replace(' ', '-')}-{seed}"
    return train(folder, FastOccConfig.preset(preset, segmentation=0.0), recipe, data, about={"arm": name})


def _scores(budget: Budget, seed: int) -> dict[str, float]:
    given = setting(budget)
    train_set, val = given.splits()
    made: dict[str, float] = {}
    for name in ARMS:
        model = trained(train_set.root, name, given.preset, given.whole_steps, seed)
        raw = geometric_rayiou(model, val)
        calibrate_free(model, returns_of(train_set.root, name))
        found = geometric_rayiou(model, val)
        made |= (
            {name: raw, f"{name}, calibrated": found} if name == LABELS else {f"{name}, as trained": raw, name: found}
        )
    return {**made, **{f"90 % of {name}": 0.9 * made[name] for name in (LABELS, f"{LABELS}, calibrated")}}


WITHOUT_VOXELS = Claim(
    id="fastocc/without-voxels",
    says="points on LiDAR rays alone give 90 % of the geometric RayIoU that voxel labels give, on unseen scenes",
    source="ours; the idea is QueryOcc's (arXiv 2511.17221); controls without free points, and with others' returns",
    run=_scores,
    verdict=all_of(
        at_least("LiDAR rays", f"90 % of {LABELS}"),
        at_least("LiDAR rays", f"90 % of {LABELS}, calibrated"),
        at_least("LiDAR rays", "without free points"),
        at_least("LiDAR rays", "returns of another frame"),
    ),
    full=Budget(5, 20, "full"),
)
