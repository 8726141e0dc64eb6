"""Embeddings that should be alike in all sources: CORAL, DANN and SRGNN."""

from __future__ import annotations

from itertools import combinations
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from mldgg.baselines._trained import HIDDEN, SPACE, Trained, risk
from mldgg.encoders import Masks

_SOME = 2000  # nodes of a graph that moments and domain losses are taken over


class Coral(Trained):
    """Mean risk + weight * mean |C_e - C_f|_F^2 / (4 d^2) over pairs of sources, C the covariance of embeddings."""

    name = "coral"
    source = "ECCV 2016 workshops, arXiv 1607.01719"
    space: ClassVar[dict[str, tuple[Any, ...]]] = {**SPACE, "weight": (1.0, 100.0)}

    def loss(self, masks: Masks) -> Tensor:
        """Risk and distance of covariances."""
        embedded = [self.model.embed(graph, masks) for graph in self.graphs]
        risks = [risk(self.model.head(z), graph) for z, graph in zip(embedded, self.graphs, strict=True)]
        pairs = [(a.T.cov() - b.T.cov()).square().sum() / (4 * HIDDEN**2) for a, b in combinations(embedded, 2)]
        apart = torch.stack(pairs).mean() if pairs else torch.zeros(())
        return torch.stack(risks).mean() + self.options["weight"] * apart


class _Reversed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor, weight: float) -> Tensor:
        ctx.weight = weight
        return z.view_as(z)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return -ctx.weight * gradients[0], None


class Dann(Trained):
    """A classifier of the domain whose gradient is reversed before it reaches the embedding."""

    name = "dann"
    source = "JMLR 2016, arXiv 1505.07818"
    space: ClassVar[dict[str, tuple[Any, ...]]] = {**SPACE, "weight": (0.1, 1.0)}

    def prepare(self) -> None:
        """The domain classifier."""
        self.domain = nn.Sequential(nn.Linear(HIDDEN, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, len(self.graphs)))

    def more_parameters(self) -> list[nn.Parameter]:
        """Those of the domain classifier."""
        return list(self.domain.parameters())

    def loss(self, masks: Masks) -> Tensor:
        """Risk and domain loss."""
        losses = []
        for number, graph in enumerate(self.graphs):
            z = self.model.embed(graph, masks)
            some = z[:: max(len(graph) // _SOME, 1)]
            domain = self.domain(_Reversed.apply(some, self.options["weight"]))
            truth = torch.full((some.shape[0],), number)
            losses.append(risk(self.model.head(z), graph) + cross_entropy(domain, truth))
        return torch.stack(losses).mean()


class SrGnn(Trained):
    """Central moment discrepancy between sources, and nodes weighted by how ordinary they are among all sources.

    The original matches a biased training sample to its own graph; with the target unseen, sources are matched to each
    other.
    """

    name = "srgnn"
    source = "NeurIPS 2021, arXiv 2108.01099"
    space: ClassVar[dict[str, tuple[Any, ...]]] = {**SPACE, "weight": (0.1, 1.0)}

    def loss(self, masks: Masks) -> Tensor:
        """Weighted risk and discrepancy."""
        embedded = [torch.tanh(self.model.embed(graph, masks)) for graph in self.graphs]
        centre = torch.cat([z.detach() for z in embedded]).mean(dim=0)
        losses = []
        for z, graph in zip(embedded, self.graphs, strict=True):
            far = (z.detach() - centre).square().mean(dim=1)
            losses.append(risk(self.model.head(z), graph, torch.exp(-far / far.mean().clamp(min=1e-9))))
        pairs = [_moment_distance(a, b) for a, b in combinations(embedded, 2)]
        apart = torch.stack(pairs).mean() if pairs else torch.zeros(())
        return torch.stack(losses).mean() + self.options["weight"] * apart


def _moment_distance(one: Tensor, other: Tensor, moments: int = 3) -> Tensor:
    """Central moment discrepancy of embeddings in [-1, 1]."""
    means = [z.mean(dim=0) for z in (one, other)]
    total = (means[0] - means[1]).square().sum().clamp(min=1e-12).sqrt() / 2
    for order in range(2, moments + 1):
        central = [(z - mean).pow(order).mean(dim=0) for z, mean in zip((one, other), means, strict=True)]
        total = total + (central[0] - central[1]).square().sum().clamp(min=1e-12).sqrt() / 2**order
    return total
