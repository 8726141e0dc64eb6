"""Each claim's quick form gives every arm that its bars name."""

from __future__ import annotations

import numpy as np
import pytest
from mldgg_experiments.claims import CLAIMS, _families
from ninefold_lab import Budget

from .small import TINY

FORM = Budget(1, 1, "quick")
pytestmark = pytest.mark.filterwarnings("ignore::mldgg.meta.ReadingWarning")


@pytest.fixture(autouse=True)
def tiny(monkeypatch, tmp_path):
    """Graphs of a moment, a gate of a few steps."""
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path))
    monkeypatch.setattr(_families, "SMALL", TINY)
    monkeypatch.setattr("mldgg.structure._gate.STEPS", 30)


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda one: one.id.split("/")[1])
def test_experiment_gives_every_arm_that_its_bars_name(claim):
    scores = claim.run(FORM, 0)
    assert all(np.isfinite(one.estimate) for one in claim.verdict([scores]))
