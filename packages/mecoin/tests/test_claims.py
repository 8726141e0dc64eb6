"""Claims on tiny graphs: each experiment gives every arm that its bars name, and the arms mean what they say."""

from __future__ import annotations

import numpy as np
import pytest
from mecoin import claims, demo
from mecoin.claims import _arms, _experiments
from mecoin.encoders._encoder import GcnEncoder
from mecoin.evaluation._bench import LEARNERS
from ninefold.proof import Budget

from . import small

QUICK = Budget(1, 1, "quick")
BY_ID = {claim.id: claim for claim in claims.CLAIMS}


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    """Experiments on seven classes, with an encoder that is trained for a moment."""
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path))
    monkeypatch.setattr(_arms, "_runs", {})
    for module in (_arms, _experiments):
        monkeypatch.setattr(module, "stream_of", lambda budget, data, seed, shot=5: small.stream(seed, shot=shot))
    monkeypatch.setattr(GcnEncoder.__init__, "__defaults__", (16, 20, 5e-3, 5e-4))


def test_every_rival_that_a_claim_names_is_there():
    assert {"mecoin+", "mecoin (paper)", *_arms.FREE, *_arms.CONTINUAL} <= set(LEARNERS)


@pytest.mark.parametrize(
    "name",
    ["plus-beats-training-free", "paper-reaches-published-means", "each-part-helps", "old-classes-keep-every-bit"],
)
def test_experiment_gives_every_arm_that_its_bars_name(tiny, name):
    claim = BY_ID[f"mecoin/{name}"]
    scores = claim.run(QUICK, 0)
    comparisons = claim.verdict([scores])
    assert all(np.isfinite(one.estimate) for one in comparisons)


def test_runs_are_shared_between_claims(tiny, monkeypatch):
    _experiments.published(QUICK, 0)
    monkeypatch.setattr(_arms, "run_stream", lambda *_: 1 / 0)
    _experiments.published(QUICK, 0)


def test_more_labels_are_more_labels(tiny, monkeypatch):
    for shot in (1, 10):
        assert all(len(one) == shot for one in _arms.stream_of(QUICK, "CS", 0, shot)[1].support.values())
    monkeypatch.setattr(_experiments, "SETS", {"CS": (5, 1)})
    scores = _experiments.labels(QUICK, 0)
    assert list(scores) == ["K=1", "K=5", "K=10", "K=20"]


def test_old_classes_keep_every_bit(tiny):
    scores = _experiments.unchanged(QUICK, 0)
    assert all((np.asarray(values) == 100).all() for values in scores.values())


def test_ablations_change_what_they_name(tiny, monkeypatch):
    monkeypatch.setattr(_experiments, "SETS", {"CS": (5, 1)})
    scores = _experiments.ablations(QUICK, 0)
    assert len(BY_ID["mecoin/each-part-helps"].verdict([scores])) == 4
    full = np.concatenate(list(scores["full"].values()))
    for label in ("no MeCs", "no GraphInfo"):
        assert not np.allclose(np.concatenate(list(scores[label].values())), full), label


@pytest.mark.slow
def test_demo_shows_sessions_pictures_and_a_gain(monkeypatch, tmp_path):
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path))
    monkeypatch.setattr(demo, "DEMO", small.TINY)
    monkeypatch.setattr(demo, "BASE", 3)
    monkeypatch.setattr(GcnEncoder.__init__, "__defaults__", (16, 20, 5e-3, 5e-4))
    result = demo.demo(0)
    assert "simulated" in result.data
    assert len(result.figures) == 3
    assert "points of mean accuracy" in result.verdict
    assert {"mecoin+", "SGC-NCM", "SGC-LDA"} <= {row[0] for row in result.table.rows}
