"""Quadratic ties to old parameters: EWC and MAS differ in how they measure a parameter's importance."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

import numpy as np
import torch
from ninefold_graphs import Graph
from torch import Tensor
from torch.nn import functional as F

from mecoin.baselines._gradient import RATES, Batch, GradientLearner, by_class

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
