from __future__ import annotations

import random
import sys

import numpy as np
import pytest
import torch
from ninefold.errors import InputError
from ninefold.seeding import seed_everything


def draws():
    return random.random(), float(np.random.random()), float(torch.rand(1)), float(torch.randn(1))


def test_same_seed_gives_the_same_numbers_everywhere_and_another_gives_others():
    seed_everything(3)
    first = draws()
    seed_everything(3)
    again = draws()
    seed_everything(2**32 - 1)
    other = draws()
    assert first == again
    assert all(one != two for one, two in zip(first, other, strict=True))


def test_libraries_that_are_not_imported_are_left_alone(monkeypatch):
    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.delitem(sys.modules, "numpy")
    seed_everything(3)
    assert not {"torch", "numpy"} & set(sys.modules)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seed_out_of_range_is_refused(seed):
    with pytest.raises(InputError, match=f"seed: got {seed}, expected a number from 0"):
        seed_everything(seed)
