"""BatchNorm statistics measured anew under a switch, before it is stored.

A switch keeps the fine-tuned model's running means and variances. They describe the activations of the fine-tuned
weights; a ternary difference gives slightly other ones, layer upon layer, and a deep net of depthwise convolutions
drifts far from what its statistics say. A few batches of training inputs, without labels, put that right. (Ours; the
repair is known from low-precision networks and weight averaging, e.g. Izmailov 2018, section 3.2.)
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any

import torch
from ninefold.errors import InputError
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from tswitch.bank._bank import SwitchBank
from tswitch.bank._slots import find_slots
from tswitch.bank._task import match
from tswitch.switch._switch import Switch

_STATISTICS = ("running_mean", "running_var")


@torch.no_grad()
def recalibrate(
    switch: Switch, model: nn.Module, batches: Iterable[Any], forward: Callable[[nn.Module, Any], object] | None = None
) -> Switch:
    """A switch whose stored BatchNorm statistics are those of its own weights: the mean over `batches`.

    Args:
        switch: one made from a model with BatchNorm layers.
        model: the base model; it is copied, not changed.
        batches: inputs as in training, 500 to 1,000 rows in all; no labels.
        forward: how the model takes a batch; by default `model(batch)`.
    Returns:
        A new Switch in memory, with the same ternary tensors; `save_pretrained` stores it.
    Raises:
        InputError: a model without BatchNorm statistics of the switch's, another base, no batches.

    Examples:
        >>> import copy
        >>> import torch
        >>> from tswitch import Switch, recalibrate

        >>> draw = torch.manual_seed(0)
        >>> base = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.BatchNorm1d(8)).eval()
        >>> tuned = copy.deepcopy(base)
        >>> with torch.no_grad():
        ...     for one in tuned.parameters():
        ...         change = one.add_(0.3 * torch.randn(one.shape, generator=draw))
        ...     change = tuned[1].running_mean.add_(1.0)

        >>> switch = Switch.from_checkpoints(base, tuned, alpha=0.6)
        >>> better = recalibrate(switch, base, [torch.randn(256, 8, generator=draw) for _ in range(4)])
        >>> torch.equal(better.dense["1.running_mean"], switch.dense["1.running_mean"])
        False
    """
    live = copy.deepcopy(model)
    bank = SwitchBank(live)
    bank.add("task", switch)
    bank.activate("task")
    live.eval()  # dropout and the like stay off
    layers = {
        name: layer
        for name, layer in live.named_modules()
        if isinstance(layer, _BatchNorm) and layer.track_running_stats
    }
    for layer in layers.values():
        layer.reset_running_stats()
        layer.momentum = None  # the plain mean over batches
        layer.train()
    prefix = _prefix(switch, live)
    seen = 0
    for batch in batches:
        if forward is None:
            live(batch)
        else:
            forward(live, batch)
        seen += 1
    if not layers or not seen:
        got = "no batch" if layers else "a model without BatchNorm layers that keep statistics"
        raise InputError("recalibration", got=got, expected="BatchNorm statistics and at least one batch of inputs")
    measured = {
        f"{name}.{part}".removeprefix(prefix): value.clone()
        for name, layer in layers.items()
        for part in _STATISTICS
        if f"{name}.".startswith(prefix) and isinstance(value := getattr(layer, part), Tensor)
    }
    return switch.with_dense(measured)


def _prefix(switch: Switch, model: nn.Module) -> str:
    """What the model's names have before the switch's, where it was made from a part of it: "encoder.", or nothing."""
    names = [*switch.names, *switch.dense]
    if not names:
        raise InputError("switch", got="an empty one", expected="one that changes its base")
    slot = match(names, model, find_slots(model))(names[0])
    assert slot is not None  # the bank has taken the switch
    return slot.name.removesuffix(names[0])
