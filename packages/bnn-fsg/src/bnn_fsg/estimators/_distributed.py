"""Several processes as one: gradients are averaged before they enter any history. Works under torchrun (gloo, nccl).

All processes count alike: where parts of a batch are of unequal size, losses are weighted before the backward pass.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.distributed as dist
from ninefold.distributed import place
from torch import Tensor, nn


def average(tensors: Sequence[Tensor]) -> None:
    """Average tensors over the processes, in place, as one message."""
    processes = place()[1]
    if processes == 1 or not tensors:
        return
    flat = torch.cat([one.reshape(-1) for one in tensors])
    dist.all_reduce(flat)
    flat /= processes
    for one, values in zip(tensors, flat.split([one.numel() for one in tensors]), strict=True):
        one.copy_(values.view_as(one))


def broadcast(module: nn.Module) -> None:
    """Give every process the parameters and buffers of the first."""
    if place()[1] > 1:
        with torch.no_grad():
            for tensor in (*module.parameters(), *module.buffers()):
                dist.broadcast(tensor, 0)
