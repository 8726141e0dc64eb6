"""The claims' experiments, run here on a small random model and made-up questions: how they go, not what they find."""

from __future__ import annotations

import numpy as np
import pytest
from ninefold_lab import Budget
from tokenprune import datasets, tiny_model
from tokenprune.datasets import Question
from tokenprune_experiments.claims import _claims as claims
from tokenprune_experiments.claims import _long
from tokenprune_experiments.models import _arms, _mixed

QUICK = Budget(seeds=1, minutes=1, form="quick")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the parametrised test keeps its arms: as in a real run, later claims find those of the first."""
    return tmp_path_factory.mktemp("arms")


@pytest.fixture
def small(monkeypatch, tmp_path):
    """A model of six blocks in the place of SmolLM2, the embedded text in the place of WikiText."""
    model, text = tiny_model(num_hidden_layers=6, seed=2), datasets.embedded_text()
    asked = [Question(f"What is {i}?", (f"it is {i}", "it is not"), i % 2) for i in range(40)]
    for module in (_arms, _long, _mixed):
        monkeypatch.setattr(module, "smollm2", lambda: (model, None))
    monkeypatch.setattr(_arms, "_ids", lambda name: datasets.tokens(text, None))
    monkeypatch.setattr(datasets, "questions", lambda name: asked)
    monkeypatch.setattr(claims, "cache_path", lambda package: tmp_path)
    return tmp_path


def arrays(scores):
    return {name: {key: np.asarray(one) for key, one in (value.items() if isinstance(value, dict) else [("", value)])}
            for name, value in scores.items()}  # fmt: skip


def same(one, other):
    one, other = arrays(one), arrays(other)
    return one.keys() == other.keys() and all(
        np.array_equal(one[name][key], other[name][key]) for name in one for key in one[name]
    )


@pytest.mark.parametrize("claim", claims.CLAIMS, ids=lambda claim: claim.id.split("/")[1])
def test_claim_runs_and_its_bars_find_their_arms(claim, small, folder, monkeypatch):
    monkeypatch.setattr(claims, "cache_path", lambda package: folder)
    found = claim.verdict([claim.run(QUICK, 0)])
    assert len(found) >= 1
    assert all(np.isfinite(one.estimate) for one in found)


def test_scored_arms_are_not_fitted_again(small, monkeypatch):
    claim = next(one for one in claims.CLAIMS if one.id.endswith("without-training"))
    found = claim.run(QUICK, 0)
    monkeypatch.setattr(_long, "_scored", lambda *_: pytest.fail("scored again"))
    assert same(found, claim.run(QUICK, 0))


def test_truncation_stands_beside_the_training_free_pruner_at_its_operations(small):
    by_id = {one.id.split("/")[1]: one for one in claims.CLAIMS}
    found = by_id["keeps-early-facts-without-training"].run(QUICK, 0)
    arms = ("observation", "truncation")
    shares = {name: found[f"operations of {name}"] for name in arms}
    assert all(share == pytest.approx(shares["truncation"], abs=0.12) for share in shares.values())
    assert len(found["needle, observation"]) == len(found["name, dense"]) == 2
