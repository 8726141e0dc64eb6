"""ROS 2 messages without ROS: the few types that a drive needs, decoded from CDR bytes (XCDR1, as rosbag2 writes)."""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np
from ninefold.errors import InputError

from fastocc.geometry import quaternion_matrix

COMPRESSED, IMAGE = "sensor_msgs/msg/CompressedImage", "sensor_msgs/msg/Image"
ODOMETRY, TF = "nav_msgs/msg/Odometry", "tf2_msgs/msg/TFMessage"
_CHANNELS = {"rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4, "mono8": 1, "8UC1": 1, "8UC3": 3}
_MOST = 1 << 28  # bytes of one array


class CdrReader:
    """Reads one message from front to back; values are aligned to their own size after the 4 bytes of the header.

    Args:
        data: the message. where: its place, for messages.
    """

    def __init__(self, data: bytes, where: str) -> None:
        if len(data) < 4 or data[0] != 0 or data[1] not in (0, 1):
            raise InputError("message", got="no CDR header", expected="plain CDR, as rosbag2 writes", where=where)
        self.data, self.where, self.at, self.order = data, where, 4, "<" if data[1] else ">"

    def numbers(self, code: str, count: int = 1) -> tuple:
        """`count` numbers of a `struct` code."""
        size = struct.calcsize(code)
        self.at += -(self.at - 4) % size
        try:
            made = struct.unpack_from(f"{self.order}{count}{code}", self.data, self.at)
        except struct.error:
            raise InputError("message", got=f"{len(self.data)} bytes", expected="more", where=self.where) from None
        self.at += size * count
        return made

    def octets(self) -> bytes:
        """A sequence of bytes."""
        (count,) = self.numbers("I")
        if count > _MOST or self.at + count > len(self.data):
            raise InputError("message", got=f"{len(self.data)} bytes", expected="more", where=self.where)
        self.at += count
        return self.data[self.at - count : self.at]

    def text(self) -> str:
        """A string."""
        return self.octets().rstrip(b"\0").decode("utf-8", "replace")

    def stamp(self) -> float:
        """`std_msgs/Header`: its time in seconds; the frame's name is skipped."""
        return self.header()[0]

    def header(self) -> tuple[float, str]:
        """`std_msgs/Header`: time in seconds, name of the frame."""
        seconds, nanoseconds = *self.numbers("i"), *self.numbers("I")
        return seconds + nanoseconds * 1e-9, self.text()


class StampedPose(NamedTuple):
    """Time in seconds, parent and child frame, and (4, 4) child to parent."""

    time: float
    parent: str
    child: str
    pose: np.ndarray


def read_picture(kind: str, data: bytes, where: str) -> bytes | np.ndarray:
    """A compressed image's file, or a raw image's (H, W, 3) uint8 pixels in RGB order.

    Raises: InputError for an encoding other than 8-bit RGB, BGR or grey, or fewer bytes than the image needs.
    """
    reader = CdrReader(data, where)
    reader.stamp()
    if kind == COMPRESSED:
        reader.text()
        return reader.octets()
    height, width = reader.numbers("I", 2)
    encoding = reader.text()
    reader.numbers("B")
    (step,) = reader.numbers("I")
    pixels = reader.octets()
    channels = _CHANNELS.get(encoding)
    if channels is None:
        raise InputError("encoding", got=repr(encoding), expected=f"one of {', '.join(_CHANNELS)}", where=where)
    if not 0 < width * channels <= step or step * height != len(pixels):
        got = f"{len(pixels)} bytes for {height} rows of {step}"
        raise InputError("image", got=got, expected=f"{width} pixels of {channels} bytes a row", where=where)
    made = np.frombuffer(pixels, np.uint8).reshape(height, step)[:, : width * channels]
    made = made.reshape(height, width, channels)
    if channels == 1:
        return np.repeat(made, 3, 2)
    return np.ascontiguousarray(made[..., [2, 1, 0]] if encoding.startswith("bgr") else made[..., :3])


def read_poses(kind: str, data: bytes, where: str) -> list[StampedPose]:
    """The pose of an odometry message, or all transforms of a tf message."""
    reader = CdrReader(data, where)
    count = 1 if kind == ODOMETRY else reader.numbers("I")[0]
    made = []
    for _ in range(count):
        time, parent = reader.header()
        child = reader.text()
        *position, x, y, z, w = reader.numbers("d", 7)
        made.append(StampedPose(time, parent.strip("/"), child.strip("/"), pose_matrix(position, (w, x, y, z), where)))
    return made


def pose_matrix(position: list[float], wxyz: tuple[float, ...], where: str) -> np.ndarray:
    """(4, 4) of a position and a quaternion; InputError that names the place for numbers that are no pose."""
    pose = np.eye(4)
    try:
        pose[:3, :3], pose[:3, 3] = quaternion_matrix(wxyz), position
    except InputError as error:
        raise InputError("pose", got=error.got, expected="a position and a quaternion", where=where) from None
    if not np.isfinite(pose).all():
        raise InputError("pose", got="NaN or infinity", expected="finite numbers", where=where)
    return pose
