"""What trains by gradient, a copy of the encoder and a head that grows: fine-tuning, LwF, EWC, MAS and ER-GNN."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from ninefold.errors import InputError
from ninefold_graphs import Features, Graph, Sparse
from torch import Tensor, nn
from torch.nn import functional as F

from mecoin.encoders._gcn import Gcn, GcnEncoder, gathered
from mecoin.protocol._learner import Learner

RATES_ALONE = (1e-3, 2e-3, 5e-3, 1e-2)  # of Adam, where nothing else is tuned
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


class GradientLearner(Learner):
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
        self.module.eval()
        with self._drawing(0):
            self.finish(graph, support, 0)

    def _add(self, graph: Graph, support: Mapping[int, np.ndarray]) -> None:
        known = self.head.out_features
        with self._drawing(known):
            self.begin(graph, support)
            self.head = grown(self.head, len(support))
            batch = Batch.of(graph, *by_class(support, known))
            parameters = [*self.module.parameters(), *self.head.parameters()]
            optimiser = torch.optim.Adam(parameters, lr=self.lr, fused=True)  # one pass over a million weights
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
        """What a step descends: cross entropy over all classes so far."""
        return F.cross_entropy(self.logits(batch), batch.target)

    def project(self) -> None:
        """Change the gradients before a step."""

    def finish(self, graph: Graph, support: Mapping[int, np.ndarray], first: int) -> None:
        """After a session, the base one too: measure what the rule needs; `first` is the column of its first class."""

    def logits(self, batch: Batch) -> Tensor:
        """(m, C)."""
        return self.head(self.module(batch.x, batch.blocks))

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


def receptive_field(graph: Graph, places: np.ndarray, hops: int = 2) -> tuple[np.ndarray, list[Sparse]]:
    """What the encoding of some nodes depends on, so that a step of training on few nodes stays small.

    Returns:
        places of the nodes whose features are needed, and one block of the normalised adjacency a hop, innermost first:
        (rows of the next layer's nodes, columns of this layer's). `Gcn(features[places], blocks)` are exact rows.
    """
    blocks: list[Sparse] = []
    rows = np.asarray(places)
    for _ in range(hops):
        block = graph.normalized[rows]
        rows = np.unique(block.indices)
        blocks.insert(0, sp.csr_array(block[:, rows]))
    return rows, blocks


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


SAMPLES = 64  # nodes on which importance is measured, at most


class ImportanceLearner(GradientLearner):
    """Cross entropy + strength / 2 * sum over sessions k of I_k (theta - theta_k)^2.

    The sum is kept as one quadratic: sum of I_k, and the mean of theta_k weighted by I_k; their gradients are equal.
    """

    grid = tuple({"lr": lr, "strength": s} for lr in RATES for s in (1e2, 1e4))
    strength: float = 1e2

    def _fit(self, graph: Graph, support: Mapping[int, np.ndarray], validation: np.ndarray) -> None:
        self.importance: dict[str, Tensor] = {}
        self.anchor: dict[str, Tensor] = {}
        super()._fit(graph, support, validation)

    @abstractmethod
    def importance_of(self, logits: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Importance of each named parameter for one node, of its (1, C) logits and (1,) column."""

    def measure(self, graph: Graph, places: np.ndarray, target: np.ndarray) -> dict[str, Tensor]:
        """Importance of each named parameter: the mean over the session's labelled nodes."""
        total = {name: torch.zeros_like(value) for name, value in self.named().items()}
        for place, column in zip(places, target, strict=True):
            batch = Batch.of(graph, np.array([place]), np.array([column]))
            for name, one in self.importance_of(self.logits(batch), batch.target).items():
                total[name] += one / len(places)
        return total

    def named(self) -> dict[str, Tensor]:
        """The parameters by name."""
        own: dict[str, Tensor] = {f"gcn.{name}": value for name, value in self.module.named_parameters()}
        return own | {f"head.{name}": value for name, value in self.head.named_parameters()}

    def project(self) -> None:
        """Add the ties' gradient, strength * I (theta - theta*); rows of the head that came later are free."""
        with torch.no_grad():
            for name, value in self.named().items():
                anchor, slope = self.anchor[name], value.grad
                assert slope is not None
                pulled = (value[: len(anchor)] - anchor).mul_(self.importance[name])
                slope[: len(anchor)].add_(pulled, alpha=self.strength)

    def finish(self, graph: Graph, support: Mapping[int, np.ndarray], first: int) -> None:
        """Measure on the session's nodes and add it to what earlier sessions gave."""
        places, target = by_class(support, first)
        if len(places) > SAMPLES:
            drawn = np.sort(self.rng.choice(len(places), SAMPLES, replace=False))
            places, target = places[drawn], target[drawn]
        for name, new in self.measure(graph, places, target).items():
            value = self.named()[name].detach()
            before, anchor = torch.zeros_like(value), value.clone()
            if name in self.importance:
                before[: len(self.importance[name])] = self.importance[name]
                anchor[: len(self.anchor[name])] = self.anchor[name]
            total = before + new
            mean = (before * anchor + new * value) / total.clamp_min(torch.finfo(total.dtype).tiny)
            self.importance[name] = total
            self.anchor[name] = torch.where(total > 0, mean, value)

    def gradients(self, of: Tensor) -> dict[str, Tensor]:
        """Gradient of a number by the name of the parameter."""
        named = self.named()
        return dict(zip(named, torch.autograd.grad(of, list(named.values())), strict=True))

    def memory_bytes(self) -> int:
        """Head, importances and old parameters."""
        kept = [*self.importance.values(), *self.anchor.values()]
        return super().memory_bytes() + sum(one.nbytes for one in kept)


class Ewc(ImportanceLearner):
    """Elastic weight consolidation: importance is the diagonal of the Fisher matrix, at the labels."""

    name = "EWC"
    source = "Kirkpatrick et al. 2017, arXiv 1612.00796"
    limits = f"the Fisher diagonal is measured on at most {SAMPLES} nodes a session"

    def importance_of(self, logits: Tensor, target: Tensor) -> dict[str, Tensor]:
        """(d log p(y|x) / d theta)^2."""
        return {name: one**2 for name, one in self.gradients(F.cross_entropy(logits, target)).items()}


class Mas(ImportanceLearner):
    """Memory aware synapses: importance is how much the squared norm of the output moves."""

    name = "MAS"
    source = "Aljundi et al. 2018, arXiv 1711.09601"
    limits = f"importance is measured on at most {SAMPLES} nodes a session"
    grid = tuple({"lr": lr, "strength": s} for lr in RATES for s in (1.0, 1e2))
    strength: float = 1.0

    def importance_of(self, logits: Tensor, target: Tensor) -> dict[str, Tensor]:
        """|d ||f(x)||^2 / d theta|."""
        return {name: one.abs() for name, one in self.gradients(logits.pow(2).sum()).items()}


SHOT = 5  # stored nodes a class: what the publication's code replays


class ErGnn(GradientLearner):
    """beta L(new) + (1 - beta) L(stored) with beta = stored / (new + stored).

    Stored are `SHOT` nodes of each class, by id: those nearest to the class's mean embedding.
    """

    name = "ER-GNN"
    source = "Zhou and Cao 2021, arXiv 2003.09908"
    grid = tuple({"lr": lr} for lr in RATES_ALONE)
    limits = f"keeps {SHOT} nodes a class, whose neighbourhoods it takes from the session's graph"

    def _fit(self, graph: Graph, support: Mapping[int, np.ndarray], validation: np.ndarray) -> None:
        self.stored: list[np.ndarray] = []  # ids, by column
        self.stored_bytes = 0
        super()._fit(graph, support, validation)

    def begin(self, graph: Graph, support: Mapping[int, np.ndarray]) -> None:
        """Find the stored nodes in this session's graph."""
        columns = np.repeat(np.arange(len(self.stored)), [len(ids) for ids in self.stored])
        self.memory = Batch.of(graph, graph.positions(np.concatenate(self.stored)), columns)

    def loss(self, batch: Batch) -> Tensor:
        """The weighted sum."""
        beta = len(self.memory) / (len(batch) + len(self.memory))
        replayed = F.cross_entropy(self.logits(self.memory), self.memory.target)
        return beta * super().loss(batch) + (1 - beta) * replayed

    def finish(self, graph: Graph, support: Mapping[int, np.ndarray], first: int) -> None:
        """Store nodes of the new classes."""
        for places in support.values():
            kept = places[nearest_to_mean(self.embed(graph)[places].numpy(), SHOT)]
            self.stored.append(graph.ids[kept])
            self.stored_bytes += len(kept) * (4 * graph.width + 8)

    def memory_bytes(self) -> int:
        """Head, and the stored nodes' features as dense rows with a label; their neighbourhoods are not counted."""
        return super().memory_bytes() + self.stored_bytes


def nearest_to_mean(z: np.ndarray, count: int) -> np.ndarray:
    """Rows nearest to the mean of all rows."""
    return np.argsort(np.linalg.norm(z - z.mean(0), axis=1), kind="stable")[:count]
