"""One small simulated data set for the tests that need frames; nothing leaves the temporary folder."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def street(tmp_path_factory) -> Path:
    """Two training scenes and one validation scene of two frames: 20 x 20 x 8 voxels, six images of 32 x 64."""
    from fastocc import SimConfig, simulate

    return simulate(tmp_path_factory.mktemp("street"), SimConfig(2, 1, 2, "micro", 32, 64, seed=3))
