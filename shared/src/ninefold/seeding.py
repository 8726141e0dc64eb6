"""One call for all the generators that libraries keep for themselves; our own code is handed a generator."""

from __future__ import annotations

import random
import sys

from ninefold.errors import InputError


def seed_everything(seed: int) -> None:
    """Seed the global generators of Python, and of numpy and torch (all devices) if they are imported.

    Args:
        seed: random seed, 0 to 2^32 - 1, as all three take it.
    """
    if not 0 <= seed < 2**32:
        raise InputError("seed", got=seed, expected="a number from 0 to 2^32 - 1")
    random.seed(seed)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(seed)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)
