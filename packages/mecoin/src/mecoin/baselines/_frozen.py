"""What learns on the frozen encoder's output: pools of labelled rows, pseudo-incremental episodes, a projection."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from ninefold_graphs import Graph
from torch import Tensor, nn

from mecoin.baselines._options import Tunable

SCALE = 16.0  # of cosines before a softmax, as in CEC, FACT and TEEN


@dataclass(frozen=True, eq=False)
class Pool:
    """Labelled rows: z (n, h), degree (n,), and the rows of each class in the order of its columns."""

    z: Tensor
    degree: Tensor
    rows: list[np.ndarray]

    def means(self) -> Tensor:
        """(C, h) class means."""
        return torch.stack([self.z[rows].mean(0) for rows in self.rows])

    def target(self) -> Tensor:
        """(n,) columns."""
        target = torch.empty(len(self.z), dtype=torch.int64)
        for column, rows in enumerate(self.rows):
            target[rows] = column
        return target


@dataclass(frozen=True, eq=False)
class Episode:
    """A pseudo-incremental task: some base classes act as new ones.

    Attributes:
        support: rows of each class: `shot` of the new ones, and all but the queries of the others.
        new: which classes act as new.
        query, target: rows and columns; as many of each class.
    """

    support: list[np.ndarray]
    new: np.ndarray
    query: np.ndarray
    target: Tensor

    @classmethod
    def draw(cls, pool: Pool, rng: np.random.Generator, *, way: int, shot: int = 5, queries: int = 15) -> Episode:
        """`way` classes act as new; half of a class's rows at most are queries."""
        new = rng.choice(len(pool.rows), min(way, max(len(pool.rows) - 1, 1)), replace=False)
        support, query, target = [], [], []
        for column, rows in enumerate(pool.rows):
            mixed = rng.permutation(rows)
            cut = min(queries, len(rows) // 2)
            query.append(mixed[:cut])
            target += [column] * cut
            support.append(mixed[cut : cut + shot] if column in new else mixed[cut:])
        return cls(support, np.sort(new), np.concatenate(query), torch.tensor(target, dtype=torch.int64))


class FrozenLearner(Tunable):
    """Trains a small module on the base classes' embeddings; the encoder stays as it is.

    Attributes:
        lr, episodes: Adam; steps of base training.
    """

    limits = "trains on the shared frozen encoder, where the publication trains its own"
    lr: float = 1e-3
    episodes: int = 200

    prototypes: Tensor  # (C, k), one a class

    def _fit(self, graph: Graph, support: Mapping[int, np.ndarray], validation: np.ndarray) -> None:
        with self._drawing(0), torch.enable_grad():
            self.fit_pool(self.pool(graph, list(support.values())))

    def _add(self, graph: Graph, support: Mapping[int, np.ndarray]) -> None:
        with self._drawing(len(self.classes)), torch.enable_grad():
            self.add_pool(self.pool(graph, list(support.values())))

    @contextmanager
    def _drawing(self, session: int) -> Iterator[None]:
        """Random draws that depend on the seed and the number of classes alone."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed * 1000 + session)
            self.rng = np.random.default_rng([self.seed, session])
            yield

    def pool(self, graph: Graph, places: list[np.ndarray]) -> Pool:
        """The embeddings of some nodes, by class."""
        z, at = self.encoder.embed(graph), np.concatenate(places)
        ends = np.cumsum([len(one) for one in places])
        rows = [np.arange(end - len(one), end) for one, end in zip(places, ends, strict=True)]
        degree = torch.from_numpy(graph.degree[at] + 1.0).float()  # with the loop, as the convolution counts
        return Pool(torch.from_numpy(z[at]), degree, rows)

    @abstractmethod
    def fit_pool(self, pool: Pool) -> None:
        """Train on the base classes, and set `prototypes`."""

    def add_pool(self, pool: Pool) -> None:
        """Learn new classes: by default, their means."""
        self.prototypes = torch.cat([self.prototypes, pool.means()])

    @abstractmethod
    def score_rows(self, z: Tensor) -> Tensor:
        """(m, h) -> (m, C)."""

    def _scores(self, graph: Graph, places: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return self.score_rows(torch.from_numpy(self.encoder.embed(graph)[places])).numpy()

    def modules(self) -> list[nn.Module]:
        """What base training made beside the prototypes."""
        return []

    def memory_bytes(self) -> int:
        """Prototypes and trained modules."""
        kept = sum(parameter.nbytes for module in self.modules() for parameter in module.parameters())
        return self.prototypes.nbytes + kept


def projection(width: int) -> nn.Linear:
    """A linear layer without bias that starts as the identity: what stands for training the encoder."""
    layer = nn.Linear(width, width, bias=False)
    nn.init.eye_(layer.weight)
    return layer


def squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """(m, h), (n, h) -> (m, n); through products, so that its gradient at equal points is finite."""
    return (a.pow(2).sum(1, keepdim=True) - 2 * a @ b.T + b.pow(2).sum(1)).clamp_min(0)


def cosines(a: Tensor, b: Tensor) -> Tensor:
    """(m, h), (n, h) -> (m, n)."""
    return nn.functional.normalize(a) @ nn.functional.normalize(b).T
