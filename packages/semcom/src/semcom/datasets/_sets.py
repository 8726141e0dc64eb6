"""Sets of pictures by name: a real benchmark below `$NINEFOLD_DATA/semcom`, or the photographs of the wheel."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
from ninefold import datasets as core
from ninefold.errors import ArtifactError, InputError
from PIL import Image

from semcom.datasets._pictures import cut_tiles

_SHA = {
    "cifar10-named.zip": "1f822c8844fd09e80dfea08fac3988986423d2aa4a49461ca81dc74660014403",
    "caltech101-full.zip": "e7f66545a364a46fc5e53958977657f366351666f492d1ee0d82ad5ef56474cb",
    "caltech101-96.zip": "084758e8f54939e373205072c601fd54f359866d3d65635b673421a1a0e18725",
}
_WHOLE = "caltech101-full.zip"
_EMBEDDED = Path(__file__).parent / "pictures"
EMBEDDED = ("astronaut", "chelsea", "coffee", "rocket")
NAMES = ("cifar10", "caltech101", "kodak", "embedded")
SPLITS = ("train", "validation", "test")


def load(name: str, split: str = "test", limit: int | None = None) -> np.ndarray:
    """Pictures of a named set.

    Args:
        name: `cifar10` (32 x 32), `caltech101` (96 x 96), `kodak` (256 x 256, test only), or `embedded`: 32 x 32 tiles
            of four CC0 and public-domain photographs, which the wheel brings.
        split: `train`, `validation` (a fixed part of the training pictures) or `test`.
        limit: at most so many, evenly spread over the classes.
    Returns: (pictures, height, width, 3), uint8.
    Raises:
        InputError: if there is no set or split of that name.
        DownloadError: if the file is not on this machine; says where to put it.
    """
    if split not in SPLITS:
        raise InputError("split", got=repr(split), expected=f"one of {', '.join(SPLITS)}")
    if name == "embedded":
        pictures = cut_tiles(embedded_photographs().values(), 32)[0]  # their sides are multiples of 32
    elif name == "kodak":
        if split != "test":
            raise InputError("split", got=repr(split), expected="test: kodak is for tests alone")
        pictures = np.stack(_opened("kodak256"))
    elif name in ("cifar10", "caltech101"):
        pictures = _zipped(zip_of(name), split)
    else:
        raise InputError("data set", got=repr(name), expected=f"one of {', '.join(NAMES)}")
    return pictures[spread(len(pictures), limit)]


def load_whole(name: str, split: str = "test", limit: int | None = None) -> list[np.ndarray]:
    """Whole pictures of a named set at their own sizes.

    Args:
        name: `caltech101` (105 to 426 pixels wide; its test pictures are for choices, as no result is shown on them),
            `kodak` (768 x 512, test only), or `embedded` (four photographs of the wheel).
        split, limit: see `load`.
    Returns: (H, W, 3) uint8 each.
    """
    if split not in SPLITS:
        raise InputError("split", got=repr(split), expected=f"one of {', '.join(SPLITS)}")
    if name == "embedded":
        found = list(embedded_photographs().values())
    elif name == "kodak":
        found = _opened("kodak")
    elif name == "caltech101":
        path = core.find("semcom", _WHOLE, sha256=_SHA[_WHOLE])
        with zipfile.ZipFile(path) as archive:
            every = sorted(member for member in archive.namelist() if member.endswith(".jpg"))
            inside = [member for member in every if member.startswith("test/") == (split != "train")]
            chosen = [inside[row] for row in spread(len(inside), limit)]
            return [np.array(Image.open(io.BytesIO(archive.read(member))).convert("RGB")) for member in chosen]
    else:
        expected = "caltech101, kodak or embedded: others have small pictures"
        raise InputError("data set", got=repr(name), expected=expected)
    return [found[row] for row in spread(len(found), limit)]


def spread(count: int, limit: int | None) -> np.ndarray:
    """Numbers of at most `limit` of `count` pictures, evenly over the classes."""
    if limit is None or limit >= count:
        return np.arange(count)
    return np.linspace(0, count - 1, limit).round().astype(int)


def embedded_photographs() -> dict[str, np.ndarray]:
    """The photographs of the wheel by name: (96, 128, 3) or (128, 96, 3), uint8."""
    return {name: np.asarray(Image.open(_EMBEDDED / f"{name}.webp").convert("RGB")) for name in EMBEDDED}


def _opened(folder: str) -> list[np.ndarray]:
    """Pictures of a folder of the data, by name."""
    found = core.find("semcom", f"{folder}/kodim01.webp").parent
    return [np.array(Image.open(path).convert("RGB")) for path in sorted(found.glob("*.webp"))]


def zip_of(name: str) -> Path:
    """File of `cifar10` or `caltech101`."""
    file = "cifar10-named.zip" if name == "cifar10" else "caltech101-96.zip"
    return core.find("semcom", file, sha256=_SHA[file])


def members(archive: zipfile.ZipFile, split: str) -> list[str]:
    """Names of a split's pictures; every sixteenth training picture of a class is for validation."""
    folder = "test/" if split == "test" else "train/"
    names = sorted(name for name in archive.namelist() if name.startswith(folder) and name.endswith(".webp"))
    if split == "test":
        return names
    place: dict[str, int] = {}
    chosen = []
    for name in names:
        group = name.split("/")[1]
        place[group] = place.get(group, -1) + 1
        if (place[group] % 16 == 7) == (split == "validation"):
            chosen.append(name)
    return chosen


def _zipped(path: Path, split: str) -> np.ndarray:
    """Pictures of one split."""
    with zipfile.ZipFile(path) as archive:
        names = members(archive, split)
        if not names:
            raise ArtifactError(path, f"has no pictures of the split {split}")
        return np.stack([np.asarray(Image.open(io.BytesIO(archive.read(name))).convert("RGB")) for name in names])
