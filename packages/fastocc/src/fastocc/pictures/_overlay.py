"""Voxels drawn into the camera images: each pixel takes the colour of the first voxel on its ray."""

from __future__ import annotations

import numpy as np

from fastocc.geometry import GridSpec, pixel_rays, raycast
from fastocc.pictures._colors import colors


def overlay(
    image: np.ndarray, semantics: np.ndarray, grid: GridSpec, cam2img: np.ndarray, cam2ego: np.ndarray,
    classes: tuple[str, ...], free: int, *, share: float = 0.55, lens: np.ndarray | None = None,
) -> np.ndarray:  # fmt: skip
    """Blend.

    Args:
        image: (3, H, W) uint8. semantics: (X, Y, Z) labels. cam2img: (3, 3). cam2ego: (4, 4).
        share: of the voxels' colour where there is a voxel. lens: (13,), see `geometry.lens_row`.
    Returns: (H, W, 3) uint8.
    """
    height, width = image.shape[1:]
    u, v = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    rays = pixel_rays(np.stack([u, v], -1).reshape(-1, 2), cam2img.astype(np.float64), lens)
    outside = np.isnan(rays[:, 0])
    rays = np.where(outside[:, None], [0, 0, 1.0], rays) @ cam2ego[:3, :3].T.astype(np.float64)
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    volume = np.where(semantics == 255, free, semantics).astype(np.uint8)
    hits = raycast(volume, grid, cam2ego[:3, 3].astype(np.float64), rays, free=free)
    label = volume.reshape(-1)[np.maximum(hits.cell, 0)]
    light = np.array([0.8, 0.9, 1.0, 0.7])[hits.axis][:, None]
    color = colors(classes)[label] * light
    pixels = image.transpose(1, 2, 0).reshape(-1, 3).astype(np.float64)
    mixed = np.where((hits.hit & ~outside)[:, None], (1 - share) * pixels + share * color, pixels)
    return mixed.clip(0, 255).astype(np.uint8).reshape(height, width, 3)


def overlay_sheet(
    images: np.ndarray, semantics: np.ndarray, grid: GridSpec, cam2img: np.ndarray, cam2ego: np.ndarray,
    classes: tuple[str, ...], free: int, *, columns: int = 3, share: float = 0.55, lens: np.ndarray | None = None,
) -> np.ndarray:  # fmt: skip
    """All cameras, (N, 3, H, W), `lens` (N, 13), in rows of `columns`; (rows * H, columns * W, 3) uint8."""
    tiles = [
        overlay(
            image,
            semantics,
            grid,
            cam2img[at],
            cam2ego[at],
            classes,
            free,
            share=share,
            lens=None if lens is None else lens[at].astype(np.float64),
        )
        for at, image in enumerate(images)
    ]
    while len(tiles) % columns and len(tiles) > columns:
        tiles.append(np.full_like(tiles[0], 255))
    width = min(columns, len(tiles))
    return np.vstack([np.hstack(tiles[at : at + width]) for at in range(0, len(tiles), width)])
