"""The inner loop on a support and the gradient of the query loss through it (algorithm 1 of the publication)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.func import functional_call

from mldgg.paper._network import Network
from mldgg.paper._tensors import GraphTensors

Params = dict[str, Tensor]
_NO_COVARIANCE = torch.linalg.LinAlgError  # pyright: ignore[reportPrivateImportUsage]
_CEILING = 1e6  # an inner loss above it has exploded


class ExplodedError(ArithmeticError):
    """An inner loss that is no longer a number, or beyond all measure.

    Args:
        graph: name of the graph.
        step: inner step, from 0.
        loss: its value.
    """

    def __init__(self, graph: str, step: int, loss: float) -> None:
        super().__init__(f"inner loss of graph {graph!r} is {loss:.3g} at step {step}")


def loss_of(network: Network, params: Mapping[str, Tensor], graph: GraphTensors, nodes: Tensor, seed: int) -> Tensor:
    """Training loss over `nodes` with `params` in place of the network's own."""
    return functional_call(network, dict(params), (graph, nodes, seed, True))


def trajectory(
    params: Params, loss: Callable[[Params], Tensor], *, steps: int, rate: float, order: int = 1, graph: str = ""
) -> Params:
    """Parameters after `steps` of gradient descent.

    Args:
        params: start; with order 2 the result is differentiable in them.
        loss: of parameters; the same function at each step, so that dropout masks stay.
        steps, rate: of the descent.
        order: 1 drops second derivatives.
        graph: for the message if the loss explodes.
    Raises: ExplodedError.
    """
    fast = params if order == 2 else _leaves(params)
    for step in range(steps):
        value = _sound(lambda now=fast: loss(now), graph, step)
        gradients = torch.autograd.grad(value, list(fast.values()), create_graph=order == 2, allow_unused=True)
        pairs = zip(fast.items(), gradients, strict=True)
        moved = {name: one if gradient is None else one - rate * gradient for (name, one), gradient in pairs}
        fast = moved if order == 2 else _leaves(moved)
    return fast


def _leaves(params: Params) -> Params:
    return {name: one.detach().requires_grad_() for name, one in params.items()}


def _sound(loss: Callable[[], Tensor], graph: str, step: int) -> Tensor:
    """The loss; ExplodedError where it is no number, or beyond all measure."""
    try:
        value = loss()
    except _NO_COVARIANCE:
        raise ExplodedError(graph, step, float("inf")) from None
    if not (torch.isfinite(value) and value.detach().abs() < _CEILING):
        raise ExplodedError(graph, step, float(value.detach()))
    return value


def episode_gradient(
    network: Network, params: Params, graph: GraphTensors, support: Tensor, query: Tensor, *,
    steps: int, rate: float, order: int, seed: int,
) -> tuple[Tensor, Params]:  # fmt: skip
    """Query loss after the inner loop, and its gradient by parameter: all parameters move in the inner loop.

    With order 1 the gradient is taken at the end of the trajectory, with order 2 through it. `seed` gives pivots and
    dropout masks of the whole episode; support and query are (n,) node indices.
    """
    start, how = _leaves(params), {"steps": steps, "rate": rate, "order": order, "graph": graph.name}
    fast = trajectory(start, lambda now: loss_of(network, now, graph, support, seed), **how)
    value = _sound(lambda: loss_of(network, fast, graph, query, seed), graph.name, steps)
    with_respect_to = start if order == 2 else fast
    gradients = torch.autograd.grad(value, list(with_respect_to.values()), allow_unused=True)
    pairs = zip(params.items(), gradients, strict=True)
    return value.detach(), {name: torch.zeros_like(one) if slope is None else slope for (name, one), slope in pairs}
