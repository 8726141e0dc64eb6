"""Adaptation of the network to a target: from the meta-parameters, on the support's labels alone."""

from __future__ import annotations

import warnings

import torch
from ninefold.errors import InputError
from torch import Tensor
from torch.func import functional_call

from mldgg.paper._loop import ExplodedError, Params, loss_of, trajectory
from mldgg.paper._network import Network, Output, is_own
from mldgg.paper._settings import Settings
from mldgg.paper._tensors import GraphTensors
from mldgg.paper._train import new_network

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
            raise InputError(
                "support", got="no label", expected="one of each class: features or classes are not the sources'",
                where=f"graph {graph.name!r}",
            )  # fmt: skip
        made = new_network(graph.width, graph.classes, settings, seed)
        own = {name: one.detach().clone() for name, one in made.named_parameters() if is_own(name)}
        params |= own
        _train_own(network, params, own, graph, support, seed)
    if not support.numel():
        return params
    try:
        moved = trajectory(
            params, lambda now: loss_of(network, now, graph, support, seed),
            steps=steps, rate=settings.adapt_lr, graph=graph.name,
        )  # fmt: skip
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
