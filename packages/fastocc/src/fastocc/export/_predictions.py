"""Predictions as files: one npz a frame, and the gzip archive that the OpenOcc challenge takes."""

from __future__ import annotations

import gzip
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ninefold.errors import InputError
from ninefold.files import atomic_file

from fastocc.evaluation import query_rays, select_origins
from fastocc.geometry import GridSpec, raycast


def write_prediction(path: str | Path, semantics: np.ndarray, *, force: bool = False) -> None:
    """Write (X, Y, Z) uint8 labels as npz with the one array `semantics`, as Occ3D's label files name it."""
    if semantics.ndim != 3:
        raise InputError("semantics", got=f"shape {semantics.shape}", expected="(X, Y, Z)")
    with atomic_file(path, force=force, ours=_labels_alone) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, semantics=semantics.astype(np.uint8))


def write_submission(
    path: str | Path,
    predictions: Mapping[str, tuple[np.ndarray, np.ndarray]],
    grid: GridSpec,
    free: int,
    *,
    about: Mapping[str, str] | None = None,
    force: bool = False,
) -> None:
    """Write the OpenOcc archive: for each token, class, exit distance and flow of every ray from every origin.

    Args:
        path: a .gz file. predictions: by token, (X, Y, Z) labels and (n, 3) LiDAR positions of the scene.
        grid: of the labels. free: label of empty space. about: the form's fields (method, team, authors, e-mail, ...).
    """
    results: dict[str, Any] = {}
    for token, (semantics, positions) in predictions.items():
        origins = select_origins(positions, grid)
        rays = np.tile(query_rays(), (len(origins), 1))
        hits = raycast(semantics, grid, np.repeat(origins, len(query_rays()), 0), rays, free=free)
        results[token] = {
            "pcd_cls": semantics.reshape(-1)[np.maximum(hits.cell, 0)].astype(np.uint8),
            "pcd_dist": hits.leave.astype(np.float16),
            "pcd_flow": np.zeros((len(rays), 2), np.float16),
        }
    with (
        atomic_file(path, force=force, ours=lambda _: False) as temporary,
        gzip.GzipFile(temporary, "wb", mtime=0) as file,
    ):
        pickle.dump({**(about or {}), "results": results}, file)  # the challenge's format; nothing here reads it back


def _labels_alone(path: Path) -> bool:
    """Whether a file is an npz of the one array `semantics`, as `write_prediction` makes it."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return file.files == ["semantics"]
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile):
        return False
