"""Whether this process is one of several that work on the same model, as torchrun starts them; without torch."""

from __future__ import annotations

import os

_SAYS = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # what torchrun tells each process


def started_together() -> bool:
    """True in a process that torchrun started beside others."""
    return all(name in os.environ for name in _SAYS) and int(os.environ["WORLD_SIZE"]) > 1


def first_process() -> bool:
    """True in the process that writes files: the first, or the only one."""
    return not started_together() or int(os.environ["RANK"]) == 0
