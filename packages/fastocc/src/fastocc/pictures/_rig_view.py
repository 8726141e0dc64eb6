"""A rig drawn from above and from the side, so that a wrong sign or unit is seen before anything is trained."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from ninefold.files import write_text

from fastocc.geometry import Camera, CameraRig, GridSpec, pixel_rays, project_points

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from ninefold.report import Table

_LENGTH = 0.3  # of a drawn viewing direction, as a share of the grid
_POINTS = 100_000  # voxels that coverage is computed from, at most about


@dataclass(frozen=True)
class CameraView:
    """What a camera sees.

    Attributes:
        name: of the camera. yaw, pitch: of its axis in degrees, counter-clockwise from ahead, and upwards.
        width: horizontal field of view in degrees, between the middles of the left and right edges.
        share: of the voxels of the grid that lie in its image.
    """

    name: str
    yaw: float
    pitch: float
    width: float
    share: float


def rig_views(rig: CameraRig, grid: GridSpec) -> tuple[list[CameraView], np.ndarray]:
    """What each camera sees, and (X, Y) the number of cameras that see some voxel of each column.

    Occlusion is not considered. On large grids both come from a part of the voxels.
    """
    step = max(1, round((grid.size / _POINTS) ** (1 / 3)))
    centers = grid.centers()[step // 2 :: step, step // 2 :: step, step // 2 :: step]
    points, views, counts = centers.reshape(-1, 3).astype(np.float64), [], np.zeros(centers.shape[:2], int)
    for camera in rig.cameras:
        turn, place = camera.cam2ego[:3, :3], camera.cam2ego[:3, 3]
        pixels, depth = project_points((points - place) @ turn, camera.intrinsic, camera.lens)
        height, width = camera.size
        seen = (depth > 0.1) & (pixels >= 0).all(1) & (pixels < [width, height]).all(1)
        axis = turn[:, 2]
        opening = np.degrees(np.arccos(np.clip(_edges(camera, side=False) @ axis, -1, 1))).sum()
        yaw, pitch = np.degrees([np.arctan2(axis[1], axis[0]), np.arcsin(np.clip(axis[2], -1, 1))])
        views.append(CameraView(camera.name, float(yaw), float(pitch), float(opening), float(seen.mean())))
        counts += seen.reshape(centers.shape[:3]).any(2)
    return views, counts


def _edges(camera: Camera, *, side: bool) -> np.ndarray:
    """(2, 3) unit directions of the left and right, or upper and lower, edge's middle, in the ego frame.

    An edge beyond the reach of the lens is replaced by the outermost pixel on its way to the axis that is seen.
    """
    height, width = camera.size
    middle = camera.intrinsic[:2, 2]
    ends = [(middle[0], 0.0), (middle[0], height)] if side else [(0.0, middle[1]), (width, middle[1])]
    made = []
    for end in ends:
        way = np.linspace(np.array(end), middle, 200)[:-1]
        rays = pixel_rays(way, camera.intrinsic, camera.lens)
        ray = rays[np.isfinite(rays[:, 0])][0]
        made.append(camera.cam2ego[:3, :3] @ ray / np.linalg.norm(ray))
    return np.stack(made)


def rig_figure(rig: CameraRig, grid: GridSpec, counts: np.ndarray) -> Figure:
    """A figure of a rig: above, with the number of cameras that see each column, and from the side.

    Args:
        counts: (X, Y), see `rig_views`.
    """
    from ninefold.report import figure

    made, axes = figure(11, 5.6, columns=2)
    (x0, y0), (x1, y1) = grid.lower[:2], grid.upper[:2]
    length = _LENGTH * max(x1 - x0, y1 - y0)
    above, across = axes
    shown = above.imshow(
        counts, origin="lower", extent=(y0, y1, x0, x1), cmap="Blues", vmin=0, vmax=max(1, counts.max()), alpha=0.7
    )
    above.set_xlim(y1, y0)  # left is left
    above.set(title="From above: cameras per column", xlabel="y in m (left is > 0)", ylabel="x in m (ahead is > 0)")
    made.colorbar(shown, ax=above, ticks=range(int(counts.max()) + 1), shrink=0.7)
    across.axhline(0, color="0.5", linewidth=1)
    across.set(title="From the side", xlabel="x in m (ahead is > 0)", ylabel="z in m (0 is the ground)")
    for number, camera in enumerate(rig.cameras):
        place, color = camera.cam2ego[:3, 3], f"C{number % 10}"
        for axis, at, side in ((above, (1, 0), False), (across, (0, 2), True)):
            for direction in _edges(camera, side=side):
                end = place + length * direction
                axis.plot([place[at[0]], end[at[0]]], [place[at[1]], end[at[1]]], color=color, linewidth=1.5)
        end = place + length * camera.cam2ego[:3, 2]
        above.annotate(camera.name, end[[1, 0]], color=color, fontsize=9, ha="center")
        above.plot(place[1], place[0], "o", color=color)
        across.plot(place[0], place[2], "o", color=color, label=camera.name)
    lidar = rig.lidar.lidar2ego[:3, 3]
    above.plot(lidar[1], lidar[0], "k^", label="LiDAR")
    across.plot(lidar[0], lidar[2], "k^", label="LiDAR")
    across.set_aspect("equal", adjustable="datalim")
    across.legend(fontsize=9)
    return made


def write_rig_page(
    path: Path, rig: CameraRig, grid: GridSpec, table: Table, counts: np.ndarray, *, force: bool
) -> None:
    """Write the figure of a rig and its table as a page without external files."""
    from ninefold.report import figure_html, html_page

    drawn = figure_html(rig_figure(rig, grid, counts), "Viewing directions and edges of each camera, and the LiDAR")
    write_text(path, html_page("fastocc: rig", [("Cameras", [drawn, table.to_html()])]), force=force, ours="ninefold")
