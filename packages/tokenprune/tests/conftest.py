"""Small random models, and where the real one and the real texts are."""

from __future__ import annotations

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # read when the hub's client is imported: a test never waits for a network

import pytest
import torch
from tokenprune import Scored, tiny_model

torch.set_num_threads(1)
FAMILIES = ["llama", "mistral", "qwen2", "qwen3", "phi3", "gemma"]


@pytest.fixture(scope="session")
def model():
    """A LLaMA of four blocks; tests must leave it as it is."""
    return tiny_model(seed=1)


@pytest.fixture
def ids():
    return torch.randint(1, 256, (3, 24), generator=torch.Generator().manual_seed(0))


@pytest.fixture
def scored():
    """Six sequences of 33 tokens, four scored in each."""
    draw = torch.randint(1, 256, (6, 33), generator=torch.Generator().manual_seed(3))
    return Scored(list(draw), [4] * 6)
