"""Recordings of a rig: folders of pictures, and what all kinds of recordings share."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from ninefold.errors import ArtifactError, InputError

from fastocc.datasets import fit_image, open_picture
from fastocc.drive._poses import Trajectory

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
VIDEOS = (".mp4", ".mkv", ".avi", ".mov", ".webm", ".m4v", ".ts")
_UNITS = {19: 1e-9, 16: 1e-6, 13: 1e-3}  # digits of a time since 1970 in nanoseconds, microseconds, milliseconds
Pixels = np.ndarray  # (H, W, 3) uint8
Pictures = dict[str, Pixels] | ArtifactError  # of a frame, by camera; the error if one of them is damaged


class Recording:
    """Pictures of several cameras over time.

    Attributes:
        kind: what it is, for the table. times: by camera, (n,) seconds. trajectory: ego motion, None if not known.
    """

    kind: ClassVar[str]
    times: Mapping[str, np.ndarray]
    trajectory: Trajectory | None = None

    def read(self, plan: Sequence[Mapping[str, int]], size: tuple[int, int] | None) -> Iterator[Pictures]:
        """Pictures of each camera, for each entry of `plan` (index of the picture by camera, rising).

        A frame with a damaged picture is the error that names it; the frames behind it follow.

        Args:
            size: (height, width) that pictures are fitted to as `OccDataset` does; None leaves them.
        """
        raise NotImplementedError


class Folders(Recording):
    """A folder of pictures for each camera, whose file names end in their time.

    A number with a point is seconds; 19, 16 or 13 digits are nanoseconds, microseconds or milliseconds since 1970; any
    other number counts frames, `rate` a second.

    Args:
        folders: by camera. sizes: (height, width) of its pictures, by camera. rate: frames a second.
    """

    kind: ClassVar[str] = "folders of pictures"

    def __init__(self, folders: Mapping[str, Path], sizes: Mapping[str, tuple[int, int]], rate: float) -> None:
        self.sizes, self.files, times = sizes, {}, {}
        for name, folder in folders.items():
            found = [one for one in folder.iterdir() if one.suffix.lower() in PICTURES]
            if not found:
                raise InputError(f"camera {name}", got="no picture", expected=", ".join(PICTURES), where=folder)
            stamped = sorted((time_of(one, rate), one.name) for one in found)
            times[name] = np.array([time for time, _ in stamped])
            self.files[name] = [folder / file for _, file in stamped]
        self.times = times

    def read(self, plan: Sequence[Mapping[str, int]], size: tuple[int, int] | None) -> Iterator[Pictures]:
        """See `Recording.read`."""
        with ThreadPoolExecutor(2, "fastocc-drive") as pool:

            def one(name: str, at: int) -> Pixels:
                path = self.files[name][at]
                try:
                    data = path.read_bytes()
                except OSError as error:
                    raise ArtifactError(path, f"cannot be read (camera {name}: {error})") from None
                return decode(data, name, str(path), self.sizes[name], size)

            for chosen in plan:
                found: Pictures
                try:
                    found = dict(zip(chosen, pool.map(one, chosen, chosen.values()), strict=True))
                except ArtifactError as error:
                    found = error
                yield found


def time_of(path: Path, rate: float) -> float:
    """Seconds in a picture's file name; InputError if it holds no number."""
    numbers = re.findall(r"\d+(?:\.\d+)?", path.stem)
    if not numbers:
        raise InputError("time", got=path.name, expected="a name that ends in a time or a frame number", where=path)
    last = numbers[-1]
    return float(last) if "." in last else int(last) * _UNITS.get(len(last), 1 / rate)


def decode(
    data: bytes, name: str, where: str, full: tuple[int, int], size: tuple[int, int] | None
) -> Pixels:  # fmt: skip
    """A picture file's pixels, fitted to `size`; errors name camera and place."""
    try:
        with open_picture(io.BytesIO(data)) as file:
            check_size((file.size[1], file.size[0]), full, name, where)
            if size is not None:
                file.draft("RGB", (size[1], round(full[0] * size[1] / full[1])))
            image = file.convert("RGB")
    except InputError:
        raise
    except Exception as error:  # damaged bytes raise struct.error, SyntaxError, zlib.error and others in decoders
        raise ArtifactError(where, f"is truncated, or no image (camera {name}: {error})") from None
    return fit_image(image, full, size, where)[0]


def fit_pixels(
    pixels: Pixels, name: str, where: str, full: tuple[int, int], size: tuple[int, int] | None
) -> Pixels:  # fmt: skip
    """The same for decoded pixels."""
    from PIL import Image

    check_size((pixels.shape[0], pixels.shape[1]), full, name, where)
    return pixels if size is None else fit_image(Image.fromarray(pixels), full, size, where)[0]


def check_size(found: tuple[int, int], full: tuple[int, int], name: str, where: str) -> None:
    """InputError if a picture has another size than its camera in the rig."""
    if found != full:
        raise InputError(
            f"camera {name}", got=f"a picture of {found[0]} x {found[1]}",
            expected=f"{full[0]} x {full[1]}, its size in the rig", where=where,
        )  # fmt: skip


def bindings(rig: Path) -> dict[str, dict[str, Any]]:
    """`source` (folder, video or topic) and `offset` (seconds) of each camera in a rig file, where they stand there."""
    import yaml

    text = rig.read_text(encoding="utf-8")
    values = json.loads(text) if rig.suffix == ".json" else yaml.safe_load(text)
    made: dict[str, dict[str, Any]] = {}
    for entry in values["cameras"]:
        given = {key: entry[key] for key in ("source", "offset") if entry.get(key) is not None}
        if not isinstance(given.get("source", ""), str) or not isinstance(given.get("offset", 0.0), (int, float)):
            raise InputError(
                "source, offset", got=given, expected="a name, and seconds", where=f"{entry['name']}, {rig}"
            )
        made[str(entry["name"])] = given
    return made
