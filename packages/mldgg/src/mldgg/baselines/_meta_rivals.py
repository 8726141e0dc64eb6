"""Meta-learning on the plain classifier: MLDG, first-order MAML and Reptile."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.func import functional_call

from mldgg.baselines._trained import SPACE, Trained, risk
from mldgg.domains import split_support
from mldgg.encoders import GraphTensors, Masks


class Mldg(Trained):
    """L_train(theta) + beta L_test(theta - alpha grad L_train): one source, in turn, plays the unseen one."""

    name = "mldg"
    source = "AAAI 2018, arXiv 1710.03463"
    space: ClassVar[dict[str, tuple[Any, ...]]] = {**SPACE, "alpha": (0.01, 0.1)}
    beta: ClassVar[float] = 1.0

    def loss(self, masks: Masks) -> Tensor:
        """Both losses; with one source it is its risk twice."""
        params: dict[str, Tensor] = dict(self.model.named_parameters())
        held = self.step % len(self.graphs)
        others = [graph for number, graph in enumerate(self.graphs) if number != held] or self.graphs
        train = torch.stack([risk(functional_call(self.model, params, (one, masks)), one) for one in others]).mean()
        found = torch.autograd.grad(train, list(params.values()), create_graph=True, allow_unused=True)
        moved = {
            name: one if gradient is None else one - self.options["alpha"] * gradient
            for (name, one), gradient in zip(params.items(), found, strict=True)
        }
        graph = self.graphs[held]
        return train + self.beta * risk(functional_call(self.model, moved, (graph, masks)), graph)


class _Episodic(Trained):
    """Inner steps on a support of a source, from the classifier's parameters."""

    space: ClassVar[dict[str, tuple[Any, ...]]] = {**SPACE, "inner": (0.1, 0.01)}
    inner_steps: ClassVar[int] = 3
    warm: ClassVar[int] = 60  # steps of plain training first

    def _episode(self, graph: GraphTensors, masks: Masks) -> tuple[dict[str, Tensor], GraphTensors]:
        """(parameters after the inner steps, the graph with its query labels)."""
        split = split_support(graph.y.numpy(), ratio=0.2, seed=self.seed * 1009 + self.step)
        support, query = (_labelled(graph, torch.from_numpy(mask)) for mask in (split.support, split.query))
        fast = {name: one.detach().clone() for name, one in self.model.named_parameters()}
        for _ in range(self.inner_steps):
            fast = {name: one.detach().requires_grad_() for name, one in fast.items()}
            found = torch.autograd.grad(
                risk(functional_call(self.model, fast, (support, masks)), support),
                list(fast.values()),
                allow_unused=True,
            )
            fast = {
                name: one if gradient is None else one - self.options["inner"] * gradient
                for (name, one), gradient in zip(fast.items(), found, strict=True)
            }
        return {name: one.detach().requires_grad_() for name, one in fast.items()}, query

    def loss(self, masks: Masks) -> Tensor:
        """A surrogate whose gradient is the method's update."""
        if self.step < self.warm:
            return super().loss(masks)
        total = torch.zeros(())
        for graph in self.graphs:
            fast, query = self._episode(graph, masks)
            for (name, one), update in zip(
                self.model.named_parameters(), self._updates(fast, query, masks), strict=True
            ):
                del name
                total = total + (one * update).sum() / len(self.graphs)
        return total

    def _updates(self, fast: dict[str, Tensor], query: GraphTensors, masks: Masks) -> list[Tensor]:
        raise NotImplementedError


class Fomaml(_Episodic):
    """The query's gradient at the end of the inner steps."""

    name = "fomaml"
    source = "ICML 2017, arXiv 1703.03400"

    def _updates(self, fast: dict[str, Tensor], query: GraphTensors, masks: Masks) -> list[Tensor]:
        value = risk(functional_call(self.model, fast, (query, masks)), query)
        found = torch.autograd.grad(value, list(fast.values()), allow_unused=True)
        pairs = zip(fast.values(), found, strict=True)
        return [torch.zeros_like(one) if gradient is None else gradient for one, gradient in pairs]


class Reptile(_Episodic):
    """The way from the parameters to the end of the inner steps."""

    name = "reptile"
    source = "arXiv 1803.02999"

    def _updates(self, fast: dict[str, Tensor], query: GraphTensors, masks: Masks) -> list[Tensor]:
        start = [one.detach() for one in self.model.parameters()]
        pairs = zip(start, fast.values(), strict=True)
        return [(one - end.detach()) / self.options["inner"] for one, end in pairs]


def _labelled(graph: GraphTensors, keep: Tensor) -> GraphTensors:
    y = torch.where(keep, graph.y, -1)
    return GraphTensors(graph.name, graph.x, graph.hop, graph.edge_index, graph.edge_weight, y, graph.classes)
