"""What several test files use; nothing leaves the temporary folder."""

from __future__ import annotations

import functools
import gc
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def street(tmp_path_factory) -> Path:
    """Two training scenes and one validation scene of two frames: 20 x 20 x 8 voxels, six images of 32 x 64."""
    from fastocc import SimConfig, simulate

    return simulate(tmp_path_factory.mktemp("street"), SimConfig(2, 1, 2, "micro", 32, 64, seed=3))


@pytest.fixture(scope="session")
def exporter():
    """The exporter's table of operators, read from their source once and not for each graph, a third of a second each.

    Torch has no public way to pass a table; where its own one moves, each graph reads it anew.
    """
    registration = pytest.importorskip("torch.onnx._internal.exporter._registration")
    pytest.importorskip("onnxscript")
    with pytest.MonkeyPatch.context() as patch:
        kept = functools.cache(registration.ONNXRegistry.from_torchlib)
        patch.setattr(registration.ONNXRegistry, "from_torchlib", staticmethod(kept))
        yield


@pytest.fixture
def no_collections(monkeypatch):
    """A timing collects garbage before each call, which takes longer than the call once many libraries are loaded."""
    monkeypatch.setattr(gc, "collect", int)
