"""Claims on tiny graphs: each experiment gives every arm that its bars name, and the arms mean what they say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from mecoin import demo
from mecoin.encoders._gcn import GcnEncoder
from mecoin.evaluation._compare import LEARNERS
from mecoin.paper._interaction import Interaction
from mecoin.paper._keys import Constructed
from mecoin_experiments import claims
from mecoin_experiments.claims import _experiments
from ninefold_lab import Budget

from . import small

QUICK = Budget(1, 1, "quick")
RUNS = {}  # on the tiny graph, for all tests here
BY_ID = {claim.id: claim for claim in claims.CLAIMS}


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    """Experiments on seven classes, with an encoder that is trained for a moment."""
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path))
    monkeypatch.setattr(_experiments, "_runs", RUNS)
    monkeypatch.setattr(_experiments, "stream_of", lambda budget, data, seed: small.stream(seed))
    run_of = _experiments.run_of  # the same graph stands in for all data sets, and so the same runs
    monkeypatch.setattr(_experiments, "run_of", lambda budget, data, *words, **how: run_of(budget, "CS", *words, **how))
    monkeypatch.setattr(GcnEncoder.__init__, "__defaults__", (16, 20, 5e-3, 5e-4))
    learn, fit = Interaction.learn, Constructed.fit

    def learn_quickly(self, *words):
        return learn(replace(self, base_steps=100, steps=40), *words)

    def fit_quickly(self, *words):
        self.settings = replace(self.settings, steps=30)
        fit(self, *words)

    monkeypatch.setattr(Interaction, "learn", learn_quickly)
    monkeypatch.setattr(Constructed, "fit", fit_quickly)


def test_every_rival_that_a_claim_names_is_there():
    assert {"mecoin+", *_experiments.CONTROLS} <= set(LEARNERS)
    assert {_experiments.PAPER, "Fine-tune", "LwF", "EWC", "MAS", "TWP", "ER-GNN", "GEM"} == set(_experiments.OWN)


@pytest.mark.parametrize(
    "name",
    [
        "plus-beats-its-controls",
        "paper-needs-its-parts",
        "paper-beats-continual-rivals",
        "plus-knows-what-it-does-not-know",
    ],
)
def test_experiment_gives_every_arm_that_its_bars_name(tiny, name):
    claim = BY_ID[f"mecoin/{name}"]
    scores = claim.run(QUICK, 0)
    comparisons = claim.verdict([scores])
    assert all(np.isfinite(one.estimate) for one in comparisons)


def test_arms_show_base_novel_and_harmonic_accuracy(tiny):
    scores, shown = _experiments.plus(QUICK, 0), ("base", "novel", "harmonic", "drop", "forgetting", "runs collapsed")
    for name in ("mecoin+", *_experiments.CONTROLS):
        assert {f"{name}: {one}" for one in shown} <= set(scores)


def test_runs_are_shared_between_claims(tiny, monkeypatch):
    _experiments.plus(QUICK, 0)
    monkeypatch.setattr(_experiments, "run_stream", lambda *_: 1 / 0)
    _experiments.plus(QUICK, 0)


def test_ablations_change_what_they_name(tiny):
    scores = _experiments.paper(QUICK, 0)
    full = np.concatenate(list(scores["full"].values()))
    for label in ("no GraphInfo", "no GKIM", "no replay"):
        assert not np.allclose(np.concatenate(list(scores[label].values())), full), label


def test_controls_are_tuned_on_the_encoder_that_is_chosen_for_the_method(monkeypatch):
    asked = []
    monkeypatch.setattr(_experiments, "stream_of", lambda *_: small.stream())

    def tuned(kind, *_, grid=None, **__):
        asked.append((kind.name, grid))
        return {"encoder": "gcn", "shrinkage": 0.1} if kind.name == "mecoin+" else dict((grid or kind.grid)[0])

    monkeypatch.setattr(_experiments, "tuned", tuned)
    _experiments.settings_of.cache_clear()
    assert _experiments.settings_of(QUICK, "CS", "LDA + EM") == {"encoder": "gcn", "shrinkage": 0.01}
    assert [name for name, _ in asked] == ["mecoin+", "LDA + EM"]
    assert len(asked[1][1]) == len(LEARNERS["mecoin+"].grid)
    _experiments.settings_of.cache_clear()


@pytest.mark.slow
def test_demo_shows_sessions_pictures_and_a_gain(monkeypatch, tmp_path):
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path))
    monkeypatch.setattr(demo, "DEMO", small.TINY)
    monkeypatch.setattr(demo, "BASE", 3)
    monkeypatch.setattr(GcnEncoder.__init__, "__defaults__", (16, 20, 5e-3, 5e-4))
    result = demo.demo(0)
    assert "simulated" in result.data
    assert len(result.figures) == 4
    assert result.arms.text("mecoin+") in result.arms.headline()
    assert {"mecoin+", "SGC-NCM", "SGC-LDA"} <= {row[0].removesuffix(" (collapsed)") for row in result.table.rows}
    assert result.arms.word in ("better", "equal", "worse", "no difference")
    assert all((result.looking_at, result.arms.measured, result.arms.rival))
    assert "session" in result.glossary
