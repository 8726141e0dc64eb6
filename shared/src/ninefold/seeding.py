"""One seed for everything that draws; generators are passed explicitly to the code that uses them."""

from __future__ import annotations

import random
import sys

import numpy as np

from ninefold.errors import InputError


def seed_everything(seed: int) -> np.random.Generator:
    """Seed python, numpy's legacy state and, if imported, torch; returns a fresh numpy generator of that seed.

    Raises:
        InputError: if `seed` is negative or has more than 64 bits.
    """
    if not 0 <= seed < 2**64:
        raise InputError("seed", got=seed, expected="a whole number from 0 to 2**64 - 1")
    random.seed(seed)
    np.random.seed(seed % 2**32)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)
    return np.random.default_rng(seed)
