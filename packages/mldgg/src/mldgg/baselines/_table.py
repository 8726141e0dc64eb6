"""All rivals by name, and ERM: one graph network trained on all sources together."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
import torch
from ninefold_graphs import Graph, InputEncoder
from torch.nn.functional import cross_entropy

from mldgg.baselines._ridges import CentredRidge, TargetRidge, WalkedRidge, same_task
from mldgg.baselines._unlabelled import CorrectAndSmooth, DiscriminantEm, GraphAny, LabelPropagation, SelfTrainedRidge
from mldgg.domains import Method


class Erm(Method):
    """PyG's GCN, trained with Adam on the mean risk of the sources; the target's labels unused.

    Attributes:
        steps: of Adam.
    """

    name = "erm"
    source = "empirical risk minimisation; GCN: ICLR 2017, arXiv 1609.02907"
    space: ClassVar[dict[str, tuple[Any, ...]]] = {"layers": (2, 3), "rate": (0.01, 0.003)}
    steps: ClassVar[int] = 100

    def fit(self, sources: Sequence[Graph]) -> Self:
        """Train for `steps`; dropout and the start follow from the seed."""
        with warnings.catch_warnings(action="ignore"):  # what PyG says at import is not the user's concern
            from torch_geometric.nn import GCN
        same_task(self.name, sources)
        self.encoder = InputEncoder.fit(sources)
        data = [(self._input(graph), torch.from_numpy(graph.y)) for graph in sources]
        width, classes = data[0][0][0].shape[1], len(sources[0].classes)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            self.model = GCN(width, 64, self.options["layers"], classes, dropout=0.5, norm="layer")
            optimizer = torch.optim.Adam(self.model.parameters(), lr=self.options["rate"], weight_decay=5e-4)
            for _ in range(self.steps):
                risks = [cross_entropy(self.model(*inputs), y, ignore_index=-1) for inputs, y in data]
                optimizer.zero_grad()
                torch.stack(risks).mean().backward()
                optimizer.step()
        self.model.eval()
        return self

    def predict_proba(self, target: Graph) -> np.ndarray:
        """(N, C) chances."""
        with torch.no_grad():
            return torch.softmax(self.model(*self._input(target)), dim=1).numpy()

    def _input(self, graph: Graph) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Features, edges and, of a weighted graph, their weights."""
        own = graph.edge_weights()
        weight = None if own is None else torch.from_numpy(own)
        return torch.from_numpy(self.encoder(graph)), torch.from_numpy(graph.edge_index), weight


_FREE = (
    CentredRidge, WalkedRidge, CorrectAndSmooth, SelfTrainedRidge, DiscriminantEm, GraphAny, TargetRidge,
    LabelPropagation,
)  # fmt: skip
TRAINING_FREE: tuple[str, ...] = tuple(one.name for one in _FREE)
BASELINES: dict[str, type[Method]] = {one.name: one for one in (*_FREE, Erm)}
