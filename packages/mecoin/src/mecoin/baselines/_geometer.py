"""Geometer: attention prototypes that keep close to their nodes, spread evenly, and stay apart from old ones.

Where it is from: prototypes and the three losses are the publication's, written anew from its formulas. The weights of
the losses (.1 in the base session; 1.5, 2, 2 and 1 later), temperature 2, two heads, weight decay 5e-4 and supports of
1 to 20 nodes are facts of the authors' code (RobinLu1209/Geometer), which has no licence; nothing of it is copied. That
code keeps the epoch that is best on *test* nodes; here the number of steps is fixed.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping

import numpy as np
import torch
from ninefold_graphs import Graph
from torch import Tensor, nn
from torch.nn import functional as F

from mecoin.baselines._frozen import Episode, FrozenLearner, Pool, projection, squared_distances
from mecoin.baselines._gradient import SHOT
from mecoin.baselines._lwf import distillation
from mecoin.baselines._replay import dense_bytes

HEADS = 2


class Prototyper(nn.Module):
    """A projection, and an attention from a class's degree-weighted mean to its nodes."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.project, self.attention = projection(width), nn.MultiheadAttention(width, HEADS)
        nn.init.zeros_(self.attention.out_proj.weight)  # starts as the degree-weighted mean

    def forward(self, z: Tensor, degree: Tensor) -> Tensor:
        """Nodes (n, h) of one class, degrees (n,) -> (h,): mean + attention of [mean; nodes] seen from the mean."""
        z = self.project(z)
        mean = (degree / degree.sum()) @ z
        tokens = torch.cat([mean[None], z])
        return mean + self.attention(tokens[:1], tokens, tokens, need_weights=False)[0][0]


class Geometer(FrozenLearner):
    """Episodes on base classes; in later sessions a few steps on the support and the stored nodes.

    Attributes:
        steps, tune_lr: of a later session.
    """

    name = "Geometer"
    source = "Lu et al. 2022, arXiv 2205.13954"
    limits = "trains a projection of the frozen encoder's output, not the encoder; fixed steps, none chosen on tests"
    grid = tuple({"tune_lr": lr, "steps": steps} for lr in (1e-4, 1e-3) for steps in (20, 100))
    steps: int = 50
    tune_lr: float = 1e-4

    def _fit(self, graph: Graph, support: Mapping[int, np.ndarray], validation: np.ndarray) -> None:
        super()._fit(graph, support, validation)
        self.stored: list[np.ndarray] = []
        self.stored_bytes = 0
        self._store(graph, support)

    def _store(self, graph: Graph, support: Mapping[int, np.ndarray]) -> None:
        """Keep ids of `SHOT` nodes a class: those nearest to the mean."""
        z = self.encoder.embed(graph)
        for places in support.values():
            far = np.linalg.norm(z[places] - z[places].mean(0), axis=1)
            self.stored.append(graph.ids[places[np.argsort(far, kind="stable")[:SHOT]]])
            self.stored_bytes += dense_bytes(len(self.stored[-1]), graph.width)

    def fit_pool(self, pool: Pool) -> None:
        """Proximity + .1 uniformity, on supports of random size."""
        self.model = Prototyper(pool.z.shape[1])
        optimiser = torch.optim.Adam(self.model.parameters(), lr=self.lr, weight_decay=5e-4)
        for _ in range(int(self.episodes)):
            episode = Episode.draw(pool, self.rng, way=1)
            sizes = self.rng.integers(1, 21, len(episode.support))
            few = [rows[:size] for rows, size in zip(episode.support, sizes, strict=True)]
            optimiser.zero_grad()
            prototypes = torch.stack([self.model(pool.z[rows], pool.degree[rows]) for rows in few])
            close = -squared_distances(self.model.project(pool.z[episode.query]), prototypes)
            (F.cross_entropy(close, episode.target) + 0.1 * uniformity(prototypes)).backward()
            optimiser.step()
        self.prototypes = self.of(pool)

    def of(self, pool: Pool) -> Tensor:
        """(C, h) prototypes by the model as it is."""
        with torch.no_grad():
            return torch.stack([self.model(pool.z[rows], pool.degree[rows]) for rows in pool.rows])

    def _add(self, graph: Graph, support: Mapping[int, np.ndarray]) -> None:
        old = [graph.positions(ids) for ids in self.stored]
        pool, known = self.pool(graph, [*old, *support.values()]), len(old)
        target, teacher = pool.target(), copy.deepcopy(self.model)
        with torch.no_grad():
            before = torch.stack([teacher(pool.z[rows], pool.degree[rows]) for rows in pool.rows[:known]])
            taught = -squared_distances(teacher.project(pool.z), before)
        optimiser = torch.optim.Adam(self.model.parameters(), lr=self.tune_lr, weight_decay=5e-4)
        with self._drawing(known):
            for _ in range(int(self.steps)):
                optimiser.zero_grad()
                prototypes = torch.stack([self.model(pool.z[rows], pool.degree[rows]) for rows in pool.rows])
                close = -squared_distances(self.model.project(pool.z), prototypes)
                kept = distillation(taught, close[:, :known], 2.0)
                apart = separability(prototypes[known:], prototypes[:known])
                loss = 1.5 * F.cross_entropy(close, target) + 2 * kept + 2 * apart + uniformity(prototypes)
                loss.backward()
                optimiser.step()
        self.prototypes = self.of(pool)
        self._store(graph, support)

    def score_rows(self, z: Tensor) -> Tensor:
        """Minus squared distances."""
        return -squared_distances(self.model.project(z), self.prototypes)

    def modules(self) -> list[nn.Module]:
        """Projection and attention."""
        return [self.model]

    def memory_bytes(self) -> int:
        """And the stored nodes' features as dense rows."""
        return super().memory_bytes() + self.stored_bytes


def uniformity(prototypes: Tensor) -> Tensor:
    """Mean over classes of 1 + the largest cosine to another prototype, seen from their centre."""
    if len(prototypes) < 2:
        return prototypes.sum() * 0
    unit = F.normalize(prototypes - prototypes.mean(0))
    links = unit @ unit.T - 2 * torch.eye(len(unit))
    return (1 + links.max(1).values).mean()


def separability(new: Tensor, old: Tensor) -> Tensor:
    """Mean over new prototypes of exp(-squared distance) to the nearest old one."""
    return torch.exp(-squared_distances(new, old).min(1).values).mean()
