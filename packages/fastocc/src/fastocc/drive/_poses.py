"""Ego motion: poses over time from a file, odometry or tf, and the pose at the time of a frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ninefold.errors import InputError

from fastocc.drive._cdr import StampedPose, pose_matrix

_WORLDS, _EGOS = ("odom", "map", "world"), ("base_link", "base_footprint")


class Trajectory:
    """Poses of the ego frame over time.

    Args:
        times: (n,) seconds. poses: (n, 4, 4) ego to world. Both in any order.
    """

    def __init__(self, times: np.ndarray, poses: np.ndarray) -> None:
        order = np.argsort(times, kind="stable")
        self.times, self.poses = times[order], poses[order]

    def at(self, time: float, tolerance: float) -> np.ndarray | None:
        """(4, 4) at a time, interpolated; None farther than `tolerance` seconds outside the recording."""
        if not len(self.times) or not self.times[0] - tolerance <= time <= self.times[-1] + tolerance:
            return None
        after = int(np.clip(np.searchsorted(self.times, time), 1, max(len(self.times) - 1, 1)))
        if len(self.times) == 1:
            return self.poses[0]
        first, second = self.times[after - 1], self.times[after]
        share = float(np.clip((time - first) / max(second - first, 1e-12), 0, 1))
        one, two = self.poses[after - 1], self.poses[after]
        made = np.eye(4)
        made[:3, 3] = one[:3, 3] + share * (two[:3, 3] - one[:3, 3])
        made[:3, :3] = one[:3, :3] @ _part_turn(one[:3, :3].T @ two[:3, :3], share)
        return made


def _part_turn(turn: np.ndarray, share: float) -> np.ndarray:
    """The rotation by `share` of the angle of `turn`, about its axis (Rodrigues)."""
    angle = float(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1)))
    if angle < 1e-9:
        return np.eye(3)
    cross = (turn - turn.T) / (2 * np.sin(angle))
    return np.eye(3) + np.sin(share * angle) * cross + (1 - np.cos(share * angle)) * cross @ cross


def read_trajectory(path: str | Path) -> Trajectory:
    """A text file of `time x y z qx qy qz qw` rows (seconds, metres), as visual odometry tools write; # begins remarks.

    Raises: InputError that names file and line.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("--poses", got=error, expected="a text file", where=path) from None
    times, poses = [], []
    for number, line in enumerate(lines, 1):
        words = line.split("#")[0].replace(",", " ").split()
        if not words:
            continue
        where = f"{path}, line {number}"
        try:
            numbers = [float(one) for one in words]
        except ValueError:
            numbers = []
        if len(numbers) != 8 or not np.isfinite(numbers[0]):
            raise InputError("pose", got=repr(line[:60]), expected="time x y z qx qy qz qw", where=where)
        time, *position, x, y, z, w = numbers
        times.append(time)
        poses.append(pose_matrix(position, (w, x, y, z), where))
    if not times:
        raise InputError("--poses", got="no row", expected="time x y z qx qy qz qw", where=path)
    return Trajectory(np.array(times), np.stack(poses))


def from_odometry(found: list[StampedPose]) -> Trajectory | None:
    """The trajectory of odometry messages."""
    return Trajectory(np.array([one.time for one in found]), np.stack([one.pose for one in found])) if found else None


def from_tf(found: list[StampedPose]) -> Trajectory | None:
    """The trajectory of base_link (or base_footprint) in odom, map or world, whichever is there; None without."""
    for world in _WORLDS:
        for ego in _EGOS:
            if made := from_odometry([one for one in found if (one.parent, one.child) == (world, ego)]):
                return made
    return None
