"""DKVB: a discrete key-value bottleneck; the memory that the publication's code builds on."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mecoin.baselines._frozen import FrozenLearner, Pool


class Dkvb(FrozenLearner):
    """Random projections of z are matched with frozen keys, and the values found there are averaged.

    Keys are `pairs` base rows a codebook, moved once to the mean of what they match (moving average), where that is at
    least a tenth of an even share; others are replaced by samples. Only values found by a row are trained.

    Attributes:
        codebooks, pairs, key: number of codebooks, pairs in each, width of a key; 100, 800, 14 in the code.
        steps: of a session, the base one too.
    """

    name = "DKVB"
    source = "Träuble et al. 2023, arXiv 2207.11240"
    limits = "on the shared encoder; full batches; later sessions train on their own support alone"
    grid = tuple({"lr": lr, "steps": steps} for lr in (1e-2, 1e-1) for steps in (50, 200))
    codebooks: int = 100
    pairs: int = 800
    key: int = 14
    lr: float = 1e-1
    steps: int = 200
    decay: float = 0.95

    def fit_pool(self, pool: Pool) -> None:
        """Draw projections, place and freeze the keys, train the values."""
        books, width = int(self.codebooks), pool.z.shape[1]
        self.projections = torch.randn(books, width, int(self.key)) / width**0.5
        pairs = min(int(self.pairs), len(pool.z))
        keys = []
        for book in range(books):
            points = pool.z @ self.projections[book]
            drawn = torch.from_numpy(self.rng.choice(len(points), pairs, replace=False))
            keys.append(moved(points, points[drawn], self.decay, self.rng))
        self.keys = torch.stack(keys)
        self.values = torch.zeros(books * pairs, 0)
        self.add_pool(pool)

    def add_pool(self, pool: Pool) -> None:
        """Columns of zeros for the pool's classes; then cross entropy over all columns, values trained alone."""
        known = self.values.shape[1]
        values = F.pad(self.values, (0, len(pool.rows))).requires_grad_(True)
        codes, target = self.codes(pool.z), known + pool.target()
        optimiser = torch.optim.SGD([values], lr=self.lr * len(codes) * self.codebooks)
        for _ in range(int(self.steps)):
            optimiser.zero_grad()
            F.cross_entropy(F.embedding_bag(codes, values, mode="mean"), target).backward()
            optimiser.step()
        self.values = values.detach()

    def codes(self, z: Tensor) -> Tensor:
        """(m, h) -> (m, codebooks) rows of the values: the nearest key in each codebook."""
        pairs = self.keys.shape[1]
        found = [
            book * pairs + nearest(z @ projection, keys)
            for book, (projection, keys) in enumerate(zip(self.projections, self.keys, strict=True))
        ]
        return torch.stack(found, dim=1)

    def score_rows(self, z: Tensor) -> Tensor:
        """Mean of the values found."""
        return F.embedding_bag(self.codes(z), self.values, mode="mean")

    def memory_bytes(self) -> int:
        """Values, keys and projections."""
        return self.values.nbytes + self.keys.nbytes + self.projections.nbytes


def nearest(points: Tensor, keys: Tensor) -> Tensor:
    """(m,) index of the nearest key, Euclidean."""
    return (keys.pow(2).sum(1) - 2 * points @ keys.T).argmin(1)


def moved(points: Tensor, keys: Tensor, decay: float, rng: np.random.Generator) -> Tensor:
    """One moving-average pass over (n, k) points: keys go toward the mean of what they match; idle ones to samples.

    Counts and sums start as if each key had matched itself; an idle key matched fewer than a tenth of an even share.
    """
    found = nearest(points, keys)
    counts = torch.bincount(found, minlength=len(keys)).float()
    sums = torch.zeros_like(keys).index_add_(0, found, points)
    smooth = decay + (1 - decay) * counts
    placed = (decay * keys + (1 - decay) * sums) / smooth[:, None]
    idle = counts < 0.1 * len(points) / len(keys)
    placed[idle] = points[torch.from_numpy(rng.choice(len(points), int(idle.sum())))]
    return placed
