"""The python batches of CIFAR, which are pickles: read without running any code that they name."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
from ninefold.errors import ArtifactError

_ROW = 3 * 32 * 32  # values of a picture


def _latin1(text: str, _: str = "latin1") -> bytes:
    return text.encode("latin1")


class _Restricted(pickle.Unpickler):
    """Reads arrays, strings, lists and dicts; anything that names other code is refused."""

    def find_class(self, module: str, name: str) -> Any:
        if name == "_reconstruct" and module in ("numpy.core.multiarray", "numpy._core.multiarray"):
            return np.ndarray.__reduce__(np.zeros(0))[0]  # type: ignore[index]
        if (module, name) in (("numpy", "ndarray"), ("numpy", "dtype")):
            return getattr(np, name)
        if (module, name) == ("_codecs", "encode"):  # how later pythons write bytes in this protocol
            return _latin1
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


def read(path: Path) -> tuple[np.ndarray, np.ndarray, bool]:
    """Pixels (n, 3, 32, 32) uint8, labels (n,) int64, and whether they are those of CIFAR-100."""
    batch = _batch(path)
    data, labels = _parts(path, batch)
    return data.reshape(-1, 3, 32, 32), labels, b"fine_labels" in batch


def _batch(path: Path) -> dict[bytes, Any]:
    try:
        with path.open("rb") as file:
            batch = _Restricted(file, encoding="bytes").load()
    except Exception as error:  # a damaged pickle raises whatever it meets
        raise ArtifactError(path, f"is damaged, or no plain CIFAR batch ({error})") from None
    if not isinstance(batch, dict) or b"data" not in batch or not {b"labels", b"fine_labels"} & batch.keys():
        raise ArtifactError(path, "is no CIFAR batch: it has no data and labels")
    return batch


def _parts(path: Path, batch: dict[bytes, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (n, 3072) uint8 and labels (n,) int64 of a batch."""
    data, labels = np.asarray(batch[b"data"]), list(batch[b"fine_labels" if b"fine_labels" in batch else b"labels"])
    if data.dtype != np.uint8 or data.shape != (len(data), _ROW):
        raise ArtifactError(path, f"data are {data.dtype} {data.shape}, not uint8 rows of {_ROW}")
    if len(labels) != len(data):
        raise ArtifactError(path, f"{len(data)} pictures have {len(labels)} labels")
    row = next((row for row, one in enumerate(labels) if not isinstance(one, (int, np.integer))), None)
    if row is not None:
        raise ArtifactError(path, f"label of row {row} is {labels[row]!r}, no whole number")
    return data, np.array(labels, np.int64)
