"""Lists on the device where a network is: its scores never leave it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

_CELLS = 1 << 28  # scores held at a time


def answer_device(device: str) -> torch.device:
    """The device, or the CPU where this machine has none such: a model is also read where it was not trained."""
    found = torch.device(device)
    return torch.device("cpu") if found.type == "cuda" and not torch.cuda.is_available() else found


def top_on_device(
    states: Tensor,
    vectors: Tensor,
    k: int,
    *,
    falls_back: np.ndarray,
    fallback: np.ndarray,
    hidden: Any = None,
    among: Any = None,
    allowed: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """(items int32, scores float32), (rows, k) each: the k greatest inner products of each row; -inf fills short lists.

    Args:
        states: (rows, d), and vectors: (items, d), on one device.
        k: at most the number of items.
        falls_back: rows that get the scores `fallback` (items,) instead, bool (rows,).
        hidden: CSR (rows, items), stored where an item is never listed; or None.
        among: CSR (rows, items), each row's only candidates; all if None.
        allowed: items that may be listed, bool (items,); all if None.
    """
    items, scores = np.empty((len(states), k), np.int32), np.empty((len(states), k), np.float32)
    barred = None if allowed is None else torch.from_numpy(~allowed).to(states.device)
    block = max(1, _CELLS // max(len(vectors), 1))
    for start in range(0, len(states), block):
        rows = slice(start, min(start + block, len(states)))
        table = states[rows] @ vectors.T
        table[torch.from_numpy(falls_back[rows]).to(table.device)] = torch.from_numpy(fallback).to(table)
        if hidden is not None:
            table[_stored(hidden, rows, table.device)] = -torch.inf
        if among is not None:
            other = torch.ones(table.shape, dtype=torch.bool, device=table.device)
            other[_stored(among, rows, table.device)] = False
            table[other] = -torch.inf
        if barred is not None:
            table[:, barred] = -torch.inf
        best = table.topk(k, dim=1)
        items[rows], scores[rows] = best.indices.cpu().numpy(), best.values.float().cpu().numpy()
    order = np.lexsort((items, -scores), axis=1)  # of equal scores the lower code stands first
    return np.take_along_axis(items, order, 1), np.take_along_axis(scores, order, 1)


def _stored(matrix: Any, rows: slice, device: torch.device) -> tuple[Tensor, Tensor]:
    """(rows from 0, items) of the stored entries of some rows of a CSR matrix."""
    part = matrix[rows].tocoo()
    row, item = (torch.from_numpy(np.asarray(one, np.int64)).to(device) for one in (part.row, part.col))
    return row, item
