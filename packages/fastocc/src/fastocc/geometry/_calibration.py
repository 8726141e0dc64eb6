"""Intrinsics and lens of a camera as calibration tools write them: ROS `camera_info` and Kalibr's chains, in YAML.

ROS (`sensor_msgs/CameraInfo` as `camera_calibration` saves it): image_width, image_height, camera_matrix,
distortion_model (plumb_bob, rational_polynomial, equidistant) and distortion_coefficients, of the raw picture.
Kalibr (`camchain.yaml`): cam0, cam1, ... with camera_model pinhole, intrinsics, distortion_model (radtan, equidistant,
none), distortion_coeffs and resolution.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ninefold.errors import InputError

_LENSES = {
    "plumb_bob": "distortion", "rational_polynomial": "distortion", "radtan": "distortion", "equidistant": "fisheye",
}  # fmt: skip


def read_calibration_file(path: Path, camera: str | None, where: str) -> dict[str, Any]:
    """The fields size, intrinsic and distortion or fisheye of a rig's camera.

    Args:
        path: YAML of ROS or Kalibr. camera: name of the entry in a chain, such as cam1; None for a file of one camera.
        where: the camera of the rig, for messages.
    Raises: InputError that names file and field; for camera and lens models that are not pinhole, plumb bob, rational
        or equidistant.
    """
    import yaml

    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError("calibration", got=str(error).splitlines()[0], expected="a YAML file", where=where) from None
    if not isinstance(values, Mapping):
        raise InputError("calibration", got=path.name, expected="camera_info of ROS or a chain of Kalibr", where=where)
    chain = sorted(key for key in values if str(key).startswith("cam") and isinstance(values[key], Mapping))
    kalibr = [key for key in chain if "intrinsics" in values[key]]
    try:
        if kalibr:
            if camera is None and len(kalibr) == 1:
                camera = kalibr[0]
            if camera not in kalibr:
                raise InputError("calibration", got=f"camera {camera}", expected=f"one of {', '.join(kalibr)}",
                                 where=where, hint=f"calibration: [{path.name}, {kalibr[0]}]")  # fmt: skip
            return _kalibr(values[camera], where)
        if camera is not None:
            raise InputError("calibration", got=f"camera {camera}", expected="a chain of Kalibr", where=where)
        return _ros(values, where)
    except KeyError as error:
        raise InputError(f"field {error.args[0]}", expected=f"in {path.name}", where=where) from None
    except (TypeError, ValueError) as error:
        raise InputError(f"calibration {path.name}", got=error, expected="numbers", where=where) from None


def _ros(values: Mapping[str, Any], where: str) -> dict[str, Any]:
    matrix = np.array(values["camera_matrix"]["data"], np.float64)
    if matrix.size != 9:
        raise InputError("camera_matrix", got=f"{matrix.size} numbers", expected="9", where=where)
    size = [int(values["image_height"]), int(values["image_width"])]
    coefficients = values.get("distortion_coefficients", {}).get("data", [])
    lens = _lens(values.get("distortion_model", ""), coefficients, where)
    return {"size": size, "intrinsic": matrix.reshape(3, 3).tolist(), **lens}


def _kalibr(values: Mapping[str, Any], where: str) -> dict[str, Any]:
    if values["camera_model"] != "pinhole":
        raise InputError("camera_model", got=values["camera_model"], expected="pinhole", where=where)
    fx, fy, cx, cy = map(float, values["intrinsics"])
    width, height = map(int, values["resolution"])
    lens = _lens(values.get("distortion_model", ""), values.get("distortion_coeffs", []), where)
    return {"size": [height, width], "intrinsic": [[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]], **lens}


def _lens(model: str, coefficients: Any, where: str) -> dict[str, Any]:
    numbers = [float(one) for one in coefficients]
    if not any(numbers):
        return {} if model != "equidistant" else {"fisheye": [0.0] * 4}
    if model not in _LENSES:
        raise InputError("distortion_model", got=repr(model), expected=f"one of {', '.join(_LENSES)}", where=where)
    return {_LENSES[model]: numbers}
