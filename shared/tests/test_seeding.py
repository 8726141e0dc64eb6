from __future__ import annotations

import random
import subprocess
import sys

import numpy as np
import pytest
import torch
from ninefold.errors import InputError
from ninefold.seeding import seed_everything


def drawn(seed):
    generator = seed_everything(seed)
    return [generator.random(), random.random(), np.random.rand(), torch.rand(()).item()]


@pytest.mark.parametrize("seed", [0, 1, 2**32 + 1, 2**64 - 1])
def test_same_seed_draws_the_same_everywhere(seed):
    assert drawn(seed) == drawn(seed)


def test_another_seed_draws_otherwise_everywhere():
    assert all(one != other for one, other in zip(drawn(1), drawn(2), strict=True))


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_impossible_seed_is_named(seed):
    with pytest.raises(InputError, match=f"seed: got {seed}"):
        seed_everything(seed)


def test_seeding_does_not_load_torch():
    code = (
        "import sys; from ninefold.seeding import seed_everything as seed; seed(1); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
