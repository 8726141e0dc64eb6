"""Several processes as one, as torchrun starts them. `launched` and `first` read the environment, without torch."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

_VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # torchrun sets them for each process


def launched() -> int:
    """Number of processes that torchrun started, this one included; 1 without it.

    Examples:
        >>> from ninefold.distributed import launched

        >>> launched()  # processes that torchrun started
        1
    """
    return int(os.environ["WORLD_SIZE"]) if all(name in os.environ for name in _VARIABLES) else 1


def first() -> bool:
    """True in the process that writes files: the first, or the only one.

    Examples:
        >>> from ninefold.distributed import first

        >>> first()  # this process writes the files
        True
    """
    return launched() == 1 or int(os.environ["RANK"]) == 0


def place() -> tuple[int, int]:
    """(rank, number of processes) of the group that this process has joined; (0, 1) for a process by itself."""
    import torch.distributed as dist

    return (dist.get_rank(), dist.get_world_size()) if dist.is_available() and dist.is_initialized() else (0, 1)


@contextlib.contextmanager
def joined(device: str = "cpu") -> Iterator[tuple[int, int]]:
    """Join the processes that torchrun started, if it did, and leave them at the end; yields `place()`.

    Uses NCCL for CUDA devices, of which each process takes the one that torchrun gave it, else gloo.
    """
    import torch
    import torch.distributed as dist

    if launched() == 1 or not dist.is_available() or dist.is_initialized():
        yield place()
        return
    cuda = device.startswith("cuda")
    if cuda:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    dist.init_process_group("nccl" if cuda else "gloo")
    try:
        yield place()
    finally:
        dist.destroy_process_group()
