"""Training on: a copy of the shared GCN and a head that grows, by Adam on each session's support."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from mecoin.encoders._gcn import Gcn, GcnEncoder
from mecoin.protocol._learner import Learner
from ninefold.errors import InputError
from ninefold_graphs import Graph
from torch import Tensor, nn
from torch.nn import functional as F

RATES = (1e-3, 5e-3)  # of Adam, where a second setting is tuned; a few long steps reach as far as many short ones
RATES_ALONE = (1e-3, 2e-3, 5e-3, 1e-2)


@dataclass(frozen=True, eq=False)
class Batch:
    """Some nodes with all that their encoding depends on, and the columns of their classes.

    Attributes:
        x: (k, d) features of the k nodes within one hop, gathered over the hop that leads to them; sparse.
        near: (m, k) normalised adjacency between the m nodes and these; sparse.
        target: (m,) columns.
    """

    x: Tensor
    near: Tensor
    target: Tensor

    @classmethod
    def of(cls, graph: Graph, places: np.ndarray, target: np.ndarray) -> Batch:
        """Nodes at `places` with columns `target`."""
        near = graph.normalized[places]
        rows = np.unique(near.indices)
        first = graph.normalized[rows] @ sp.csr_array(graph.x)
        return cls(_tensor(first), _tensor(near[:, rows]), torch.from_numpy(np.asarray(target, np.int64)))

    def __len__(self) -> int:
        return len(self.target)


def _tensor(matrix: sp.csr_array) -> Tensor:
    """The same matrix as a tensor of coordinates, whose product with dense ones is differentiable twice."""
    entries = sp.coo_array(matrix)
    places = torch.from_numpy(np.stack([entries.row, entries.col]).astype(np.int64))
    values = torch.from_numpy(entries.data.astype(np.float32))
    return torch.sparse_coo_tensor(places, values, entries.shape, check_invariants=False).coalesce()


class GradientLearner(Learner):
    """Cross entropy over all classes so far on each session's support; a subclass fills in the hooks.

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
        self.module.eval()
        with self._drawing(0):
            self.finish(graph, support, 0)

    def _add(self, graph: Graph, support: Mapping[int, np.ndarray]) -> None:
        known = self.head.out_features
        with self._drawing(known):
            self.begin(graph, support)
            self.head = grown(self.head, len(support))
            batch = Batch.of(graph, *by_class(support, known))
            parameters = list(self.named().values())
            optimiser = torch.optim.Adam(parameters, lr=self.lr, fused=True)
            self.module.train()
            for _ in range(int(self.steps)):
                optimiser.zero_grad()
                self.loss(batch).backward()
                self.project()
                optimiser.step()
            self.module.eval()
            self.finish(graph, support, known)

    @contextmanager
    def _drawing(self, session: int) -> Iterator[None]:
        """Random draws that depend on the seed and the number of classes alone."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed * 1000 + session)
            self.rng = np.random.default_rng([self.seed, session])
            yield

    def begin(self, graph: Graph, support: Mapping[int, np.ndarray]) -> None:
        """Before a session: keep what the rule needs of the old model."""

    def loss(self, batch: Batch) -> Tensor:
        """The number that a step lowers."""
        return F.cross_entropy(self.logits(batch), batch.target)

    def project(self) -> None:
        """Change the gradients before a step."""

    def finish(self, graph: Graph, support: Mapping[int, np.ndarray], first: int) -> None:
        """After a session, the base one too: measure what the rule needs; `first` is the column of its first class."""

    def named(self) -> dict[str, nn.Parameter]:
        """The trained parameters by name."""
        own = {f"gcn.{name}": value for name, value in self.module.named_parameters()}
        return own | {f"head.{name}": value for name, value in self.head.named_parameters()}

    def encode(self, batch: Batch) -> Tensor:
        """(m, h), as `Gcn` computes it for the whole graph."""
        inner = F.relu(torch.sparse.mm(batch.x, self.module.weight1) + self.module.bias1)
        inner = F.dropout(inner, 0.5, self.module.training)
        return torch.sparse.mm(batch.near, inner @ self.module.weight2) + self.module.bias2

    def logits(self, batch: Batch) -> Tensor:
        """(m, C)."""
        return self.head(self.encode(batch))

    def embed(self, graph: Graph) -> Tensor:
        """(n, h) of all nodes by the model as it is."""
        with torch.no_grad():
            return self.module(graph.x, [graph.normalized] * 2)

    def columns(self, graph: Graph, places: np.ndarray) -> np.ndarray:
        """All at once: the model encodes the whole graph."""
        return self._scores(graph, places).argmax(axis=1)

    def _scores(self, graph: Graph, places: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return self.head(self.embed(graph)[places]).numpy()

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


class FineTune(GradientLearner):
    """Cross entropy on each session's support, nothing against forgetting: the lower bound."""

    name = "Fine-tune"
    source = "lower bound"
    grid = tuple({"lr": lr} for lr in RATES_ALONE)


class Lwf(GradientLearner):
    """Cross entropy + strength * distillation of the old columns at temperature T, on the session's support."""

    name = "LwF"
    source = "Li and Hoiem 2016, arXiv 1606.09282"
    grid = tuple({"lr": lr, "strength": s} for lr in RATES for s in (1.0, 10.0))
    strength: float = 1.0
    temperature: float = 2.0

    def begin(self, graph: Graph, support: Mapping[int, np.ndarray]) -> None:
        """Note the old model's answers on the support."""
        with torch.no_grad():
            self.answers = self.logits(Batch.of(graph, *by_class(support, 0)))

    def loss(self, batch: Batch) -> Tensor:
        """CE + strength * T^2 KL(old / T || new / T) over the old columns."""
        logits = self.logits(batch)
        kept = distillation(self.answers, logits[:, : self.answers.shape[1]], self.temperature)
        return F.cross_entropy(logits, batch.target) + self.strength * kept


def distillation(teacher: Tensor, student: Tensor, temperature: float) -> Tensor:
    """T^2 KL(softmax(teacher / T) || softmax(student / T)), mean over rows (Hinton et al. 2015)."""
    target, given = F.log_softmax(teacher / temperature, 1), F.log_softmax(student / temperature, 1)
    return temperature**2 * F.kl_div(given, target, reduction="batchmean", log_target=True)
