"""Several processes as one: gradients are averaged before they enter any history. Works under torchrun (gloo, nccl).

All processes count alike: where parts of a batch are of unequal size, losses are weighted before the backward pass.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn


@contextlib.contextmanager
def joined() -> Iterator[None]:
    """Join the other processes that torchrun started, if it started any."""
    if launched() < 2 or not dist.is_available() or dist.is_initialized():
        yield
        return
    dist.init_process_group("gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def launched() -> int:
    """How many processes torchrun started, this one included."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def size() -> int:
    """How many processes take part."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Number of this process, from 0; the first writes."""
    return dist.get_rank() if active() else 0


def active() -> bool:
    """Whether more than one process takes part."""
    return size() > 1


def average(tensors: Sequence[Tensor]) -> None:
    """Average tensors over the processes, in place, as one message."""
    if not active() or not tensors:
        return
    flat = torch.cat([one.reshape(-1) for one in tensors])
    dist.all_reduce(flat)
    flat /= size()
    for one, values in zip(tensors, flat.split([one.numel() for one in tensors]), strict=True):
        one.copy_(values.view_as(one))


def broadcast(module: nn.Module) -> None:
    """Give every process the parameters and buffers of the first."""
    if active():
        with torch.no_grad():
            for tensor in (*module.parameters(), *module.buffers()):
                dist.broadcast(tensor, 0)
