"""`sensor_msgs/msg/PointCloud2` without ROS."""

from __future__ import annotations

import numpy as np
from ninefold.errors import InputError

from fastocc.drive import CdrReader

CLOUD = "sensor_msgs/msg/PointCloud2"
_KINDS = {7: "f4", 8: "f8"}  # the codes of FLOAT32 and FLOAT64
_MOST_FIELDS = 256


def read_cloud(data: bytes, where: str) -> tuple[float, str, np.ndarray]:
    """Time in seconds, name of the sensor's frame, and (P, 3) float64 points; those without a return are left out.

    Args:
        data: the message in CDR. where: its place, for messages.
    Raises: InputError for a cloud without x, y, z as floats, or with fewer bytes than it says.
    """
    reader = CdrReader(data, where)
    time, frame = reader.header()
    height, width = reader.numbers("I", 2)
    (count,) = reader.numbers("I")
    if count > _MOST_FIELDS:
        raise InputError("fields", got=count, expected=f"at most {_MOST_FIELDS}", where=where)
    places = {}
    for _ in range(count):
        name = reader.text()
        (offset,) = reader.numbers("I")
        (kind,) = reader.numbers("B")
        reader.numbers("I")
        places[name] = (offset, kind)
    (big,) = reader.numbers("B")
    step, row = reader.numbers("I", 2)
    content = reader.octets()
    for name in "xyz":
        offset, kind = places.get(name, (0, 0))
        if kind not in _KINDS or offset + int(_KINDS[kind][1]) > step:
            got = ", ".join(places) if name not in places else f"type {kind} at byte {offset} of {step}"
            raise InputError(f"field {name}", got=got, expected="float32 or float64 within a point", where=where)
    if width * step > row or row * height > len(content):
        got = f"{len(content)} bytes for {height} rows of {row}"
        raise InputError("points", got=got, expected=f"{width} points of {step} bytes a row", where=where)
    order = ">" if big else "<"
    layout = np.dtype(
        {
            "names": list("xyz"), "formats": [order + _KINDS[places[one][1]] for one in "xyz"],
            "offsets": [places[one][0] for one in "xyz"], "itemsize": step,
        }
    )  # fmt: skip
    rows = [np.frombuffer(content, layout, width, row * at) for at in range(height)]
    table = np.concatenate(rows) if rows else np.zeros(0, layout)
    points = np.column_stack([table[one].astype(np.float64) for one in "xyz"]).reshape(-1, 3)
    return time, frame, points[np.isfinite(points).all(1) & (np.abs(points) > 1e-6).any(1)]
