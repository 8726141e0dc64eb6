"""Quadratic ties to old parameters: EWC, MAS and TWP differ in how they measure a parameter's importance."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from ninefold_graphs import Graph
from torch import Tensor
from torch.nn import functional as F

from ._gradient import RATES, Batch, GradientLearner, by_class

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
    def measure(self, graph: Graph, places: np.ndarray, target: np.ndarray) -> dict[str, Tensor]:
        """Importance of each named parameter, from the session's labelled nodes."""

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

    def gradients(self, of: Tensor, *, again: bool = False) -> dict[str, Tensor]:
        """Gradient of a number by the name of the parameter; zeros where it does not depend on one.

        again: make the gradients differentiable.
        """
        named = self.named()
        found = torch.autograd.grad(of, list(named.values()), allow_unused=True, create_graph=again)
        pairs = zip(named.items(), found, strict=True)
        return {name: torch.zeros_like(value) if one is None else one for (name, value), one in pairs}

    def memory_bytes(self) -> int:
        """Head, importances and old parameters."""
        kept = [*self.importance.values(), *self.anchor.values()]
        return super().memory_bytes() + sum(one.nbytes for one in kept)


class NodewiseLearner(ImportanceLearner):
    """Importance of one node at a time, averaged."""

    limits = f"importance is measured on at most {SAMPLES} nodes a session"

    @abstractmethod
    def importance_of(self, logits: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Importance of each named parameter for one node, of its (1, C) logits and (1,) column."""

    def measure(self, graph: Graph, places: np.ndarray, target: np.ndarray) -> dict[str, Tensor]:
        """The mean over the nodes."""
        total = {name: torch.zeros_like(value) for name, value in self.named().items()}
        for place, column in zip(places, target, strict=True):
            batch = Batch.of(graph, np.array([place]), np.array([column]))
            for name, one in self.importance_of(self.logits(batch), batch.target).items():
                total[name] += one / len(places)
        return total


class Ewc(NodewiseLearner):
    """Elastic weight consolidation: importance is the diagonal of the Fisher matrix, at the labels."""

    name = "EWC"
    source = "Kirkpatrick et al. 2017, arXiv 1612.00796"

    def importance_of(self, logits: Tensor, target: Tensor) -> dict[str, Tensor]:
        """(d log p(y|x) / d theta)^2."""
        return {name: one**2 for name, one in self.gradients(F.cross_entropy(logits, target)).items()}


class Mas(NodewiseLearner):
    """Memory aware synapses: importance is how much the squared norm of the output moves."""

    name = "MAS"
    source = "Aljundi et al. 2018, arXiv 1711.09601"
    grid = tuple({"lr": lr, "strength": s} for lr in RATES for s in (1.0, 1e2))
    strength: float = 1.0

    def importance_of(self, logits: Tensor, target: Tensor) -> dict[str, Tensor]:
        """|d ||f(x)||^2 / d theta|."""
        return {name: one.abs() for name, one in self.gradients(logits.pow(2).sum()).items()}


@dataclass(frozen=True, eq=False)
class Around:
    """Some nodes and their neighbours, themselves among them, and the edges into those nodes.

    Attributes:
        nodes: all of them; their targets mean nothing.
        into, source: of each edge the rows of `nodes`.
    """

    nodes: Batch
    into: Tensor
    source: Tensor

    @classmethod
    def of(cls, graph: Graph, places: np.ndarray) -> Around:
        """Around the nodes at `places`."""
        edges = graph.normalized[places]
        near = np.unique(edges.indices)
        rows, columns = edges.nonzero()
        into, source = np.searchsorted(near, places)[rows], np.searchsorted(near, columns)
        return cls(Batch.of(graph, near, np.zeros(len(near))), torch.from_numpy(into), torch.from_numpy(source))


class Twp(ImportanceLearner):
    """Topology-aware weight preserving: importance for the loss, and for how neighbours attend to each other.

    Attributes:
        topology: weight of the second importance.
        beta: weight of the sum of the new session's importances in its loss; .01 in the publication. It keeps them
            small, and so later sessions free.
    """

    name = "TWP"
    source = "Liu, Yang and Wang 2021, arXiv 2012.06002"
    limits = f"on a GCN: e_ij of its output; importance is measured on at most {SAMPLES} nodes a session"
    topology: float = 1.0
    beta: float = 0.01

    def begin(self, graph: Graph, support: Mapping[int, np.ndarray]) -> None:
        """Find the neighbours of the support."""
        self.around = Around.of(graph, by_class(support, 0)[0])

    def loss(self, batch: Batch) -> Tensor:
        """Cross entropy, and the size of what is important to this session."""
        new = self.importances(batch, self.around, again=True)
        return super().loss(batch) + self.beta * torch.stack([one.sum() for one in new.values()]).sum()

    def measure(self, graph: Graph, places: np.ndarray, target: np.ndarray) -> dict[str, Tensor]:
        """Of the two, on these nodes."""
        return self.importances(Batch.of(graph, places, target), Around.of(graph, places))

    def importances(self, batch: Batch, around: Around, *, again: bool = False) -> dict[str, Tensor]:
        """|dL/dtheta| + topology |d(mean sum e_ij^2)/dtheta| with e_ij = h_i . tanh(h_j) for edges j -> i.

        again: make it differentiable.
        """
        task = self.gradients(F.cross_entropy(self.logits(batch), batch.target), again=again)
        z = self.encode(around.nodes)
        attention = (z[around.into] * torch.tanh(z[around.source])).sum(1)
        shape = self.gradients(attention.pow(2).sum() / len(batch), again=again)
        return {name: task[name].abs() + self.topology * shape[name].abs() for name in task}
