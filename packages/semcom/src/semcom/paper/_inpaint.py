"""Alternatives to the masked autoencoder's filling: the mean of the kept patches, and harmonic inpainting.

Both see the same received kept patches as the autoencoder gives out.
"""

from __future__ import annotations

import numpy as np


def pixel_mask(masks: np.ndarray, size: int, patch: int) -> np.ndarray:
    """(rows, N) of patches -> (rows, size, size) of pixels."""
    grid = size // patch
    return masks.reshape(-1, grid, grid).repeat(patch, axis=1).repeat(patch, axis=2)


def mean_fill(images: np.ndarray, masks: np.ndarray, patch: int) -> np.ndarray:
    """Masked patches get the mean colour of the kept ones of the same picture.

    Args:
        images: (rows, H, W, 3) uint8; only kept patches are read.
        masks: (rows, N) bool, True is masked.
        patch: pixels of a patch's side.
    """
    hidden = pixel_mask(masks, images.shape[1], patch)
    result = images.copy()
    for picture, where in zip(result, hidden, strict=True):
        picture[where] = picture[~where].mean(axis=0).round().astype(np.uint8)
    return result


def harmonic_fill(images: np.ndarray, masks: np.ndarray, patch: int) -> np.ndarray:
    """Masked pixels solve Laplace's equation with the kept pixels as its boundary (mirrored at the picture's edge).

    See `mean_fill` for the arguments.
    """
    hidden = pixel_mask(masks, images.shape[1], patch)
    result = images.copy()
    for picture, where in zip(result, hidden, strict=True):
        picture[where] = np.clip(_harmonic(picture.astype(np.float64), where), 0, 255).round().astype(np.uint8)
    return result


def _harmonic(picture: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """(hidden pixels, 3) values of one picture."""
    from scipy.sparse import csr_array
    from scipy.sparse.linalg import splu

    height, width = hidden.shape
    number = np.full(hidden.shape, -1)
    number[hidden] = np.arange(hidden.sum())
    degree, right = np.zeros(hidden.sum()), np.zeros((hidden.sum(), 3))
    rows, columns = [], []
    for dy, dx in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        y, x = np.nonzero(hidden)
        ny, nx = y + dy, x + dx
        inside = (ny >= 0) & (ny < height) & (nx >= 0) & (nx < width)
        own, ny, nx = number[y, x][inside], ny[inside], nx[inside]
        np.add.at(degree, own, 1)
        unknown = hidden[ny, nx]
        rows.append(own[unknown])
        columns.append(number[ny, nx][unknown])
        np.add.at(right, own[~unknown], picture[ny[~unknown], nx[~unknown]])
    row, column = np.concatenate(rows), np.concatenate(columns)
    count = len(degree)
    at = np.arange(count)
    values = np.concatenate([degree, -np.ones(len(row))])
    places = (np.concatenate([at, row]), np.concatenate([at, column]))
    return splu(csr_array((values, places), shape=(count, count)).tocsc()).solve(right)
