"""Sweeps of a ROS 2 bag (mcap): the clouds of one topic, placed by odometry or tf."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ninefold.errors import InputError

from fastocc.datasets import Sweep
from fastocc.drive import ODOMETRY, TF, StampedPose, Trajectory, from_odometry, from_tf, read_messages, read_poses
from fastocc.sweeps._cloud import CLOUD, read_cloud
from fastocc.sweeps._sequence import SweepSequence

_EGOS = ("base_link", "base_footprint")
_TOLERANCE = 0.1  # seconds that a sweep may lie outside the recorded motion


def bag_sequences(
    path: Path, *, every: int = 5, topic: str | None = None, lidar2ego: np.ndarray | None = None,
    motion: Trajectory | None = None,
) -> list[SweepSequence]:  # fmt: skip
    """The one scene of a bag. It is read once; the clouds stay in memory.

    Args:
        path: mcap file. every: each n-th sweep gets labels. topic: of the clouds; default the only one.
        lidar2ego: (4, 4), for bags whose tf does not lead from base_link to the sensor.
        motion: of the vehicle; default the bag's odometry, or tf from odom, map or world to base_link.
    Raises: InputError if topic, motion or the sensor's pose are not to be had, or a sweep lies outside the motion.
    """
    odometry: list[StampedPose] = []
    links: list[StampedPose] = []
    clouds: dict[str, list[tuple[float, str, np.ndarray]]] = {}
    for name, kind, data in read_messages(path):
        where = f"{path}, topic {name}"
        if kind == CLOUD and topic in (None, name):
            clouds.setdefault(name, []).append(read_cloud(data, where))
        elif kind in (ODOMETRY, TF):
            (odometry if kind == ODOMETRY else links).extend(read_poses(kind, data, where))
    if len(clouds) != 1:
        got, expected = ", ".join(sorted(clouds)) or "none", f"one topic of {CLOUD}: --topic"
        raise InputError("topic of clouds", got=got, expected=expected, where=path)
    found = sorted(next(iter(clouds.values())), key=lambda one: one[0])
    motion = motion or from_odometry(odometry) or from_tf(links)
    if motion is None:
        expected = "odometry, tf from odom, map or world to base_link, or --poses"
        raise InputError("motion", got="none", expected=expected, where=path)
    lidar = _sensor_pose(found[0][1], links) if lidar2ego is None else lidar2ego
    if lidar is None:
        expected = f"tf from base_link to {found[0][1]!r}, or `lidar:` in --rig"
        raise InputError("LiDAR's pose", got="none", expected=expected, where=path)
    sweeps = []
    for time, _, points in found:
        ego = motion.at(time, _TOLERANCE)
        if ego is None:
            got, expected = f"none at {time:.3f} s", f"{motion.times[0]:.3f} to {motion.times[-1]:.3f} s covers it"
            raise InputError("motion", got=got, expected=expected, where=path)
        sweeps.append(Sweep(points, None, lidar, ego, np.zeros((0, 9))))
    frames = {f"{round(found[at][0] * 1e9):019d}": at for at in range(0, len(found), every)}
    return [SweepSequence(path.stem, frames, sweeps)]


def _sensor_pose(frame: str, links: list[StampedPose]) -> np.ndarray | None:
    """(4, 4) sensor to vehicle, along the tree of transforms; None where it does not lead there."""
    parents = {one.child: one for one in links}
    pose, child, seen = np.eye(4), frame.strip("/"), set()
    while child not in _EGOS:
        link = parents.get(child)
        if link is None or child in seen:
            return None
        seen.add(child)
        pose, child = link.pose @ pose, link.parent
    return pose
