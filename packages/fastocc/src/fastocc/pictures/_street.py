"""Voxels as a viewer above and behind the vehicle sees them, and a picture of a whole frame: cameras, then voxels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastocc.geometry import GridSpec, camera_rotation
from fastocc.pictures._colors import colors
from fastocc.pictures._overlay import overlay

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_YAW, _PITCH = 38.0, -37.0  # degrees: the viewer looks ahead to the left, and down
_NAMES = {"driveable_surface": "road", "manmade": "building", "vegetation": "plants"}  # shorter words for the legend


def street_view(
    semantics: np.ndarray, grid: GridSpec, classes: tuple[str, ...], free: int, *,
    mask: np.ndarray | None = None, size: tuple[int, int] = (410, 860),
) -> np.ndarray:  # fmt: skip
    """Draw voxels in perspective, seen from above and behind the vehicle, on white.

    Args:
        semantics: (X, Y, Z) labels. grid: of the voxels. classes: names by label. free: label of empty space.
        mask: (X, Y, Z) bool; voxels outside it are left out. size: (height, width) of the picture.
    Returns: (height, width, 3) uint8.
    """
    height, width = size
    shown = semantics if mask is None else np.where(mask, semantics, free)
    reach = (np.array(grid.upper) - np.array(grid.lower))[:2].max()
    focal, pose = 1.2 * width, np.eye(4)
    pose[:3, :3] = camera_rotation(_YAW, _PITCH)
    pose[:3, 3] = reach * np.array([-0.86, -0.67, 0.81])
    intrinsic = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1.0]])
    white = np.full((3, height, width), 255, np.uint8)
    return overlay(white, shown, grid, intrinsic, pose, classes, free, share=1.0)


def frame_figure(
    images: np.ndarray, semantics: np.ndarray, grid: GridSpec, classes: tuple[str, ...], free: int, *,
    order: list[int], mask: np.ndarray | None = None,
) -> Figure:  # fmt: skip
    """A figure 4.8 inches wide: the camera images in two rows, the voxels below, and names of the commonest classes.

    Args:
        images: (cameras, 3, H, W) uint8. semantics, grid, classes, free, mask: see `street_view`.
        order: indices of the cameras, first the upper row from left to right, then the lower one.
    """
    from matplotlib.patches import Patch
    from ninefold.report import figure

    made, axes = figure(4.8, 4.8, rows=2)
    made.get_layout_engine().set(hspace=0, h_pad=0.03, w_pad=0.02)  # type: ignore[union-attr]
    axes[0].get_gridspec().set_height_ratios([1.3, 2.4])
    tiles = [images[at].transpose(1, 2, 0) for at in order]
    half = len(tiles) // 2
    sheet = np.vstack([np.hstack(_framed(tiles[:half])), np.hstack(_framed(tiles[half:]))])
    axes[0].imshow(sheet)
    axes[0].set_title("Camera images", fontsize=13)
    axes[1].imshow(street_view(semantics, grid, classes, free, mask=mask))
    axes[1].set_title("Predicted voxels", fontsize=13)
    for axis in axes:
        axis.set_axis_off()
    shown = semantics if mask is None else semantics[mask]
    counts = np.bincount(shown.reshape(-1), minlength=256)[: len(classes)]
    counts[free] = 0
    common = [at for at in np.argsort(-counts)[:5] if counts[at]]
    patches = [
        Patch(color=tuple(colors(classes)[at] / 255), label=_NAMES.get(classes[at], classes[at].replace("_", " ")))
        for at in common
    ]
    axes[1].legend(
        handles=patches, loc="upper center", bbox_to_anchor=(0.5, -0.01), ncols=3, fontsize=12, frameon=False,
        handlelength=1, handletextpad=0.4, columnspacing=1.2,
    )  # fmt: skip
    return made


def _framed(tiles: list[np.ndarray]) -> list[np.ndarray]:
    """The tiles with a white line of four pixels around each."""
    return [np.pad(tile, ((4, 4), (4, 4), (0, 0)), constant_values=255) for tile in tiles]
