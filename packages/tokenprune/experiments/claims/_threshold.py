"""An ablation under the published gate: routers that decide by their own threshold, with and without the sparsity.

Where the schedule counts the tokens a block keeps (`gate="topk"`), the sparsity asked is one number for all of a block,
and cannot order its tokens; where the sign of the margin decides, it is what tells a block how many to keep. Such
routers end with operations of their own, so both are shifted, by one number added to every margin, to those of the
static router on text that is not scored.
"""

from __future__ import annotations

import copy

import numpy as np
import torch
from tokenprune.evaluation._evaluate import text_scores
from tokenprune.executor._executor import Executor
from tokenprune.executor._scored import Scored
from tokenprune.routers._dynamic_router import FACTORS, DynamicRouter, RouterNet
from tokenprune.routers._learnt_router import SHARPNESS
from tokenprune.routers._static_router import StaticRouter
from tokenprune.training._train import Training

from ._arms import Arms

HALVINGS = 12  # of an interval of margins 40 wide

Schedule = tuple[float, ...]


def trained_by_threshold(arms: Arms, schedule: Schedule, *, sparsity: bool) -> RouterNet:
    """A router trained by its own sign, which sees the sparsity asked of a block or does not.

    Both start as the static rule; the one that does not see the sparsity, as if each block were asked the mean.
    """
    seen = [one for one in FACTORS if sparsity or one != "sparsity"]
    net = RouterNet(factors=seen, generator=torch.Generator().manual_seed(arms.seed), start="static")
    if not sparsity:
        _add(net, -SHARPNESS * float(np.mean(schedule)))
    router = DynamicRouter(schedule, net, gate="argmax")
    training = Training(arms.layout, router, arms.texts, arms.sizes.threshold, arms.seed, arms.teacher)
    while not training.done:
        training.step()
    return net


def at_operations_of_static(arms: Arms, schedule: Schedule, net: RouterNet, data: Scored) -> Executor:
    """A copy of the net, its margins shifted until `data` takes the operations it takes under the static router."""
    wanted = text_scores(Executor(arms.layout, StaticRouter(schedule)), data).flops
    low, high = -20.0, 20.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        more = text_scores(_shifted(arms, schedule, net, middle), data).flops > wanted
        low, high = (low, middle) if more else (middle, high)
    return _shifted(arms, schedule, net, low)


def _shifted(arms: Arms, schedule: Schedule, net: RouterNet, by: float) -> Executor:
    other = copy.deepcopy(net)
    _add(other, by)
    return Executor(arms.layout, DynamicRouter(schedule, other, gate="argmax"))


@torch.no_grad()
def _add(net: RouterNet, margin: float) -> None:
    net.out.bias.add_(torch.tensor([-margin / 2, margin / 2]))  # skip, compute
