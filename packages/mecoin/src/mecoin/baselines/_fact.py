"""FACT: room reserved for classes to come, by virtual prototypes and mixed instances."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mecoin.baselines._frozen import SCALE, FrozenLearner, Pool, cosines, projection

BATCH = 256


class Fact(FrozenLearner):
    """Base training with V virtual classes; then nearest class mean, helped by the virtual ones.

    Attributes:
        virtual: V.
        gamma: weight of the losses with the own column masked.
        eta: share of the prediction through virtual prototypes.
    """

    name = "FACT"
    source = "Zhou et al. 2022, arXiv 2203.06953"
    grid = tuple({"gamma": gamma, "eta": eta} for gamma in (0.01, 0.1) for eta in (0.0, 0.1))
    virtual: int = 20
    gamma: float = 0.01
    eta: float = 0.1

    def fit_pool(self, pool: Pool) -> None:
        """Train projection, real and virtual weights; then take class means for the real ones."""
        width, known, target = pool.z.shape[1], len(pool.rows), pool.target()
        self.project = projection(width)
        weights = nn.Parameter(torch.cat([pool.means(), torch.randn(int(self.virtual), width)]))
        optimiser = torch.optim.Adam([*self.project.parameters(), weights], lr=self.lr)
        for _ in range(int(self.episodes)):
            rows = torch.from_numpy(self.rng.choice(len(target), min(BATCH, len(target)), replace=False))
            other = rows[torch.randperm(len(rows))]
            share = float(self.rng.beta(0.5, 0.5))
            mixed = share * pool.z[rows] + (1 - share) * pool.z[other]
            mixed = mixed[target[rows] != target[other]]
            optimiser.zero_grad()
            logits = SCALE * cosines(self.project(pool.z[rows]), weights)
            loss = real_loss(logits, target[rows], known, self.gamma)
            if len(mixed):
                loss = loss + mixed_loss(SCALE * cosines(self.project(mixed), weights), known, self.gamma)
            loss.backward()
            optimiser.step()
        self.project.requires_grad_(False)
        self.reserved = weights.detach()[known:]
        self.prototypes = Pool(self.project(pool.z), pool.degree, pool.rows).means()

    def add_pool(self, pool: Pool) -> None:
        """Class means."""
        super().add_pool(Pool(self.project(pool.z), pool.degree, pool.rows))

    def score_rows(self, z: Tensor) -> Tensor:
        """(1 - eta) softmax of cosines + eta sum_v p(v|x) p(y|v)."""
        z = self.project(z)
        plain = (SCALE * cosines(z, self.prototypes)).softmax(1)
        near = (SCALE * cosines(z, self.reserved)).softmax(1)
        through = near @ (SCALE * cosines(self.reserved, self.prototypes)).softmax(1)
        return (1 - self.eta) * plain + self.eta * through

    def modules(self) -> list[nn.Module]:
        """The projection."""
        return [self.project]

    def memory_bytes(self) -> int:
        """And the virtual prototypes."""
        return super().memory_bytes() + self.reserved.nbytes


def real_loss(logits: Tensor, target: Tensor, known: int, gamma: float) -> Tensor:
    """CE(f, y) + gamma CE(f without column y, best virtual column)."""
    best = known + logits[:, known:].argmax(1)
    return F.cross_entropy(logits, target) + gamma * F.cross_entropy(masked(logits, target), best)


def mixed_loss(logits: Tensor, known: int, gamma: float) -> Tensor:
    """Of mixed instances: CE(f, best virtual v) + gamma CE(f without column v, best real column)."""
    best = known + logits[:, known:].argmax(1)
    return F.cross_entropy(logits, best) + gamma * F.cross_entropy(masked(logits, best), logits[:, :known].argmax(1))


def masked(logits: Tensor, column: Tensor) -> Tensor:
    """The logits with one column of each row out of the way."""
    return logits.scatter(1, column[:, None], -1e9)
