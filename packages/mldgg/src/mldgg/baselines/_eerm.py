"""EERM with sparse editors: a few flipped edges per view instead of dense N x N maps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from ninefold_graphs import Graph
from torch import Tensor, nn

from mldgg.baselines._trained import SPACE, Trained, risk
from mldgg.encoders import GraphTensors, Masks


class Eerm(Trained):
    """K editors flip edges so that the variance of risks grows (REINFORCE); the classifier minimises Var + beta Mean.

    Each editor has one logit per candidate pair (a sample of edges, and as many pairs without one) and flips `budget`
    of them. Views are drawn anew every `every` steps.
    """

    name = "eerm"
    source = "ICLR 2022, arXiv 2202.02466"
    space: ClassVar[dict[str, tuple[Any, ...]]] = {**SPACE, "beta": (1.0, 3.0)}
    editors: ClassVar[int] = 3
    candidates: ClassVar[int] = 2000
    budget: ClassVar[float] = 0.1  # flips per candidate
    every: ClassVar[int] = 5

    def prepare(self) -> None:
        """Candidate pairs and logits of each source."""
        draws = np.random.default_rng(self.seed)
        self.pairs = [self._candidates(graph, draws) for graph in self.sources]
        self.inputs = [self.input_of(graph) for graph in self.sources]
        self.logits = [nn.Parameter(torch.zeros(self.editors, pairs.shape[1])) for pairs in self.pairs]
        self.editor_optimizer = torch.optim.Adam(self.logits, lr=0.05)
        self.views: list[list[GraphTensors]] = []
        self.log_chances: list[Tensor] = []

    def _candidates(self, graph: Graph, draws: np.random.Generator) -> np.ndarray:
        once = graph.edge_index[:, graph.edge_index[0] < graph.edge_index[1]]
        some = once[:, draws.permutation(once.shape[1])[: self.candidates]]
        fresh = np.sort(draws.integers(0, len(graph), (2, some.shape[1])), axis=0)
        return np.concatenate([some, fresh[:, fresh[0] < fresh[1]]], axis=1)

    def loss(self, masks: Masks) -> Tensor:
        """Mean over sources of Var + beta Mean over views; editors take a step when views are drawn."""
        if self.step % self.every == 0:
            self._draw()
        losses, spreads = [], []
        for views in self.views:
            risks = torch.stack([risk(self.model(view, masks), view) for view in views])
            spreads.append(risks.detach().var(correction=0))
            losses.append(risks.var(correction=0) + self.options["beta"] * risks.mean())
        if self.step % self.every == 0:
            reward = torch.stack(spreads)
            gain = -(reward * torch.stack(self.log_chances)).sum()
            self.editor_optimizer.zero_grad()
            gain.backward()
            self.editor_optimizer.step()
        return torch.stack(losses).mean()

    def _draw(self) -> None:
        self.views, self.log_chances = [], []
        for graph, pairs, logits, x in zip(self.sources, self.pairs, self.logits, self.inputs, strict=True):
            flips = max(int(self.budget * pairs.shape[1]), 1)
            views, total = [], torch.zeros(())
            for editor in range(self.editors):
                chances = torch.softmax(logits[editor], dim=0)
                chosen = torch.multinomial(chances.detach(), flips)
                total = total + chances[chosen].log().sum() / flips
                views.append(GraphTensors.of(_flipped(graph, pairs[:, chosen.numpy()]), x))
            self.views.append(views)
            self.log_chances.append(total)


def _flipped(graph: Graph, pairs: np.ndarray) -> Graph:
    """The graph without those of the pairs that it links, and with the others."""
    nodes = len(graph)
    keys = graph.edge_index[0] * nodes + graph.edge_index[1]
    flips = np.concatenate([pairs[0] * nodes + pairs[1], pairs[1] * nodes + pairs[0]])
    left = np.setxor1d(keys, np.unique(flips))
    return replace(graph, edge_index=np.stack([left // nodes, left % nodes]))
