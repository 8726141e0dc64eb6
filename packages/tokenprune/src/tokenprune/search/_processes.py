"""Several processes as one, under torchrun: which of them this is, and what all of them know."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import torch.distributed as distributed

T = TypeVar("T")


def place() -> tuple[int, int]:
    """(rank, number of processes); (0, 1) for a process by itself."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return 0, 1
    return distributed.get_rank(), distributed.get_world_size()


def gathered(own: T) -> list[T]:
    """What each process gives, in order of rank; every process must call it."""
    processes = place()[1]
    if processes == 1:
        return [own]
    found: list[Any] = [None] * processes
    distributed.all_gather_object(found, own)
    return found


def shared(find: Callable[[], T]) -> T:
    """What the first process finds, in all of them."""
    return gathered(find() if place()[0] == 0 else None)[0]  # type: ignore[return-value]


@contextlib.contextmanager
def together() -> Iterator[int]:
    """Join the processes that torchrun started (gloo), if it did; yields this one's rank."""
    alone = int(os.environ.get("WORLD_SIZE", "1")) == 1 or "MASTER_ADDR" not in os.environ
    if alone or not distributed.is_available() or distributed.is_initialized():
        yield place()[0]
        return
    distributed.init_process_group("gloo")
    try:
        yield distributed.get_rank()
    finally:
        distributed.destroy_process_group()
