"""Results that are kept by the identity of what they were made of: trials of a search share inputs and hops."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")


class Kept:
    """The last `size` results. The objects of a key are kept, so that no identity is given to another object.

    Examples:
        >>> from ninefold_graphs import Kept
        >>> kept, made = Kept(2), []
        >>> for _ in range(2):
        ...     kept((made,), "sum", lambda: made.append(1))
        >>> made
        [1]
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._held: OrderedDict[Hashable, tuple[tuple[Any, ...], Any]] = OrderedDict()

    def __call__(self, objects: tuple[Any, ...], values: Hashable, make: Callable[[], T]) -> T:
        """The result for these very objects and equal values, made now if it is not kept."""
        key = (tuple(map(id, objects)), values)
        if key not in self._held:
            self._held[key] = (objects, make())
        self._held.move_to_end(key)
        while len(self._held) > self._size:
            self._held.popitem(last=False)
        return self._held[key][1]
