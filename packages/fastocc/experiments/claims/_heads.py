"""The head against its rivals on one frozen encoder, and against itself with parts taken out."""

from __future__ import annotations

from fastocc.evaluation import evaluate_head
from ninefold_lab import Budget, Claim, all_of, at_least

from ._setting import setting

_QUICK, _FULL = Budget(1, 1), Budget(3, 20, "full")


def _flat_rivals(budget: Budget, seed: int) -> dict[str, float]:
    given = setting(budget)
    encoded = given.encoded()
    scores: dict[str, float] = {}
    for name in ("fastocc", "bevnet", "c2h", "prior"):
        done = evaluate_head(given.head(name, encoded, seed), encoded.val, encoded.dataset)
        scores[name] = 100 * done.miou.miou
        if done.ray is not None and name in ("fastocc", "c2h"):
            scores[f"{name} RayIoU"] = 100 * done.ray.rayiou
    return scores


def _against_3d(budget: Budget, seed: int) -> dict[str, float]:
    given = setting(budget)
    encoded = given.encoded()
    return {name: given.miou(name, encoded, seed) for name in ("fastocc", "voxel3d")}


def _parts(budget: Budget, seed: int) -> dict[str, float]:
    given = setting(budget)
    encoded = given.encoded()
    return {
        "deformable, partial FPN": given.miou("fastocc", encoded, seed),
        "deformable, no FPN": given.miou("fastocc", encoded, seed, lift="dcn", fpn="none"),
        "linear, no FPN": given.miou("fastocc", encoded, seed, lift="linear", fpn="none"),
        "convolution, partial FPN": given.miou("fastocc", encoded, seed, lift="conv", fpn="partial"),
    }


def _full_fpn(budget: Budget, seed: int) -> dict[str, float]:
    given = setting(budget)
    encoded = given.encoded()
    return {
        "partial": given.miou("fastocc", encoded, seed),
        "full": given.miou("fastocc", encoded, seed, lift="dcn", fpn="full"),
    }


BEATS_2D_HEADS = Claim(
    id="fastocc/beats-heads-without-height",
    says="on one frozen encoder its mIoU is at least 1.0 point above BEVNet's head and 0.5 above FlashOcc's, and its "
    "RayIoU is not below FlashOcc's",
    source="arXiv 2412.07163 (+1.7 mIoU over OccNet); bars ours",
    run=_flat_rivals,
    verdict=all_of(
        at_least("fastocc", "bevnet", margin=1.0),
        at_least("fastocc", "c2h", margin=0.5),
        at_least("fastocc RayIoU", "c2h RayIoU"),
    ),
    quick=_QUICK,
    full=Budget(10, 5, "full"),
)
NEAR_VOXEL3D = Claim(
    id="fastocc/near-a-3d-head",
    says="its mIoU is at most 0.3 points below that of a residual 3D network (which gets a linear lift of the BEV)",
    source="ours: what doing without 3D convolutions may cost",
    run=_against_3d,
    verdict=at_least("fastocc", "voxel3d", margin=-0.3),
    quick=_QUICK,
    full=_FULL,
)
EACH_PART_HELPS = Claim(
    id="fastocc/each-part-helps",
    says="deformation beats a linear lift, the partial voxel FPN adds to it, and deformation beats plain convolution",
    source="arXiv 2412.07163, its two parts; the last bar is the control",
    run=_parts,
    verdict=all_of(
        at_least("deformable, no FPN", "linear, no FPN"),
        at_least("deformable, partial FPN", "deformable, no FPN"),
        at_least("deformable, partial FPN", "convolution, partial FPN"),
    ),
    quick=_QUICK,
    full=Budget(10, 5, "full"),
)
PARTIAL_NEAR_FULL = Claim(
    id="fastocc/partial-fpn-is-enough",
    says="with 3D convolutions throughout the FPN, its mIoU would be at most 0.3 points higher",
    source="arXiv 2412.07163, the partial voxel FPN",
    run=_full_fpn,
    verdict=at_least("partial", "full", margin=-0.3),
    quick=_QUICK,
    full=_FULL,
)
