"""Each claim's quick form gives every arm that its bars name."""

from __future__ import annotations

import numpy as np
import pytest
from mldgg.baselines import Erm
from mldgg.datasets import Simulated
from mldgg.paper import Published
from mldgg_experiments.claims import CLAIMS, _network, _twitch
from mldgg_experiments.datasets import _families
from ninefold_lab import Budget

from .small import QUICK, SMALLER

FORM = Budget(1, 1, "quick")
pytestmark = pytest.mark.filterwarnings("ignore::mldgg.meta.ReadingWarning")


@pytest.fixture(autouse=True)
def tiny(monkeypatch, tmp_path):
    """Graphs of a moment, networks of a few steps."""
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path))
    monkeypatch.setattr(_families, "SMALL", SMALLER)
    monkeypatch.setattr(Erm, "steps", 5)
    monkeypatch.setattr("mldgg.structure._gate.STEPS", 30)
    quick = lambda **options: Published(**{**options, **QUICK})  # noqa: E731
    monkeypatch.setattr(_network, "Published", quick)
    monkeypatch.setattr(_twitch, "languages", lambda form: Simulated(graphs=2, nodes=120, classes=2, words=80).draw(0))


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda one: one.id.split("/")[1])
def test_experiment_gives_every_arm_that_its_bars_name(claim):
    scores = claim.run(FORM, 0)
    assert all(np.isfinite(one.estimate) for one in claim.verdict([scores]))
    if "gated at 5" in scores:
        assert len(scores["gated at 5"]) == len(scores["ungated at 5"]) == 3
        assert np.mean(scores["AUC, gated"]) > 0.6
