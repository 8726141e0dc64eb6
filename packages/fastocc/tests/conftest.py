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


@pytest.fixture(scope="session")
def without_plain_layers():
    """Makes a network of fewer nodes, each of which costs the exporter time: a convolution for each residual block.

    With `norms` it has no batch norms either. Blocks and batch norms are the same in all networks; the first graph of
    `export/test_export.py` has them.
    """
    import torch
    from fastocc.views._encoder import BasicBlock

    def without(model, norms=True):
        for module in list(model.modules()):
            for name, layer in module.named_children():
                if isinstance(layer, BasicBlock):
                    first = layer.first[0]
                    setattr(module, name, torch.nn.Conv2d(first.in_channels, first.out_channels, 1, first.stride))
                elif norms and isinstance(layer, torch.nn.BatchNorm2d | torch.nn.BatchNorm3d):
                    setattr(module, name, torch.nn.Identity())
        return model

    return without


@pytest.fixture
def no_collections(monkeypatch):
    """A timing collects garbage before each call, which takes longer than the call once many libraries are loaded."""
    monkeypatch.setattr(gc, "collect", int)
