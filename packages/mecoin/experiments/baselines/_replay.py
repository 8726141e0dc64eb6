"""Stored nodes of old classes: ER-GNN trains on them, GEM raises no earlier session's loss on them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from ninefold_graphs import Graph
from scipy.optimize import nnls
from torch import Tensor
from torch.nn import functional as F

from ._gradient import RATES, Batch, GradientLearner

SHOT = 5  # stored nodes a class: what the publication's code replays
RADIUS = 0.5  # coverage: neighbours within this share of the mean distance to other classes' nodes


class ReplayLearner(GradientLearner):
    """Keeps `SHOT` nodes of each class, by id; a subclass may choose which."""

    limits = f"keeps {SHOT} nodes a class, whose neighbourhoods it takes from the session's graph"

    def _fit(self, graph: Graph, support: Mapping[int, np.ndarray], validation: np.ndarray) -> None:
        self.stored: list[np.ndarray] = []  # ids, by column
        self.sessions: list[range] = []  # columns of each session
        self.stored_bytes = 0
        super()._fit(graph, support, validation)

    def batch(self, graph: Graph, columns: range) -> Batch:
        """The stored nodes of some columns, found in this session's graph."""
        places = graph.positions(np.concatenate([self.stored[column] for column in columns]))
        return Batch.of(graph, places, np.repeat(list(columns), [len(self.stored[column]) for column in columns]))

    def finish(self, graph: Graph, support: Mapping[int, np.ndarray], first: int) -> None:
        """Store nodes of the new classes."""
        self.sessions.append(range(first, first + len(support)))
        for places in support.values():
            kept = self.choose(graph, places, support)
            self.stored.append(graph.ids[kept])
            self.stored_bytes += len(kept) * (4 * graph.width + 8)

    def choose(self, graph: Graph, places: np.ndarray, support: Mapping[int, np.ndarray]) -> np.ndarray:
        """`SHOT` of the places of a class, by lot."""
        return places if len(places) <= SHOT else self.rng.choice(places, SHOT, replace=False)

    def memory_bytes(self) -> int:
        """Head, and the stored nodes' features as dense rows with a label; their neighbourhoods are not counted."""
        return super().memory_bytes() + self.stored_bytes


class ErGnn(ReplayLearner):
    """beta L(new) + (1 - beta) L(stored) with beta = stored / (new + stored).

    Attributes:
        coverage: 0 stores the nodes nearest to the class's mean embedding, 1 those that cover most (fewest nodes of
            other classes near).
    """

    name = "ER-GNN"
    source = "Zhou and Cao 2021, arXiv 2003.09908"
    grid = tuple({"lr": lr, "coverage": c} for lr in RATES for c in (0, 1))
    coverage: int = 0

    def begin(self, graph: Graph, support: Mapping[int, np.ndarray]) -> None:
        """Find the stored nodes."""
        self.memory = self.batch(graph, range(len(self.stored)))

    def loss(self, batch: Batch) -> Tensor:
        """The weighted sum."""
        beta = len(self.memory) / (len(batch) + len(self.memory))
        replayed = F.cross_entropy(self.logits(self.memory), self.memory.target)
        return beta * super().loss(batch) + (1 - beta) * replayed

    def choose(self, graph: Graph, places: np.ndarray, support: Mapping[int, np.ndarray]) -> np.ndarray:
        """By the mean of the embeddings, or by coverage."""
        z = self.embed(graph)
        if not self.coverage:
            return places[nearest_to_mean(z[places].numpy(), SHOT)]
        others = np.concatenate([one for one in support.values() if one is not places] or [places[:0]])
        return places[covering(z[places].numpy(), z[others].numpy(), SHOT)]


def nearest_to_mean(z: np.ndarray, count: int) -> np.ndarray:
    """Rows nearest to the mean of all rows."""
    return np.argsort(np.linalg.norm(z - z.mean(0), axis=1), kind="stable")[:count]


def covering(z: np.ndarray, others: np.ndarray, count: int) -> np.ndarray:
    """Rows with the fewest rows of `others` within a radius, a share of the mean distance between the two sets."""
    if not len(others):
        return np.arange(min(count, len(z)))
    distance = torch.cdist(torch.from_numpy(z), torch.from_numpy(others)).numpy()
    near = (distance < RADIUS * distance.mean()).sum(axis=1)
    return np.argsort(near, kind="stable")[:count]


class Gem(ReplayLearner):
    """The gradient is moved to the nearest one that has no negative product with a session's gradient on its memory.

    Attributes:
        margin: added to the multipliers of the dual, as published.
    """

    name = "GEM"
    source = "Lopez-Paz and Ranzato 2017, arXiv 1706.08840"
    grid = tuple({"lr": lr, "margin": m} for lr in RATES for m in (0.0, 0.5))
    margin: float = 0.5

    def begin(self, graph: Graph, support: Mapping[int, np.ndarray]) -> None:
        """One memory a session."""
        self.memories = [self.batch(graph, columns) for columns in self.sessions]

    def project(self) -> None:
        """Replace the gradient."""
        parameters = list(self.named().values())
        gradient = torch.cat([one.grad.reshape(-1) for one in parameters if one.grad is not None])
        old = []
        for memory in self.memories:
            known = int(memory.target.max()) + 1
            loss = F.cross_entropy(self.logits(memory)[:, :known], memory.target)
            found = torch.autograd.grad(loss, parameters)
            old.append(torch.cat([one.reshape(-1) for one in found]))
        moved = projected(gradient, torch.stack(old), self.margin)
        for one, part in zip(parameters, moved.split([one.numel() for one in parameters]), strict=True):
            one.grad = part.reshape(one.shape)


def projected(gradient: Tensor, old: Tensor, margin: float = 0.0) -> Tensor:
    """Nearest vector to `gradient` (d,) that has products >= 0 with all rows of `old` (k, d).

    The dual, min_v>=0 |old' v + gradient|^2 / 2, is a non-negative least-squares problem of k unknowns, here through
    the (k, k) Gram matrix; gradient + old' v is the answer. A margin adds to every v, once one product is negative.
    """
    products = (old @ gradient).double().numpy()
    if (products >= 0).all():
        return gradient
    gram = (old @ old.T).double().numpy()
    gram += 1e-8 * max(np.trace(gram) / len(gram), 1e-30) * np.eye(len(gram))  # parallel gradients
    root = np.linalg.cholesky(gram).T  # gram = root' root
    multipliers, _ = nnls(root, -np.linalg.solve(root.T, products))
    return gradient + old.T @ torch.from_numpy(multipliers + margin).to(old.dtype)
