"""History: two earlier frames' bird's-eye views, aligned, against the present frame in their place.

The shipped network's image encoder and view are frozen; fusion, BEV encoder and head are trained on from there, with
equal frames, crops, steps, operations and trials of the rate for each arm. Scores are of frames that have two
frames before them in their scene (2 Hz), mIoU under the camera mask. The vehicle moves in every scene, and arms learn
from the labels of what a camera sees now or saw in those two frames: what is hidden now is what an earlier frame knows
more about. One control learns, as is usual, from what is seen now alone.
"""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from fastocc.datasets import OccDataset
from fastocc.evaluation import evaluate_head
from fastocc.heads import OccHead
from fastocc.models import FastOccModel, shipped_weights
from fastocc.training import BevBank, label_weights, train_head
from fastocc.views import BevHistory, CameraInputs, warp_previous
from fastocc_experiments.models._setting import setting
from ninefold import artifacts
from ninefold.datasets import cache_path
from ninefold.errors import ArtifactError
from ninefold.files import write_text
from ninefold_lab import Budget, Claim, all_of, at_least
from torch import Tensor

ARMS = ("history", "not aligned", "present frame thrice", "present frame thrice, labels seen now")
RATES = (1e-3, 3e-3)
_FRAMES = 3


class SeesHistory(OccHead):
    """Fusion, BEV encoder and head on a stack of BEVs (B, N * C, Y, X), the present one first."""

    def __init__(self, model: FastOccModel) -> None:
        config = model.config
        super().__init__(_FRAMES * config.view_channels, config.spec, config.num_classes)
        self.fuse = BevHistory(config.view_channels, _FRAMES, config.spec)
        self.encoder, self.head = copy.deepcopy(model.encoder), copy.deepcopy(model.head)

    def score(self, bev: Tensor, context: object) -> Tensor:  # noqa: ARG002
        """(B, N * C, Y, X) -> (B, X, Y, Z, K)."""
        now = bev[:, : self.fuse.channels]
        return self.head(self.encoder(now + self.fuse.mix(bev)))


@dataclass(frozen=True)
class _Views:
    """BEVs of all frames of a split (n, C, Y, X), and (n, N - 1, C, Y, X) of those before them, aligned and not."""

    bank: BevBank
    aligned: Tensor
    raw: Tensor
    whole: Tensor
    before: Tensor  # (n, X, Y, Z) bool: seen now or in those frames

    def arm(self, name: str, keep: Tensor, *, learn: bool = False) -> BevBank:
        """The frames `keep`, as an arm sees them; to `learn` from, with the labels of what was seen before too."""
        now, index = self.bank.bev[keep], keep.tolist()
        before = {ARMS[0]: self.aligned, ARMS[1]: self.raw}.get(name)
        more = [now] * (_FRAMES - 1) if before is None else list(before[keep].unbind(1))
        bank = self.bank
        masks = self.before if learn and name != ARMS[3] else bank.masks
        stack = torch.cat([now, *more], 1)
        return BevBank(stack, bank.labels[keep], masks[keep], [bank.origins[at] for at in index])


def seen_now_or_before(data: OccDataset, masks: np.ndarray) -> np.ndarray:
    """(n, X, Y, Z) bool: voxels that a camera sees, or saw in the two frames before, where they were then.

    Args:
        data: frames. masks: (n, X, Y, Z) bool, what the cameras see in each frame.
    """
    centers, made = data.grid.centers().reshape(-1, 3).astype(float), masks.copy()
    for at in range(len(data)):
        for other in data.previous(at, _FRAMES - 1):
            then, now = (data.infos[one].ego2global for one in (other, at))
            move = np.linalg.inv(then) @ now
            index, inside = data.grid.index(centers @ move[:3, :3].T + move[:3, 3])
            seen = np.zeros(len(centers), bool)
            seen[inside] = masks[other][tuple(index[inside].T)]
            made[at] |= seen.reshape(made[at].shape)
    return made


@torch.no_grad()
def _views(path: Path, model: FastOccModel, data: OccDataset) -> _Views:
    try:
        kept = artifacts.Artifact(path, kind="fastocc.views", format_version=1)
        bev = kept.torch("bev")
    except ArtifactError:  # not there yet, or of no use
        made = []
        for at in range(len(data)):
            frame = data.frame(at)
            matrices = (torch.from_numpy(one)[None] for one in (frame.cam2img, frame.cam2ego))
            images = torch.from_numpy(frame.images)[None]
            made.append(model.encode(images, CameraInputs(*matrices, model.config.image_size))[1][0].half())
        bev = torch.stack(made)
        artifacts.save(path, {"bev": bev}, kind="fastocc.views", format_version=1, package="fastocc", force=True)
    aligned, raw = (torch.zeros(len(bev), _FRAMES - 1, *bev.shape[1:], dtype=bev.dtype) for _ in range(2))
    whole = torch.zeros(len(bev), dtype=torch.bool)
    for at in range(len(bev)):
        earlier = data.previous(at, _FRAMES - 1)[::-1]
        whole[at] = len(earlier) == _FRAMES - 1
        for place, other in enumerate(earlier):
            poses = [data.infos[one].ego2global for one in (other, at)]
            motion = torch.from_numpy(np.linalg.inv(poses[0]) @ poses[1]).float()[None]
            raw[at, place] = bev[other]
            aligned[at, place] = warp_previous(bev[other][None].float(), motion, data.grid)[0].half()
    labels = [data.labels(at) for at in range(len(data))]
    semantics = torch.from_numpy(np.stack([one.semantics for one in labels]))
    masks = np.stack([one.mask_camera for one in labels if one.mask_camera is not None])
    before, origins = seen_now_or_before(data, masks), [data.lidar_origins(at) for at in range(len(data))]
    return _Views(
        BevBank(bev, semantics, torch.from_numpy(masks), origins), aligned, raw, whole, torch.from_numpy(before)
    )


def _fit(model: FastOccModel, bank: BevBank, seed: int, steps: int, rate: float) -> SeesHistory:
    torch.manual_seed(seed)
    head, config = SeesHistory(model), model.config
    free = config.labels.free
    weights = label_weights(config, bank.labels.numpy())
    crop = min(40, *bank.bev.shape[-2:])
    train_head(head, bank, free, steps=steps, seed=seed, rate=rate, crop=crop, weights=weights)
    return head


def _scores(budget: Budget, seed: int) -> dict[str, float]:
    given = setting(budget)
    full = given.preset == "mini"
    model = FastOccModel.from_pretrained(shipped_weights()) if full else FastOccModel(given.config).eval()
    folder, sets = cache_path("fastocc") / f"history-moving-{given.preset}", given.splits(moving=True)
    train, val = (_views(folder / f"{name}.safetensors", model, one) for name, one in zip("tv", sets, strict=True))
    steps, made = max(1, given.head_steps // 3), {}
    used, scored = (
        one.whole.nonzero()[:, 0] if bool(one.whole.any()) else torch.arange(len(one.whole)) for one in (train, val)
    )
    cut = len(used) - max(1, len(used) // 5)  # rates are chosen on the last scenes
    for name in ARMS:
        path = folder / f"rate-{name.replace(' ', '-')}-{steps}.json"
        if not path.exists():
            parts = [train.arm(name, used[:cut], learn=True), train.arm(name, used[cut:])]
            trials = {
                rate: evaluate_head(
                    _fit(model, parts[0], 1000, max(1, steps // 2), rate), parts[1], sets[0], rayiou=False
                ).miou.miou
                for rate in RATES
            }
            write_text(path, json.dumps({"rate": max(trials, key=trials.__getitem__), "trials": list(trials.values())}))
        rate = float(json.loads(path.read_text(encoding="utf-8"))["rate"])
        head = _fit(model, train.arm(name, used, learn=True), seed, steps, rate)
        done = evaluate_head(head, val.arm(name, scored), sets[1])
        made[name] = 100 * done.miou.miou
        made[f"{name} RayIoU"] = 100 * (done.ray.rayiou if done.ray else float("nan"))
    return made


HISTORY_HELPS = Claim(
    id="fastocc/history-helps",
    says="two earlier bird's-eye views, aligned by ego motion, add at least 2 points of mIoU and of RayIoU",
    source="ours; simulated streets in which the vehicle moves; controls have the present frame in their place",
    run=_scores,
    verdict=all_of(
        *(
            at_least(f"history{score}", f"{control}{score}", margin=2.0)
            for control in ARMS[2:]
            for score in ("", " RayIoU")
        ),
        at_least("history", "not aligned"),
    ),
    full=Budget(5, 6, "full"),
)
