"""Several processes as one, under torchrun: what all of them know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch.distributed as distributed
from ninefold.distributed import place

__all__ = ["gathered", "place", "shared"]
T = TypeVar("T")


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
