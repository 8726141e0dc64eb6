"""Several processes as one: gradients are averaged before they enter any history. Works under torchrun (gloo, nccl)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn


def active() -> bool:
    """Whether more than one process takes part."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def average(tensors: Sequence[Tensor]) -> None:
    """Average tensors over the processes, in place, as one message."""
    if not active() or not tensors:
        return
    flat = torch.cat([one.reshape(-1) for one in tensors])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for one, values in zip(tensors, flat.split([one.numel() for one in tensors]), strict=True):
        one.copy_(values.view_as(one))


def broadcast(module: nn.Module) -> None:
    """Give every process the parameters and buffers of the first."""
    if active():
        with torch.no_grad():
            for tensor in (*module.parameters(), *module.buffers()):
                dist.broadcast(tensor, 0)
