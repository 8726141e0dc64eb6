"""Pictures that a user gives: files and folders, and what a training is given by the name of a set or a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from semcom.datasets._pictures import cut_tiles, find_pictures, read_picture
from semcom.datasets._sets import NAMES, load, load_whole


def read_pictures(paths: Sequence[str | Path]) -> list[np.ndarray]:
    """(H, W, 3) uint8 pictures of files and folders, see `find_pictures`."""
    return [read_picture(path) for path in find_pictures(paths)]


def training_pictures(data: str) -> list[np.ndarray]:
    """Whole training pictures: `caltech101` (for ""), `embedded`, or those of a folder."""
    data = data or "caltech101"
    return load_whole(data, "train") if data in ("caltech101", "embedded") else read_pictures([data])


def training_tiles(data: str, size: int) -> np.ndarray:
    """Training pictures of a named set (for "": `cifar10`) or a folder, in tiles: (n, size, size, 3) uint8."""
    data = data or "cifar10"
    return cut_tiles(load(data, "train") if data in NAMES else read_pictures([data]), size)[0]
