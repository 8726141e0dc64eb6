"""Label files, each read exactly as its data set writes it, to arrays indexed [x, y, z]."""

from __future__ import annotations

import warnings
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError

import numpy as np
from ninefold.errors import ArtifactError, InputError

from fastocc.datasets._formats import FORMATS, IGNORE
from fastocc.geometry import GridSpec


@dataclass(frozen=True)
class VoxelLabels:
    """Labels of one frame.

    Attributes:
        semantics: (X, Y, Z) uint8, 255 where no label is to be used.
        mask_camera, mask_lidar: (X, Y, Z) bool, what the sensors could see; None where the format has none.
    """

    semantics: np.ndarray
    mask_camera: np.ndarray | None = None
    mask_lidar: np.ndarray | None = None


def read_occ3d(path: str | Path, grid: GridSpec | None = None) -> VoxelLabels:
    """Occ3D-nuScenes `labels.npz`: semantics, mask_lidar, mask_camera.

    Args:
        path: the file. grid: what the arrays must cover; default Occ3D's 200 x 200 x 16.
    Raises: ArtifactError for a missing or damaged file; InputError for another shape or a label outside 0..17, 255.
        Absent masks are a warning: everything is evaluated then.
    """
    arrays = _read_npz(Path(path))
    grid = grid or FORMATS["occ3d"].spec
    semantics = _checked(arrays, "semantics", grid, Path(path), 17)
    masks = {}
    for key in ("mask_camera", "mask_lidar"):
        if key in arrays:
            masks[key] = _checked(arrays, key, grid, Path(path), 1).astype(bool)
        else:
            warnings.warn(f"{path} has no {key}: all voxels count", stacklevel=2)
    return VoxelLabels(semantics, masks.get("mask_camera"), masks.get("mask_lidar"))


def read_openocc_v2(path: str | Path) -> VoxelLabels:
    """OpenOcc v2 `labels.npz`: semantics (car first, 16 = free), ego frame, no masks; its flow is not read."""
    return VoxelLabels(_checked(_read_npz(Path(path)), "semantics", FORMATS["openocc-v2"].spec, Path(path), 16))


def read_openocc_v1(path: str | Path, invalid: str | Path | None = None) -> VoxelLabels:
    """OpenOcc v1 npy (n, 2): flat index (z * 200 + y) * 200 + x and class; unlisted voxels are free (16).

    Args:
        path: the labels. invalid: npy of flat indices without a valid label, which become 255.
    """
    grid = FORMATS["openocc-v1"].spec
    table = _read_npy(Path(path), 2)
    semantics = np.full(grid.size, 16, np.uint8)
    semantics[_flat(table[:, 0], grid, Path(path))] = _in_range(table[:, 1], 15, Path(path), "label")
    if invalid is not None:
        semantics[_flat(_read_npy(Path(invalid), 1).ravel(), grid, Path(invalid))] = IGNORE
    x, y, z = grid.shape
    return VoxelLabels(np.ascontiguousarray(semantics.reshape(z, y, x).transpose(2, 1, 0)))


def read_surroundocc(path: str | Path) -> VoxelLabels:
    """SurroundOcc npy (n, 4): x, y, z, label (1-16 in Occ3D's order, 0 empty, 255 ignored); unlisted ones are free."""
    grid = FORMATS["surroundocc"].spec
    table = _read_npy(Path(path), 4).astype(np.int64)
    semantics = np.full(grid.shape, 17, np.uint8)
    outside = ((table[:, :3] < 0) | (table[:, :3] >= grid.shape)).any(1)
    if outside.any():
        row = int(outside.argmax())
        raise InputError(
            "voxel", got=table[row, :3].tolist(), expected=f"inside {grid.shape}", where=f"{path}, row {row}"
        )
    labels = table[:, 3]
    wrong = (labels < 0) | ((labels > 16) & (labels != IGNORE))
    if wrong.any():
        row = int(wrong.argmax())
        raise InputError("label", got=int(labels[row]), expected="0..16 or 255", where=f"{path}, row {row}")
    semantics[table[:, 0], table[:, 1], table[:, 2]] = np.where(labels == 0, 17, labels)
    return VoxelLabels(semantics)


_KITTI_MAP = {
    0: 0, 1: 0, 10: 1, 11: 2, 13: 5, 15: 3, 16: 5, 18: 4, 20: 5, 30: 6, 31: 7, 32: 8, 40: 9, 44: 10, 48: 11, 49: 12,
    50: 13, 51: 14, 52: 0, 60: 9, 70: 15, 71: 16, 72: 17, 80: 18, 81: 19, 99: 0, 252: 1, 253: 7, 254: 6, 255: 8, 256: 5,
    257: 5, 258: 4, 259: 5,
}  # fmt: skip


# the raw label that each class is written as
KITTI_RAW = tuple(min(raw for raw, label in _KITTI_MAP.items() if label == at) for at in range(20))


def kitti_classes(raw: np.ndarray, where: str | Path) -> np.ndarray:
    """uint8 classes of raw labels of SemanticKITTI; 255 for those without a class (0, 1, 52, 99).

    Raises: InputError for a label that is none of SemanticKITTI's.
    """
    table = np.full(65536, 254, np.uint8)
    for key, value in _KITTI_MAP.items():
        table[key] = value or IGNORE
    classes = table[raw]
    if (classes == 254).any():
        value = int(raw[int((classes == 254).argmax())])
        raise InputError("label", got=value, expected="a raw label of SemanticKITTI", where=where)
    return classes


def read_semantickitti(path: str | Path, invalid: str | Path | None = None) -> VoxelLabels:
    """SemanticKITTI scene completion: `.label` of uint16 in [x, y, z] order, `.invalid` of bits, highest first.

    Raw label 0 is empty space; raw labels without a class of their own (1, 52, 99) and invalid voxels become 255.
    """
    grid = FORMATS["semantickitti"].spec
    raw = _read_bytes(Path(path), 2 * grid.size).view("<u2")
    semantics = kitti_classes(raw, path)
    semantics[raw == 0] = 0
    if invalid is not None:
        semantics[np.unpackbits(_read_bytes(Path(invalid), grid.size // 8)).astype(bool)] = IGNORE
    return VoxelLabels(semantics.reshape(grid.shape))


_ARRAYS = ("semantics", "mask_camera", "mask_lidar")  # others (flow, instances) stay packed
_UNREADABLE = (OSError, ValueError, EOFError, OverflowError, SyntaxError, TypeError, MemoryError, TokenError)


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    if not path.exists():
        raise ArtifactError(path, "is not there")
    try:
        with np.load(path, allow_pickle=False) as file:
            return {key: file[key] for key in _ARRAYS if key in file.files}
    except (*_UNREADABLE, zipfile.BadZipFile, zlib.error, KeyError, NotImplementedError, RuntimeError) as error:
        raise ArtifactError(path, f"is damaged, or no npz file ({error})") from None


def _read_npy(path: Path, columns: int) -> np.ndarray:
    if not path.exists():
        raise ArtifactError(path, "is not there")
    try:
        table = np.load(path, allow_pickle=False)
    except _UNREADABLE as error:
        raise ArtifactError(path, f"is damaged, or no npy file ({error})") from None
    if table.dtype.kind not in "iuf":
        raise InputError("labels", got=f"dtype {table.dtype}", expected="whole numbers", where=path)
    if columns > 1 and (table.ndim != 2 or table.shape[1] != columns):
        raise InputError("labels", got=f"shape {table.shape}", expected=f"(voxels, {columns})", where=path)
    return table


def _read_bytes(path: Path, count: int) -> np.ndarray:
    if not path.exists():
        raise ArtifactError(path, "is not there")
    data = np.fromfile(path, np.uint8)
    if data.size != count:
        raise ArtifactError(path, f"has {data.size} bytes, not {count}: truncated, or of another grid")
    return data


def _checked(arrays: dict[str, np.ndarray], key: str, grid: GridSpec, path: Path, highest: int) -> np.ndarray:
    if key not in arrays:
        raise InputError(key, expected="an array of that name", where=path)
    array = arrays[key]
    if array.shape != grid.shape:
        turned = array.shape == grid.shape[::-1]
        hint = "it seems to be [z, y, x]: transpose it" if turned else None
        raise InputError(key, got=f"shape {array.shape}", expected=f"{grid.shape} = [x, y, z]", where=path, hint=hint)
    return _in_range(array, highest, path, key)


def _in_range(array: np.ndarray, highest: int, path: Path, what: str) -> np.ndarray:
    if array.dtype.kind not in "iuf":
        raise InputError(what, got=f"dtype {array.dtype}", expected="whole numbers", where=path)
    wrong = ~(((array >= 0) & (array <= highest)) | (array == IGNORE))
    if wrong.any():
        value = array[wrong].ravel()[0]
        raise InputError(what, got=value, expected=f"0..{highest} or {IGNORE}", where=path)
    return array.astype(np.uint8)


def _flat(index: np.ndarray, grid: GridSpec, path: Path) -> np.ndarray:
    index = index.astype(np.int64)
    wrong = (index < 0) | (index >= grid.size)
    if wrong.any():
        raise InputError("voxel index", got=int(index[wrong][0]), expected=f"0..{grid.size - 1}", where=path)
    return index
