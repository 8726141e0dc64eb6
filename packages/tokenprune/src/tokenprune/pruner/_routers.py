"""The router that a pruner's settings ask for, with a net and without."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from tokenprune.models._layout import Layout
from tokenprune.pruner._config import FTPConfig
from tokenprune.routers._dynamic_router import DynamicRouter, RouterNet
from tokenprune.routers._observation_router import ObservationRouter
from tokenprune.routers._one_pass_router import OnePassNet, OnePassRouter
from tokenprune.routers._static_router import StaticRouter


def observes(config: FTPConfig) -> bool:
    """Whether the router, learnt or not, reads an observation window."""
    return config.router == "observation" or config.scores == "observation"


def new_net(config: FTPConfig, layout: Layout) -> nn.Module | None:
    """The net of a learnt router before training, on the model's device; None for a router that has none."""
    generator = torch.Generator().manual_seed(config.seed)
    net: nn.Module | None = None
    if config.router == "dynamic":
        net = RouterNet(config.hidden, generator=generator, start=config.router_start)
    elif config.router == "one_pass":
        net = OnePassNet(len(layout.blocks), config.hidden, generator, config.router_start)
    return None if net is None else net.to(layout.device)


def untrained(config: FTPConfig, schedule: Sequence[float], *, score_all: bool = False) -> StaticRouter:
    """The router of a schedule that needs no net: of the observation window, or static.

    `score_all` as of `ObservationRouter`.
    """
    if observes(config):
        every = score_all or config.cache_tokens is not None  # each block's cache is chosen by that block's scores
        return ObservationRouter(schedule, config.observation, score_all=every, decode=config.decode)
    return StaticRouter(schedule, config.decode)


def learnt(config: FTPConfig, schedule: Sequence[float], net: nn.Module) -> StaticRouter:
    """The router of a schedule with its net."""
    settings: dict[str, Any] = {"gate": config.gate, "window": config.score_window, "decode": config.decode}
    if isinstance(net, RouterNet):
        observation = config.observation if config.scores == "observation" else None
        return DynamicRouter(schedule, net, observation=observation, **settings)
    assert isinstance(net, OnePassNet)
    return OnePassRouter(schedule, net, read=config.read, **settings)
