"""Votes of the nearest queries, and how many queries they assign to their own task when each is left out."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Metric = Literal["cosine-centered", "cosine", "euclidean"]


def distances(features: Tensor, stored: Tensor, metric: Metric) -> Tensor:
    """(B, stored) distances; one minus the cosine for both cosines."""
    if metric == "euclidean":
        return torch.cdist(features, stored, compute_mode="donot_use_mm_for_euclid_dist")
    if metric == "cosine-centered":
        center = stored.mean(0)
        features, stored = features - center, stored - center
    return 1 - torch.nn.functional.normalize(features, dim=1) @ torch.nn.functional.normalize(stored, dim=1).T


def vote(owners: Tensor, tasks: int) -> tuple[Tensor, list[int]]:
    """Shares (B, tasks) of the neighbours, and the task of the largest; of equals that of the nearest neighbour.

    Args:
        owners: (B, K) task of each neighbour, the nearest first.
        tasks: number of tasks.
    """
    shares = torch.nn.functional.one_hot(owners, tasks).to(torch.float32).mean(1).cpu()
    best = shares == shares.max(1, keepdim=True).values
    return shares, [next(task for task in near if best[row, task]) for row, near in enumerate(owners.tolist())]


def left_out(features: Tensor, owners: Tensor, k: int, metric: Metric) -> float:
    """Per cent of queries that the others assign to their own task.

    Args:
        features: (N > 1, F) of all queries; their mean stays as it is while one of them is left out.
        owners: (N,) the task of each.
        k: neighbours that vote; all others if there are fewer.
        metric: of the neighbours.
    """
    apart = distances(features, features, metric).fill_diagonal_(torch.inf)
    nearest = apart.sort(dim=1, stable=True).indices[:, : min(k, len(features) - 1)]
    heads = torch.tensor(vote(owners[nearest], int(owners.max()) + 1)[1])
    return 100 * float((heads == owners).to(torch.float64).mean())
