"""Labels for the segmentation branch in the image: projected LiDAR points, or rays through voxel labels."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fastocc.datasets._formats import IGNORE
from fastocc.geometry import GridSpec, pixel_rays, project_points, raycast


def segmentation_from_points(
    points: np.ndarray, labels: np.ndarray, cam2img: np.ndarray, cam2ego: np.ndarray, size: tuple[int, int],
    stride: int, lens: np.ndarray | None = None,
) -> np.ndarray:  # fmt: skip
    """Project labelled points into each camera; the nearest point of a cell wins, cells without a point are 255.

    Args:
        points: (P, 3) in the frame that `cam2ego` transforms to. labels: (P,) uint8.
        cam2img: (N, 3, 3). cam2ego: (N, 4, 4). size: (height, width) of the images. stride: pixels a cell.
        lens: (N, 13) lenses; None if all cameras are pinholes.
    Returns: (N, height // stride, width // stride) uint8.
    """
    made = np.full((len(cam2img), (size[0] // stride) * (size[1] // stride)), IGNORE, np.uint8)
    for at, cells, _, chosen in _nearest(points, cam2img, cam2ego, size, stride, lens):
        made[at, cells] = labels[chosen]
    return made.reshape(len(cam2img), size[0] // stride, size[1] // stride)


def depth_from_points(
    points: np.ndarray, cam2img: np.ndarray, cam2ego: np.ndarray, size: tuple[int, int], stride: int,
    lens: np.ndarray | None = None,
) -> np.ndarray:  # fmt: skip
    """(N, height // stride, width // stride) float32 depth of the nearest point of each cell, metres; 0 without one."""
    made = np.zeros((len(cam2img), (size[0] // stride) * (size[1] // stride)), np.float32)
    for at, cells, depth, _ in _nearest(points, cam2img, cam2ego, size, stride, lens):
        made[at, cells] = depth
    return made.reshape(len(cam2img), size[0] // stride, size[1] // stride)


def _nearest(
    points: np.ndarray, cam2img: np.ndarray, cam2ego: np.ndarray, size: tuple[int, int], stride: int,
    lens: np.ndarray | None,
) -> Iterator[tuple[int, np.ndarray, np.ndarray, np.ndarray]]:  # fmt: skip
    """For each camera: its number, and cell, depth and index of the points inside its image, the farthest first."""
    rows, columns = size[0] // stride, size[1] // stride
    for at, (intrinsic, pose) in enumerate(zip(cam2img, cam2ego, strict=True)):
        ego2cam = np.linalg.inv(pose.astype(np.float64))
        local = points[:, :3] @ ego2cam[:3, :3].T + ego2cam[:3, 3]
        row = None if lens is None else lens[at].astype(np.float64)
        pixels, depth = project_points(local, intrinsic.astype(np.float64), row)
        front = np.flatnonzero(depth > 0.1)
        depth, place = depth[front], np.floor(pixels[front] / stride).astype(np.int64)
        inside = (place >= 0).all(1) & (place[:, 0] < columns) & (place[:, 1] < rows)
        far_first = np.argsort(-depth[inside], kind="stable")  # later writes win, so the nearest stays
        cells = (place[inside, 1] * columns + place[inside, 0])[far_first]
        yield at, cells, depth[inside][far_first], front[inside][far_first]


def segmentation_from_voxels(
    semantics: np.ndarray,
    grid: GridSpec,
    cam2img: np.ndarray,
    cam2ego: np.ndarray,
    size: tuple[int, int],
    stride: int,
    free: int,
    lens: np.ndarray | None = None,
) -> np.ndarray:
    """The label that a ray through each cell's middle meets first in (X, Y, Z) voxels; 255 where it meets none.

    Returns: (N, height // stride, width // stride) uint8. Voxels labelled 255 block the ray and give 255.
    """
    rows, columns = size[0] // stride, size[1] // stride
    u, v = np.meshgrid((np.arange(columns) + 0.5) * stride, (np.arange(rows) + 0.5) * stride)
    pixels = np.stack([u, v], -1).reshape(-1, 2)
    made = []
    for at, (intrinsic, pose) in enumerate(zip(cam2img.astype(np.float64), cam2ego.astype(np.float64), strict=True)):
        rays = pixel_rays(pixels, intrinsic, None if lens is None else lens[at].astype(np.float64))
        dark = np.isnan(rays[:, 0])
        rays = np.where(dark[:, None], [0, 0, 1.0], rays) @ pose[:3, :3].T
        rays /= np.linalg.norm(rays, axis=1, keepdims=True)
        hits = raycast(semantics, grid, pose[:3, 3], rays, free=free)
        label = semantics.reshape(-1)[np.maximum(hits.cell, 0)]
        made.append(np.where(hits.hit & ~dark, label, IGNORE).astype(np.uint8).reshape(rows, columns))
    return np.stack(made)
