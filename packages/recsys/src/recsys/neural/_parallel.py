"""One model in several processes, as torchrun starts them: each takes its share of every batch, gradients are added."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from ninefold.distributed import launched
from torch import Tensor, nn
from torch import distributed as dist

from recsys.neural._checkpoint import Checkpoint


@dataclass(frozen=True)
class Group:
    """This process among those that train together: number `rank` of `size`, who meet on `wire`, a process group."""

    rank: int = 0
    size: int = 1
    wire: Any = None

    @classmethod
    def join(cls, device: str) -> Group:
        """Meet the processes that torchrun started (gloo, or NCCL on CUDA devices, one each); alone without it."""
        if not dist.is_available() or not (dist.is_initialized() or launched() > 1):
            return cls()
        cuda = device.startswith("cuda")
        if cuda:
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        if not dist.is_initialized():
            dist.init_process_group("nccl" if cuda else "gloo")
        return cls(dist.get_rank(), dist.get_world_size(), dist.group.WORLD)

    def share(self, target: np.ndarray) -> tuple[slice, float]:
        """(this process's rows of a batch, the share that their steps are of all); target (rows, steps), -1: no step.

        The processes' mean losses, times these shares, add up to the mean over the batch.
        """
        mine = slice(self.rank, None, self.size)
        return mine, float((target[mine] >= 0).sum() / max((target >= 0).sum(), 1)) if self.size > 1 else 1.0

    def add_gradients(self, net: nn.Module) -> None:
        """Replace the gradients by their sums over the processes."""
        if self.size == 1:
            return
        parameters = list(net.parameters())
        flat = torch.cat([(torch.zeros_like(one) if one.grad is None else one.grad).ravel() for one in parameters])
        self.wire.allreduce([flat], dist.ReduceOp.SUM).wait()
        start = 0
        for one in parameters:
            one.grad = flat[start : start + one.numel()].view_as(one).clone()
            start += one.numel()

    def same(self, array: np.ndarray, device: str = "cpu") -> np.ndarray:
        """The first process's array, in all of them."""
        if self.size == 1:
            return array
        held: Tensor = torch.from_numpy(np.array(array)).to(device)
        self.wire.broadcast(held, 0).wait()
        return held.cpu().numpy()


class SharedCheckpoint(Checkpoint):
    """A checkpoint that the first process keeps, from which all resume."""

    def __init__(self, own: Checkpoint, group: Group, like: dict[str, np.ndarray], device: str) -> None:
        """own: where it lies; like: arrays of the names, shapes and kinds that it holds."""
        super().__init__(own.path, own.key)
        self.group, self.like, self.device = group, like, device

    def restore(self) -> tuple[int, dict[str, np.ndarray]]:
        """See `Checkpoint.restore`."""
        epochs, arrays = super().restore() if self.group.rank == 0 else (0, {})
        epochs = int(self.group.same(np.array([epochs]), self.device)[0])
        if not epochs:
            return 0, {}
        return epochs, {name: self.group.same(arrays.get(name, one), self.device) for name, one in self.like.items()}

    def save(self, epochs: int, arrays: dict[str, np.ndarray]) -> None:
        """See `Checkpoint.save`."""
        if self.group.rank == 0:
            super().save(epochs, arrays)

    def remove(self) -> None:
        """See `Checkpoint.remove`."""
        if self.group.rank == 0:
            super().remove()
