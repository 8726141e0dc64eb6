"""What trains by gradient: a copy of the encoder and a linear head that grows with the classes."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from ninefold.errors import InputError
from ninefold_graphs import Features, Graph, Sparse
from torch import Tensor, nn
from torch.nn import functional as F

from mecoin.baselines._options import Tunable
from mecoin.encoders._field import receptive_field
from mecoin.encoders._gcn import Gcn, GcnEncoder, gathered

RATES = (1e-3, 5e-3)  # of Adam, among which rivals are tuned; a few long steps reach as far as many short ones


@dataclass(frozen=True, eq=False)
class Batch:
    """Some nodes with all that their encoding depends on, and the columns of their classes."""

    x: Features
    blocks: list[Sparse]  # the first is None where x has been gathered over it
    target: Tensor

    @classmethod
    def of(cls, graph: Graph, places: np.ndarray, target: np.ndarray) -> Batch:
        """Nodes at `places` with columns `target`."""
        rows, blocks = receptive_field(graph, places)
        x, blocks = gathered(graph.x[rows], blocks)
        return cls(x, blocks, torch.from_numpy(np.asarray(target, np.int64)))

    def __len__(self) -> int:
        return len(self.target)


class GradientLearner(Tunable):
    """Fine-tune the encoder's copy and the head on each session's support; a subclass fills in the hooks.

    Attributes:
        lr, steps: Adam, full batches of the session's support.
    """

    limits = "trains a copy of the shared encoder, with full batches of Adam"
    lr: float = 1e-3
    steps: int = 20

    module: Gcn
    head: nn.Linear

    def _fit(self, graph: Graph, support: Mapping[int, np.ndarray], validation: np.ndarray) -> None:
        if not isinstance(self.encoder, GcnEncoder):
            raise InputError("encoder", got=self.encoder.kind, expected="gcn, which can be trained on")
        self.module = copy.deepcopy(self.encoder.module).requires_grad_(True)
        self.head = copy.deepcopy(self.encoder.classifier).requires_grad_(True)
        self._logits: weakref.WeakKeyDictionary[Graph, np.ndarray] = weakref.WeakKeyDictionary()
        self.module.eval()
        with self._drawing(0):
            self.finish(graph, support, 0)

    def _add(self, graph: Graph, support: Mapping[int, np.ndarray]) -> None:
        known = self.head.out_features
        target = known + np.repeat(np.arange(len(support)), [len(places) for places in support.values()])
        with self._drawing(known):
            self.begin(graph, support)
            self.head = grown(self.head, len(support))
            batch = Batch.of(graph, np.concatenate(list(support.values())), target)
            parameters = self.trained()
            optimiser = torch.optim.Adam(parameters, lr=self.lr, fused=True)  # one pass over a million weights
            self.module.train()
            for _ in range(int(self.steps)):
                optimiser.zero_grad()
                self.loss(batch).backward()
                self.project(parameters)
                optimiser.step()
            self.module.eval()
            self._logits.clear()
            self.finish(graph, support, known)

    @contextmanager
    def _drawing(self, session: int) -> Iterator[None]:
        """Random draws that depend on the seed and the number of classes alone."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed * 1000 + session)
            self.rng = np.random.default_rng([self.seed, session])
            yield

    def trained(self) -> list[nn.Parameter]:
        """Parameters that a session trains."""
        return [*self.module.parameters(), *self.head.parameters()]

    def begin(self, graph: Graph, support: Mapping[int, np.ndarray]) -> None:
        """Before a session: keep what the rule needs of the old model."""

    def loss(self, batch: Batch) -> Tensor:
        """What a step descends: cross entropy over all classes so far."""
        return F.cross_entropy(self.logits(batch), batch.target)

    def project(self, parameters: list[nn.Parameter]) -> None:
        """Change the gradients before a step."""

    def finish(self, graph: Graph, support: Mapping[int, np.ndarray], first: int) -> None:
        """After a session, the base one too: measure what the rule needs; `first` is the column of its first class."""

    def encode(self, batch: Batch) -> Tensor:
        """(m, h)."""
        return self.module(batch.x, batch.blocks)

    def logits(self, batch: Batch) -> Tensor:
        """(m, C)."""
        return self.head(self.encode(batch))

    def embed(self, graph: Graph) -> Tensor:
        """(n, h) of all nodes by the model as it is."""
        with torch.no_grad():
            return self.module(graph.x, [graph.normalized] * 2)

    def _scores(self, graph: Graph, places: np.ndarray) -> np.ndarray:
        if graph not in self._logits:
            with torch.no_grad():
                self._logits[graph] = self.head(self.embed(graph)).numpy()
        return self._logits[graph][places]

    def memory_bytes(self) -> int:
        """The head; the encoder's copy takes the encoder's place."""
        return sum(parameter.nbytes for parameter in self.head.parameters())


def grown(head: nn.Linear, more: int) -> nn.Linear:
    """A linear layer with `more` outputs; the old rows are bit-equal."""
    wider = nn.Linear(head.in_features, head.out_features + more)
    with torch.no_grad():
        wider.weight[: head.out_features], wider.bias[: head.out_features] = head.weight, head.bias
    return wider


def by_class(support: Mapping[int, np.ndarray], first: int) -> tuple[np.ndarray, np.ndarray]:
    """(places, columns) of all nodes of a support whose classes have the columns from `first` on."""
    sizes = [len(places) for places in support.values()]
    return np.concatenate(list(support.values())), first + np.repeat(np.arange(len(sizes)), sizes)
