"""Predictions as files: one npz a frame."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
from ninefold.errors import InputError
from ninefold.files import atomic_file


def write_prediction(path: str | Path, semantics: np.ndarray, *, force: bool = False) -> None:
    """Write (X, Y, Z) uint8 labels as npz with the one array `semantics`, as Occ3D's label files name it."""
    if semantics.ndim != 3:
        raise InputError("semantics", got=f"shape {semantics.shape}", expected="(X, Y, Z)")
    with atomic_file(path, force=force, ours=_labels_alone) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, semantics=semantics.astype(np.uint8))


def _labels_alone(path: Path) -> bool:
    """Whether a file is an npz of the one array `semantics`, as `write_prediction` makes it."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return file.files == ["semantics"]
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile):
        return False
