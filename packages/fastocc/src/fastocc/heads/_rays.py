"""Supervision from LiDAR rays: occupied where a beam returned, free on its way there; no voxel labels are needed.

The idea is that of query supervision (QueryOcc, arXiv 2511.17221): the network is asked at single points of space what
is there. Here the points ask the voxel logits, interpolated between the centres of eight voxels.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from ninefold.errors import InputError
from torch import Tensor
from torch.nn import functional as F

from fastocc.geometry import GridSpec
from fastocc.heads._losses import IGNORE

OCCUPIED, FREE = 1, 0


class RayQueries(NamedTuple):
    """Points of space, and what is known about each of them.

    Attributes:
        points: (..., Q, 3) float32, metres, in the frame of the grid.
        occupied: (..., Q) uint8: 1 something is there, 0 nothing is, 255 the point does not count.
        classes: (..., Q) uint8 class, 255 unknown.
    """

    points: Tensor
    occupied: Tensor
    classes: Tensor


def sample_queries(
    points: np.ndarray,
    origin: np.ndarray,
    grid: GridSpec,
    rng: np.random.Generator,
    *,
    classes: np.ndarray | None = None,
    rays: int = 4096,
    free: int = 2,
    behind: float = 0.5,
    margin: float = 1.0,
) -> RayQueries:
    """Points on the rays of one sweep: for each ray, one at its return or shortly behind, and some before it.

    A free point in a voxel that holds a return of the sweep does not count: a beam that grazes a road passes the upper
    half of the voxels whose lower half is road.

    Args:
        points: (P, 3) returns, metres, in the frame of the grid. origin: (3,) of the sensor, in that frame.
        grid: voxels; rays that miss it are left out. rng: chooses rays and distances.
        classes: (P,) uint8 class of each return, 255 unknown; None if nobody labelled them.
        rays: number of rays, chosen with repetition. free: points before each return.
        behind: voxels behind the return within which it is occupied. margin: voxels before it of which nothing is said.
    Returns: Q = rays * (1 + free) queries; where no ray meets the grid none of them counts.
    Raises: InputError for shapes that do not fit, numbers that are not finite, or counts below 0.

    Examples:
        >>> import numpy as np
        >>> from fastocc import GridSpec
        >>> from fastocc.heads import sample_queries

        >>> wall = np.array([[6.0, 0.1, 1.0]])  # six metres ahead of the sensor
        >>> rng, sensor = np.random.default_rng(0), np.array([0.0, 0.1, 1.0])
        >>> found = sample_queries(wall, sensor, GridSpec.named("micro"), rng, rays=2)
        >>> found.occupied.tolist()  # two returns, then two free points before each
        [1, 1, 0, 0, 0, 0]
        >>> bool((found.points[:2, 0] >= 6).all()), bool((found.points[2:, 0] < 6).all())
        (True, True)
    """
    points, origin = np.asarray(points, np.float64), np.asarray(origin, np.float64)
    _check(points, origin, classes, {"rays": rays, "free": free, "behind": behind, "margin": margin})
    ways = points - origin
    reach = np.linalg.norm(ways, axis=1)
    ways = ways / np.maximum(reach, 1e-9)[:, None]
    enter, leave = _inside(origin, ways, grid)
    kept = np.flatnonzero((reach > 1e-6) & (enter < np.minimum(leave, reach)))
    count = rays * (1 + free)
    if not len(kept) or not count:
        none = torch.full((count,), IGNORE, dtype=torch.uint8)
        return RayQueries(torch.zeros(count, 3), none, none.clone())
    chosen = kept[rng.integers(0, len(kept), rays)]
    size = min(grid.voxel)
    deep = reach[chosen] + behind * size * rng.random(rays)
    last = np.minimum(leave[chosen], reach[chosen] - margin * size)
    share = rng.random((free, rays))
    before = enter[chosen] + share * np.maximum(last - enter[chosen], 0)
    far = np.concatenate([deep[None], before])  # (1 + free, rays)
    places = origin + far[..., None] * ways[chosen]
    index, inside = grid.index(places)
    hit = np.zeros(grid.shape, bool)
    returns, within = grid.index(points)
    hit[tuple(returns[within].T)] = True
    state = np.full(far.shape, FREE, np.uint8)
    state[0] = OCCUPIED
    state[1:][:, last <= enter[chosen]] = IGNORE
    clash = np.zeros(far.shape, bool)
    clash[inside] = hit[tuple(index[inside].T)]
    state[1:][clash[1:]] = IGNORE
    state[~inside] = IGNORE
    marks = np.full(far.shape, IGNORE, np.uint8)
    if classes is not None:
        marks[0] = classes[chosen]
    return RayQueries(
        torch.from_numpy(places.reshape(-1, 3).astype(np.float32)), torch.from_numpy(state.reshape(-1)),
        torch.from_numpy(marks.reshape(-1)),
    )  # fmt: skip


def _check(points: np.ndarray, origin: np.ndarray, classes: np.ndarray | None, counts: dict[str, float]) -> None:
    if points.ndim != 2 or points.shape[1] != 3 or not np.isfinite(points).all():
        raise InputError("points", got=f"shape {points.shape}", expected="(points, 3), all finite")
    if origin.shape != (3,) or not np.isfinite(origin).all():
        raise InputError("origin", got=origin.tolist(), expected="three finite numbers")
    if classes is not None and classes.shape != points.shape[:1]:
        raise InputError("classes", got=f"shape {classes.shape}", expected=f"({len(points)},)")
    for name, value in counts.items():
        if not value >= 0:
            raise InputError(name, got=value, expected="at least 0")


def _inside(origin: np.ndarray, ways: np.ndarray, grid: GridSpec) -> tuple[np.ndarray, np.ndarray]:
    """(P,) metres at which rays enter the grid's box, 0 if they start in it, and leave it; enter > leave for a miss."""
    with np.errstate(divide="ignore", invalid="ignore"):
        one, two = ((np.array(end) - origin) / ways for end in (grid.lower, grid.upper))
    parallel = np.abs(ways) < 1e-12
    outside = (origin < np.array(grid.lower)) | (origin >= np.array(grid.upper))
    low = np.where(parallel, np.where(outside, np.inf, -np.inf), np.minimum(one, two))
    high = np.where(parallel, np.where(outside, -np.inf, np.inf), np.maximum(one, two))
    return np.maximum(low.max(1), 0.0), high.min(1)


def query_logits(logits: Tensor, points: Tensor, grid: GridSpec) -> Tensor:
    """Logits at points, trilinear between voxel centres; beyond the outermost centres, those of the nearest.

    Args:
        logits: (B, X, Y, Z, K). points: (B, Q, 3) metres.
        grid: of the logits.
    Returns: (B, Q, K).
    """
    if logits.dim() != 5 or tuple(logits.shape[1:4]) != grid.shape:
        raise InputError("logits", got=f"shape {tuple(logits.shape)}", expected=f"(B, {grid.shape}, K)")
    if points.dim() != 3 or points.shape[0] != logits.shape[0] or points.shape[2] != 3:
        raise InputError("points", got=f"shape {tuple(points.shape)}", expected=f"({logits.shape[0]}, Q, 3)")
    lower, upper = (torch.tensor(one, dtype=points.dtype, device=points.device) for one in (grid.lower, grid.upper))
    place = 2 * (points - lower) / (upper - lower) - 1
    found = F.grid_sample(
        logits.permute(0, 4, 1, 2, 3), place.flip(-1)[:, None, None].to(logits), padding_mode="border",
        align_corners=False,
    )  # fmt: skip
    return found[:, :, 0, 0].transpose(1, 2)


def ray_loss(logits: Tensor, queries: RayQueries, grid: GridSpec, free: int) -> dict[str, Tensor]:
    """Losses at the points of rays, by name.

    Whether a point is occupied is scored by what `decode` goes by: the best class against free space (softmax), or
    the best class alone (sigmoid, whose K classes hold no free one). Occupied and free points weigh the same, however
    many there are of each.

    Args:
        logits: (B, X, Y, Z, K). queries: of (B, Q) points. grid: of the logits. free: label of empty space.
    Returns: `rays`, binary cross-entropy; `classes`, cross-entropy of the class where returns have one. Each is a
        scalar, 0 with a gradient of 0 where no point counts.
    """
    found = query_logits(logits.float(), queries.points, grid)
    count = found.shape[-1]
    others = [at for at in range(count) if at != free]
    kinds = found[..., others]
    score = kinds.amax(-1) - (found[..., free] if free < count else 0.0)
    parts = [
        F.binary_cross_entropy_with_logits(score[chosen], torch.full_like(score[chosen], float(state)))
        for state in (OCCUPIED, FREE)
        if bool((chosen := queries.occupied == state).any())
    ]
    losses = {"rays": torch.stack(parts).mean() if parts else logits.sum() * 0}
    known = (queries.occupied == OCCUPIED) & (queries.classes != IGNORE) & (queries.classes != free)
    truth = queries.classes[known].long()
    if len(truth) and int(truth.max()) > max(others):
        raise InputError("classes", got=int(truth.max()), expected=f"at most {max(others)}")
    place = torch.zeros(max(others) + 1, dtype=torch.long, device=truth.device)
    place[others] = torch.arange(len(others), device=truth.device)
    losses["classes"] = F.cross_entropy(kinds[known], place[truth]) if len(truth) else logits.sum() * 0
    return losses
