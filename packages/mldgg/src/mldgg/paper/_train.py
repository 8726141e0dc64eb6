"""Meta-training: inner loop on a support, the query loss's gradient through it (algorithm 1), epochs of episodes."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call

from mldgg.domains import split_support
from mldgg.paper._network import OWN, Network, is_own
from mldgg.paper._settings import Settings
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
    """Training loss over `nodes` with `params` instead of the network's own."""
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


class Trainer:
    """Parameters, their optimisers and the epoch they are at.

    Args:
        graphs: sources.
        settings: options.
        shared: theta_g and the head are shared too.
        seed: of everything random; what an epoch draws follows from (seed, epoch, graph, episode).
    """

    def __init__(self, graphs: Sequence[GraphTensors], settings: Settings, *, shared: bool, seed: int) -> None:
        self.graphs, self.settings, self.seed, self.epoch = list(graphs), settings, seed, 0
        self.network = new_network(graphs[0].width, graphs[0].classes, settings, seed)
        start = {name: one.detach().clone() for name, one in self.network.named_parameters()}
        self.shared: Params = {name: one for name, one in start.items() if shared or not is_own(name)}
        self.own: list[Params] = [{} for _ in graphs]
        if not shared:
            for number, graph in enumerate(graphs):
                made = new_network(graph.width, graph.classes, settings, seed + 1 + number)
                self.own[number] = {name: one.detach().clone() for name, one in made.named_parameters() if is_own(name)}
        self.optimizers = [self._adam(params) for params in (self.shared, *self.own)]
        self.exploded: ExplodedError | None = None

    def _adam(self, params: Params) -> torch.optim.Optimizer | None:
        """Adam with a rate and decay for each part; None where there is nothing to train."""
        settings, groups = self.settings, []
        for part, rate, decay in (
            (OWN, settings.own_lr, settings.own_decay),
            (("structure.",), settings.outer_lr, settings.weight_decay),
            (("represent.",), settings.outer_lr, settings.causal_decay),
        ):
            some = [one for name, one in params.items() if name.startswith(part)]
            groups += [{"params": some, "lr": rate, "weight_decay": decay}] if some else []
        return torch.optim.Adam(groups) if groups else None

    def run(self, each: Callable[[int, float], None] = lambda *_: None) -> None:
        """Train from the present epoch to the end; `each` is called after every epoch.

        If an inner loss explodes, training stops with a warning that names graph and step, and the parameters are those
        of the last good epoch.
        """
        while self.epoch < self.settings.epochs and self.exploded is None:
            try:
                loss = self._one_epoch()
            except ExplodedError as error:
                self.exploded = error
                hint = f"training stopped, parameters of epoch {self.epoch} are kept (a lower inner_lr may help)"
                warnings.warn(f"{error}, epoch {self.epoch}: {hint}", stacklevel=2)
                return
            self.epoch += 1
            each(self.epoch, loss)

    def _one_epoch(self) -> float:
        """Take a step on all graphs' mean loss; nothing has moved yet if one of them explodes."""
        total, episodes, every = torch.zeros(()), self.settings.episodes, [self.shared, *self.own]
        gradients = [{name: torch.zeros_like(one) for name, one in params.items()} for params in every]
        for number, own in enumerate(self.own):
            for episode in range(episodes):
                loss, found = self._episode(number, episode, {**self.shared, **own})
                total += loss / episodes / len(self.graphs)
                for name, gradient in found.items():
                    gradients[0 if name in self.shared else 1 + number][name] += gradient / episodes
        for optimizer, params, moved in zip(self.optimizers, every, gradients, strict=True):
            if optimizer is not None:
                for name, one in params.items():
                    one.grad = moved[name]
                optimizer.step()
                optimizer.zero_grad()
        return float(total)

    def _episode(self, number: int, episode: int, params: Params) -> tuple[Tensor, Params]:
        graph, settings = self.graphs[number], self.settings
        seed = int(np.random.SeedSequence((self.seed, self.epoch, number, episode)).generate_state(1)[0])
        split = split_support(graph.y.numpy(), ratio=settings.support_ratio, seed=seed)
        support, query = (torch.from_numpy(np.flatnonzero(mask)) for mask in (split.support, split.query))
        how = {"steps": settings.inner_steps, "rate": settings.inner_lr, "order": settings.order, "seed": seed}
        return episode_gradient(self.network, params, graph, support, query, **how)


def new_network(width: int, classes: int, settings: Settings, seed: int) -> Network:
    """A network whose start follows from the seed, whatever was drawn before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Network(width, classes, settings)
