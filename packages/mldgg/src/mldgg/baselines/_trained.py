"""Rivals that are trained: one network, one loop, one fine-tuning; each fills in the loss over the sources."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
import torch
from ninefold_graphs import Graph, InputEncoder
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from mldgg.baselines._ridges import same_task
from mldgg.domains import Method
from mldgg.encoders import GraphTensors, Masks, Sparse

HIDDEN, DROPOUT = 64, 0.5
WORDS = ("directions", "all")  # input: 128 directions of the words, or all of them
SPACE: dict[str, tuple[Any, ...]] = {
    "hops": (6, 0), "rate": (0.01, 0.003), "words": WORDS, "tune_rate": (0.01, 0.1),
}  # fmt: skip


class Classifier(nn.Module):
    """Two GCN layers, or two layers and then `hops` steps of personalised PageRank (restart .1), and a linear head."""

    def __init__(self, width: int, classes: int, hops: int) -> None:
        super().__init__()
        self.hops = hops
        self.first, self.second = nn.Parameter(torch.empty(width, HIDDEN)), nn.Parameter(torch.empty(HIDDEN, HIDDEN))
        nn.init.xavier_uniform_(self.first)
        nn.init.xavier_uniform_(self.second)
        self.norms = nn.ModuleList([nn.LayerNorm(HIDDEN) for _ in range(2)])
        self.head = nn.Linear(HIDDEN, classes)

    def embed(self, graph: GraphTensors, masks: Masks) -> Tensor:
        """(N, HIDDEN)."""
        if isinstance(graph.x, Sparse):  # dropping entries of a product's factor would change the matrix: drop columns
            z = graph.x @ (masks(torch.ones_like(self.first[:, :1]), 0) * self.first)
        else:
            z = masks(graph.x, 0) @ self.first
        z = torch.relu(self.norms[0](z if self.hops else graph.hop @ z))
        z = masks(z, 1) @ self.second
        if not self.hops:
            return torch.relu(self.norms[1](graph.hop @ z))
        start = z = self.norms[1](z)
        for _ in range(self.hops):
            z = 0.9 * (graph.hop @ z) + 0.1 * start
        return torch.relu(z)

    def forward(self, graph: GraphTensors, masks: Masks) -> Tensor:
        """(N, C) scores."""
        return self.head(self.embed(graph, masks))


class Trained(Method):
    """A classifier trained on all sources, fine-tuned on the target's labels where there are some.

    Attributes:
        steps: of Adam on the sources. tune_steps: of gradient descent on the support.
        finetunes: whether the target's labels are used.
    """

    space: ClassVar[dict[str, tuple[Any, ...]]] = SPACE
    steps: ClassVar[int] = 100
    tune_steps: ClassVar[int] = 10
    finetunes: ClassVar[bool] = True

    def fit(self, sources: Sequence[Graph]) -> Self:
        """Train for `steps`; dropout masks and all draws follow from the seed."""
        same_task(self.name, sources)
        self.encoder = InputEncoder.fit(sources)
        self.graphs = [GraphTensors.of(graph, self.input_of(graph)) for graph in sources]
        self.sources = list(sources)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            self.model = Classifier(self.graphs[0].width, self.graphs[0].classes, self.options.get("hops", 6))
            self.prepare()
            parameters = [*self.model.parameters(), *self.more_parameters()]
            optimizer = torch.optim.Adam(parameters, lr=self.options.get("rate", 0.01), weight_decay=5e-4)
            for step in range(self.steps):
                self.step = step
                loss = self.loss(Masks(self.seed * 100_003 + step, DROPOUT))
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        del self.graphs, self.sources
        return self

    def input_of(self, graph: Graph) -> Any:
        """What the classifier sees of a graph."""
        return self.encoder.wide(graph) if self.options.get("words") == "all" else self.encoder(graph)

    def prepare(self) -> None:
        """What a rival makes before training."""

    def more_parameters(self) -> list[nn.Parameter]:
        """What it trains beside the classifier."""
        return []

    def loss(self, masks: Masks) -> Tensor:
        """The loss of one step: the mean risk over sources."""
        return torch.stack(self.risks(masks)).mean()

    def risks(self, masks: Masks) -> list[Tensor]:
        """Cross-entropy of each source."""
        return [risk(self.model(graph, masks), graph) for graph in self.graphs]

    def predict_proba(self, target: Graph) -> np.ndarray:
        """(N, C) chances, after fine-tuning a copy of the parameters if there are labels."""
        graph = GraphTensors.of(target, self.input_of(target))
        params = {name: one.detach().clone() for name, one in self.model.named_parameters()}
        if self.finetunes and (target.y >= 0).any():
            params = self.finetuned(params, graph)
        with torch.no_grad():
            return torch.softmax(torch.func.functional_call(self.model, params, (graph, Masks())), dim=1).numpy()

    def finetuned(self, params: dict[str, Tensor], graph: GraphTensors) -> dict[str, Tensor]:
        """Parameters after gradient descent on the support."""
        for _ in range(self.tune_steps):
            params = {name: one.detach().requires_grad_() for name, one in params.items()}
            loss = risk(torch.func.functional_call(self.model, params, (graph, Masks())), graph)
            found = torch.autograd.grad(loss, list(params.values()), allow_unused=True)
            rate = self.options.get("tune_rate", 0.01)
            params = {
                name: one if gradient is None else one - rate * gradient
                for (name, one), gradient in zip(params.items(), found, strict=True)
            }
        return {name: one.detach() for name, one in params.items()}


def risk(scores: Tensor, graph: GraphTensors, weight: Tensor | None = None) -> Tensor:
    """Cross-entropy over labelled nodes, (N,) weights if given."""
    known = graph.y >= 0
    losses = cross_entropy(scores[known], graph.y[known], reduction="none")
    return losses.mean() if weight is None else (losses * weight[known]).sum() / weight[known].sum()


class Erm(Trained):
    """Pooled training; the target's labels unused."""

    name = "erm"
    source = "empirical risk minimisation"
    space: ClassVar[dict[str, tuple[Any, ...]]] = {"hops": (6, 0), "rate": (0.01, 0.003), "words": WORDS}
    finetunes = False


class ErmFineTune(Trained):
    """Pooled training, then gradient descent on the target's labels."""

    name = "erm+finetune"
    source = "empirical risk minimisation"
