"""Image classification tasks for the convolutional (BatchNorm) experiments: digits, MNIST, CIFAR-10, any IDX pair."""

from __future__ import annotations

import gzip
import hashlib
import struct
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from ninefold.datasets import find
from ninefold.errors import ArtifactError, InputError, require

_MNIST = {
    "images": ("mnist-t10k-images-idx3-ubyte.gz", "167310007f03058885c7e95e6c0b19c20de5c7fd3031f4cbdadc9014a523d80b"),
    "labels": ("mnist-t10k-labels-idx1-ubyte.gz", "fc607395669ec21321ea83e4b82c0544b7e8e63ff5b34337c06bc0a17cc0da3c"),
}
_CIFAR = ("cifar10_subset.npz", "13888388f628eba8e9b6186425bbbf492837642d49a4932be97478967c5eb91b")


@dataclass(frozen=True)
class ImageTask:
    """One image task: uint8 pictures (n, h, w) or (n, h, w, 3) and int64 labels (n,), in three splits."""

    name: str
    classes: tuple[str, ...]
    train: tuple[np.ndarray, np.ndarray]
    validation: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]

    @cached_property
    def digest(self) -> str:
        """SHA-256 over class names, training and validation rows."""
        state = hashlib.sha256("\x1e".join(self.classes).encode())
        for pictures, labels in (self.train, self.validation):
            state.update(np.ascontiguousarray(pictures).tobytes() + np.ascontiguousarray(labels, "<i8").tobytes())
        return "sha256:" + state.hexdigest()

    def limited(self, *, train: int | None = None, validation: int | None = None, test: int | None = None) -> ImageTask:
        """The same task with the first so many rows of a split (rows are in no order of class)."""
        cut = [
            (pictures[:limit], labels[:limit])
            for (pictures, labels), limit in zip(
                (self.train, self.validation, self.test), (train, validation, test), strict=True
            )
        ]
        return ImageTask(self.name, self.classes, *cut)


def image_task(name: str) -> ImageTask:
    """One of "digits" (8x8, ships with scikit-learn), "mnist" (the 10,000 test pictures), "cifar10" (a subset).

    MNIST: first 8,000 pictures train (every tenth of them validation), last 2,000 test.

    Raises:
        InputError: for another name. DownloadError: if the file is missing. MissingExtraError: without scikit-learn.
    """
    if name == "digits":
        return digits()
    if name == "mnist":
        images, labels = (find("tswitch", f"image/{file}", sha256=sha) for file, sha in _MNIST.values())
        return mnist_like(images, labels)
    if name == "cifar10":
        return _cifar(find("tswitch", f"image/{_CIFAR[0]}", sha256=_CIFAR[1]))
    raise InputError("image task", got=repr(name), expected="digits, mnist or cifar10")


def digits() -> ImageTask:
    """The 1,797 handwritten 8x8 digits of scikit-learn: of each ten rows seven train, one validation, two test."""
    data = require("sklearn.datasets", "tswitch", "bench").load_digits()
    pictures = np.rint(data.images * (255 / 16)).astype(np.uint8)
    return _by_position("digits", pictures, data.target, np.arange(len(pictures)) % 10 >= 8)


def mnist_like(images: Path, labels: Path, name: str = "mnist") -> ImageTask:
    """A task from a pair of IDX files, gzipped or not; the last fifth is test, every tenth row before it validation."""
    pictures, targets = read_idx(images), read_idx(labels)
    if pictures.ndim != 3 or targets.ndim != 1 or len(pictures) != len(targets):
        raise InputError(
            "IDX pair", got=f"{pictures.shape} and {targets.shape}", expected="(n, h, w) and (n,)", where=images
        )
    return _by_position(name, pictures, targets, np.arange(len(pictures)) >= len(pictures) * 4 // 5)


def read_idx(path: Path) -> np.ndarray:
    """An unsigned-byte IDX file, gzipped or not. Raises ArtifactError if it is foreign or truncated."""
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        zero, kind, dimensions = struct.unpack(">HBB", data[:4])
        shape = struct.unpack(f">{dimensions}I", data[4 : 4 + 4 * dimensions])
    except (OSError, EOFError, struct.error) as error:
        raise ArtifactError(path, f"is no IDX file ({error})") from None
    if zero or kind != 8:
        raise ArtifactError(path, "is no IDX file of unsigned bytes")
    body = np.frombuffer(data, np.uint8, offset=4 + 4 * dimensions)
    if body.size != np.prod(shape):
        raise ArtifactError(path, f"is truncated or padded: {body.size} values, its header says {shape}")
    return body.reshape(shape)


def _by_position(name: str, pictures: np.ndarray, labels: np.ndarray, is_test: np.ndarray) -> ImageTask:
    labels = np.asarray(labels, np.int64)
    is_validation = ~is_test & (np.arange(len(labels)) % 10 == 0)
    parts = [(pictures[rows], labels[rows]) for rows in (~is_test & ~is_validation, is_validation, is_test)]
    return ImageTask(name, tuple(str(label) for label in np.unique(labels)), *parts)


def _cifar(path: Path) -> ImageTask:
    try:
        with np.load(path, allow_pickle=False) as data:
            x_train, y_train, x_test, y_test = (data[key] for key in ("x_train", "y_train", "x_test", "y_test"))
            classes = tuple(str(name) for name in data["classes"])
    except (OSError, KeyError, ValueError) as error:
        raise ArtifactError(path, f"is no CIFAR subset ({error})") from None
    order = np.random.default_rng(0).permutation(len(x_train))  # stored class by class
    order_test = np.random.default_rng(0).permutation(len(x_test))
    held, kept = order[: len(order) // 10], order[len(order) // 10 :]
    rows = [(x_train, y_train, kept), (x_train, y_train, held), (x_test, y_test, order_test)]
    return ImageTask("cifar10", classes, *((x[r], y[r].astype(np.int64)) for x, y, r in rows))
