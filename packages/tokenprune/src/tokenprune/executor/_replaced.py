"""What is changed in a model while one of its blocks runs under the executor, and comes back after it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import torch
from torch import Tensor

_LOCK = threading.Lock()
_NONE = object()
_USED: dict[tuple[int, str], tuple[Any, int]] = {}  # what stood there before, and how many are inside `replaced`
_TOKENS = 256  # of a feed-forward at a time


@contextlib.contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """An object's own attribute has this value inside.

    Several threads may be inside: the first one in puts it there, the last one out puts back what was there before.
    """
    held = contextlib.nullcontext() if torch.compiler.is_compiling() else _LOCK  # no lock can be traced
    key = id(owner), name
    with held:
        before, users = _USED.get(key, (owner.__dict__.get(name, _NONE), 0))
        _USED[key] = before, users + 1
        if users == 0:
            setattr(owner, name, value)
    try:
        yield
    finally:
        with held:
            before, users = _USED.pop(key)
            if users > 1:
                _USED[key] = before, users - 1
            elif before is _NONE:
                delattr(owner, name)
            else:
                setattr(owner, name, before)


def sliced(block: Any, x: Tensor) -> AbstractContextManager[None]:
    """A block's feed-forward takes some of the tokens x (R, n, d) at a time; on a CPU, without gradients.

    What it makes of a token is several times as wide as the token: of a whole prompt, the peak of memory.
    """
    wide = getattr(block, "mlp", None)  # a mixture of experts has no one projection down
    plain = x.device.type == "cpu" and not torch.is_grad_enabled() and not torch.compiler.is_compiling()
    if x.shape[0] * x.shape[1] > _TOKENS and plain and wide is not None and hasattr(wide, "down_proj"):
        return replaced(wide, "forward", partial(_in_parts, wide.forward))
    return contextlib.nullcontext()


def _in_parts(forward: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    parts = [forward(some) for some in x.reshape(1, -1, x.shape[-1]).split(_TOKENS, 1)]
    return torch.cat(parts, 1).view_as(x)
