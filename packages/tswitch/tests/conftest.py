"""What several tests of merging stand on."""

from __future__ import annotations

import pytest
import torch

from .checkpoints import BASE, MODELS, save_folder


@pytest.fixture
def folders(tmp_path):
    """A base in two shards and three models, each in another layout."""
    base = save_folder(tmp_path / "base", BASE, shards=2)
    first = save_folder(tmp_path / "m0", MODELS[0], shards=3)
    second = save_folder(tmp_path / "m1", MODELS[1])
    (tmp_path / "m2").mkdir()
    torch.save(MODELS[2], tmp_path / "m2" / "pytorch_model.bin")
    return base, [first, second, tmp_path / "m2"]
