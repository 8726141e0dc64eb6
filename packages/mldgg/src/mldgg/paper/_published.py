"""The published method behind the interface of all methods: meta-train on the sources, adapt to a target.

Adaptation starts from the meta-parameters and sees the support's labels alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import torch
from ninefold.errors import InputError
from ninefold_graphs import Graph
from torch import Tensor
from torch.func import functional_call

from mldgg.domains import Method
from mldgg.paper._network import Network, Output, is_own
from mldgg.paper._settings import Settings, settings_of
from mldgg.paper._tensors import GraphTensors
from mldgg.paper._train import ExplodedError, Params, Trainer, loss_of, new_network, trajectory

_FRESH_STEPS, _FRESH_RATE = 100, 0.01  # of a new theta_g and head, by Adam


def adapt_network(
    network: Network, shared: Params, graph: GraphTensors, settings: Settings, *, steps: int, seed: int
) -> Params:
    """Parameters for the target.

    Args:
        network: template.
        shared: meta-parameters; if theta_g and the head are not among them, new ones are trained first.
        graph: target, labels of the support alone.
        settings: options.
        steps: of gradient descent at `adapt_lr` on all parameters.
        seed: of a new theta_g and head, pivots and masks.
    Raises: InputError without any label where there is no shared head.
    """
    support = (graph.y >= 0).nonzero()[:, 0]
    params = {name: one.detach().clone() for name, one in shared.items()}
    if not any(is_own(name) for name in shared):
        if not support.numel():
            expected = "one of each class: features or classes are not the sources'"
            raise InputError("support", got="no label", expected=expected, where=f"graph {graph.name!r}")
        made = new_network(graph.width, graph.classes, settings, seed)
        own = {name: one.detach().clone() for name, one in made.named_parameters() if is_own(name)}
        params |= own
        _train_own(network, params, own, graph, support, seed)
    if not support.numel():
        return params
    try:
        how = {"steps": steps, "rate": settings.adapt_lr, "graph": graph.name}
        moved = trajectory(params, lambda now: loss_of(network, now, graph, support, seed), **how)
    except ExplodedError as error:
        warnings.warn(f"{error} of the adaptation: the meta-parameters are kept", stacklevel=2)
        return params
    return {name: one.detach() for name, one in moved.items()}


def _train_own(network: Network, params: Params, own: Params, graph: GraphTensors, support: Tensor, seed: int) -> None:
    for one in own.values():
        one.requires_grad_()
    optimizer = torch.optim.Adam(list(own.values()), lr=_FRESH_RATE, weight_decay=5e-4)
    for step in range(_FRESH_STEPS):
        loss = loss_of(network, params, graph, support, seed + step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    for one in own.values():
        one.requires_grad_(False)


def forward(network: Network, params: Params, graph: GraphTensors, seed: int) -> Output:
    """One pass without dropout."""
    with torch.no_grad():
        return functional_call(network, params, (graph, None, seed, False))


class Embedding(NamedTuple):
    """Representations of all nodes: r (N, hidden), s (N, 256) and v (N, 128)."""

    r: np.ndarray
    s: np.ndarray
    v: np.ndarray


class Published(Method):
    """MLDGG as published (KDD 2025, arXiv 2411.12913).

    Args:
        seed: random seed.
        options: see `mldgg.paper.Settings`.
    """

    name = "mldgg-paper"
    source = "KDD 2025, arXiv 2411.12913"
    space: ClassVar[dict[str, tuple[Any, ...]]] = {"inner_lr": (0.01, 0.1, 0.5)}

    def __init__(self, *, seed: int = 0, **options: Any) -> None:
        self.settings, self.seed, self.options = settings_of(**options), seed, options

    def fit(self, sources: Sequence[Graph]) -> Self:
        """Train on labelled graphs; each has a GNN and head of its own, or one for all as `share_gnn` says.

        Raises: InputError for share_gnn=True where features or classes differ.
        """
        first = sources[0]
        alike = all(one.width == first.width and one.classes == first.classes for one in sources)
        if self.settings.share_gnn is True and not alike:
            widths = ", ".join(f"{one.name}: {one.width} features, {len(one.classes)} classes" for one in sources)
            raise InputError("share_gnn", got=f"True with {widths}", expected="equal features and classes")
        shared = alike and self.settings.share_gnn is not False
        trainer = Trainer([GraphTensors.of(graph) for graph in sources], self.settings, shared=shared, seed=self.seed)
        trainer.run()
        self.params = trainer.shared
        return self

    def predict_proba(self, target: Graph) -> np.ndarray:
        """(N, C) class probabilities after gradient steps on the labels that the target shows."""
        return self.outputs(target)[self.settings.answers]

    def outputs(self, target: Graph) -> dict[str, np.ndarray]:
        """(N, C) class probabilities of both class outputs: `gnn`, and `causal`, the same without theta_r."""
        output = self._output(target)
        return {"gnn": output.own.exp().numpy(), "causal": output.log_proba.exp().numpy()}

    def embed(self, target: Graph) -> Embedding:
        """Representations r, s (causes the label) and v (varies with the graph) after adaptation."""
        output = self._output(target)
        if output.latent is None:
            raise InputError("embed", got="a network without a causal learner (s, v)", expected="semantics=True")
        return Embedding(output.r.numpy(), output.latent.s.numpy(), output.latent.v.numpy())

    def edge_weight(self, target: Graph, edge_index: np.ndarray) -> np.ndarray:
        """(E,) share of a message that goes between the two nodes of each pair over the pivots; ones without theta_t.

        edge_index: (2, E) node indices, of any pair.
        """
        b = self._output(target).structure
        if b is None:
            return np.ones(edge_index.shape[1], np.float32)
        rows, columns = b.sum(dim=1).clamp(min=1e-12), b.sum(dim=0).clamp(min=1e-12)
        i, j = torch.from_numpy(edge_index)
        found = [((b[i[k]] / columns * b[j[k]]).sum(dim=1)) for k in torch.arange(i.numel()).split(65_536)]
        return (torch.cat([torch.zeros(0), *found]) * (1 / rows[i] + 1 / rows[j]) / 2).numpy()

    def _output(self, target: Graph) -> Output:
        graph = GraphTensors.of(target)
        network = new_network(graph.width, graph.classes, self.settings, self.seed)
        steps = self.settings.adapt_steps
        params = adapt_network(network, self.params, graph, self.settings, steps=steps, seed=self.seed)
        return forward(network, params, graph, 0)
