"""GEM: steps that raise no earlier session's loss."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from ninefold_graphs import Graph
from scipy.optimize import nnls
from torch import nn
from torch.nn import functional as F

from mecoin.baselines._gradient import RATES
from mecoin.baselines._replay import ReplayLearner


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

    def project(self, parameters: list[nn.Parameter]) -> None:
        """Replace the gradient."""
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


def projected(gradient: torch.Tensor, old: torch.Tensor, margin: float = 0.0) -> torch.Tensor:
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
