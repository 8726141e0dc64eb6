"""The rival that is trained: one graph network on all sources together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
import torch
from ninefold_graphs import Graph, InputEncoder
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, dropout

from mldgg.baselines._ridges import same_task
from mldgg.domains import Method
from mldgg.encoders import GraphTensors, Sparse

HIDDEN, DROPOUT = 64, 0.5


class Classifier(nn.Module):
    """Two GCN layers, or two layers and then `hops` steps of personalised PageRank (restart .1), and a linear head."""

    def __init__(self, width: int, classes: int, hops: int) -> None:
        super().__init__()
        self.hops = hops
        self.first, self.second = nn.Linear(width, HIDDEN, bias=False), nn.Linear(HIDDEN, HIDDEN, bias=False)
        self.norms = nn.ModuleList([nn.LayerNorm(HIDDEN) for _ in range(2)])
        self.head = nn.Linear(HIDDEN, classes)
        for layer in (self.first, self.second):
            nn.init.xavier_uniform_(layer.weight)

    def forward(self, graph: GraphTensors) -> Tensor:
        """(N, C) scores."""
        weight = self.first.weight.T
        if isinstance(graph.x, Sparse):  # dropping entries of a product's factor would change the matrix: drop columns
            z = graph.x @ (dropout(torch.ones_like(weight[:, :1]), DROPOUT, self.training) * weight)
        else:
            z = dropout(graph.x, DROPOUT, self.training) @ weight
        z = torch.relu(self.norms[0](z if self.hops else graph.hop @ z))
        z = self.second(dropout(z, DROPOUT, self.training))
        start = z = self.norms[1](z if self.hops else graph.hop @ z)
        for _ in range(self.hops):
            z = 0.9 * (graph.hop @ z) + 0.1 * start
        return self.head(torch.relu(z))


class Erm(Method):
    """Pooled training with Adam on the mean risk of the sources; the target's labels unused.

    Attributes:
        steps: of Adam.
    """

    name = "erm"
    source = "empirical risk minimisation"
    space: ClassVar[dict[str, tuple[Any, ...]]] = {
        "hops": (6, 0), "rate": (0.01, 0.003), "words": ("directions", "all"),  # 128 directions of the words, or all
    }  # fmt: skip
    steps: ClassVar[int] = 100

    def fit(self, sources: Sequence[Graph]) -> Self:
        """Train for `steps`; dropout and the start follow from the seed."""
        same_task(self.name, sources)
        self.encoder = InputEncoder.fit(sources)
        graphs = [self._tensors(graph) for graph in sources]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            self.model = Classifier(graphs[0].width, graphs[0].classes, self.options["hops"])
            optimizer = torch.optim.Adam(self.model.parameters(), lr=self.options["rate"], weight_decay=5e-4)
            for _ in range(self.steps):
                risks = [cross_entropy(self.model(graph), graph.y, ignore_index=-1) for graph in graphs]
                optimizer.zero_grad()
                torch.stack(risks).mean().backward()
                optimizer.step()
        self.model.eval()
        return self

    def predict_proba(self, target: Graph) -> np.ndarray:
        """(N, C) chances."""
        with torch.no_grad():
            return torch.softmax(self.model(self._tensors(target)), dim=1).numpy()

    def _tensors(self, graph: Graph) -> GraphTensors:
        wide = self.options["words"] == "all"
        return GraphTensors.of(graph, self.encoder.wide(graph) if wide else self.encoder(graph))
