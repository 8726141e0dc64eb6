"""The claims' experiments, run here on a small random model and made-up questions: how they go, not what they find."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from ninefold_lab import Budget
from tokenprune import Executor, StaticRouter, datasets, tiny_model
from tokenprune.datasets import Question
from tokenprune.evaluation._evaluate import text_scores
from tokenprune.pruner import _pipeline
from tokenprune_experiments.claims import _arms, _long, _stages
from tokenprune_experiments.claims import _claims as claims
from tokenprune_experiments.claims._threshold import at_operations_of_static, trained_by_threshold

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
    for module in (_arms, claims, _long, _stages):
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


def test_claims_share_what_is_fitted_and_go_on_from_it(small, monkeypatch):
    by_id = {one.id.split("/")[1]: one for one in claims.CLAIMS}
    first = by_id["keeps-text-at-30-percent"].run(QUICK, 0)
    kept = {path.relative_to(small).as_posix() for path in small.rglob("ftp_config.json")}
    assert {path.split("/")[-2] for path in kept} == {"trained", "ftp-0.3"}
    monkeypatch.setattr(_arms.TokenPruner, "search", None)  # not called again
    monkeypatch.setattr(_arms.TokenPruner, "fit_router", None)
    assert same(first, by_id["keeps-text-at-30-percent"].run(QUICK, 0))
    by_id["search-beats-fixed-schedules"].run(QUICK, 0)


def test_seeds_differ_and_blockpruner_goes_on_from_the_lower_target(small):
    by_id = {one.id.split("/")[1]: one for one in claims.CLAIMS}
    runs = [by_id["keeps-text-at-23-percent"].run(QUICK, seed) for seed in (0, 1)]
    assert not same(*runs)
    assert same({"": runs[0]["blockpruner"]}, {"": runs[1]["blockpruner"]})
    by_id["keeps-text-at-30-percent"].run(QUICK, 0)
    (path,) = small.rglob("blockpruner.json")
    gone = json.loads(path.read_text())
    assert gone["0.3"][: len(gone["0.233"])] == gone["0.233"]


def test_one_teacher_gives_each_training_what_it_would_ask_itself(small):
    arms = _arms.Arms(0, _arms.QUICK, small)
    logits, states = arms.teacher(1)
    expected, stream = arms.texts.part(1, 2).run(arms.dense)
    assert torch.equal(logits, expected)
    assert torch.equal(states, stream.x[arms.texts.part(1, 2).places])
    assert arms.teacher(1)[0] is logits


def test_a_killed_search_and_a_killed_training_of_an_arm_go_on(small, monkeypatch):
    """Killed at every checkpoint that is written: what is found in the end is what an unbroken run finds."""
    whole = _arms.Arms(0, _arms.QUICK, small / "whole").ftp(0.3)
    broken, written = _arms.Arms(0, _arms.QUICK, small / "broken"), []
    own = _pipeline.write_text, _pipeline.artifacts.save

    def kill(how, at):
        def write(*args, **more):
            how(*args, **more)
            written.append(at)
            raise KeyboardInterrupt

        return write

    monkeypatch.setattr(_pipeline, "write_text", kill(own[0], "search"))
    for _ in range(2):  # the seeds, and the one generation that is bred
        with pytest.raises(KeyboardInterrupt):
            broken.ftp(0.3)
    monkeypatch.setattr(_pipeline, "write_text", own[0])
    with monkeypatch.context() as patch:
        save = kill(own[1], "train")
        training = {"kind": "tokenprune.training"}
        patch.setattr(_pipeline.artifacts, "save", lambda *args, **more: (
            save if training.items() <= more.items() else own[1])(*args, **more))  # fmt: skip
        with pytest.raises(KeyboardInterrupt):
            broken.ftp(0.3)
    again = broken.ftp(0.3)
    assert written == ["search", "search", "train"]
    assert again.schedule == whole.schedule
    for name, value in whole.net.state_dict().items():
        assert torch.equal(value, again.net.state_dict()[name])
    assert not [path for path in small.rglob("*-work") if path.is_dir()]


def test_scored_arms_are_not_fitted_again(small, monkeypatch):
    by_id = {one.id.split("/")[1]: one for one in claims.CLAIMS}
    names = ("answers-better-than-cut-layers", "four-factors-beat-the-hidden-state")
    found = [by_id[name].run(QUICK, 0) for name in names]

    def fit(*_, **__):
        pytest.fail("fitted again")

    for name in ("rival", "ftp", "static"):
        monkeypatch.setattr(_arms.Arms, name, fit)
    monkeypatch.setattr(claims, "Training", fit)
    assert all(same(one, by_id[name].run(QUICK, 0)) for name, one in zip(names, found, strict=True))


@pytest.mark.parametrize("sparsity", [True, False])
def test_a_router_by_threshold_is_shifted_to_the_operations_of_the_static_one(small, sparsity):
    arms = _arms.Arms(0, _arms.sizes_of("quick", windows=4), small)
    schedule, data = (0.1, 0.2, 0.3, 0.3, 0.4, 0.5), arms.calibration.part(0, 4)
    net = trained_by_threshold(arms, schedule, sparsity=sparsity)
    before = [one.clone() for one in net.parameters()]
    found = text_scores(at_operations_of_static(arms, schedule, net, data), data).flops
    wanted = text_scores(Executor(arms.layout, StaticRouter(schedule)), data).flops
    assert 0.97 * wanted < found <= wanted
    assert all(torch.equal(one, other) for one, other in zip(before, net.parameters(), strict=True))


def test_a_router_by_threshold_starts_where_each_block_is_asked_the_mean(small, monkeypatch):
    monkeypatch.setattr("tokenprune_experiments.claims._threshold.Training", lambda *_: SimpleNamespace(done=True))
    arms = _arms.Arms(0, _arms.sizes_of("quick"), small)
    factors = torch.tensor([[place, 0.3, 0.7, asked] for place in (0.1, 0.9) for asked in (0.0, 0.5)])
    seeing = trained_by_threshold(arms, (0.2, 0.4), sparsity=True)
    blind = trained_by_threshold(arms, (0.2, 0.4), sparsity=False)
    position, asked = factors[:, 0], factors[:, 3]
    assert torch.allclose(seeing(factors), 4 * (position - asked - 0.03), atol=1e-6)
    assert torch.allclose(blind(factors), 4 * (position - 0.3 - 0.03), atol=1e-6)


def test_rivals_and_truncation_stand_beside_the_training_free_pruner_at_its_operations(small):
    by_id = {one.id.split("/")[1]: one for one in claims.CLAIMS}
    found = by_id["keeps-early-facts-without-training"].run(QUICK, 0)
    arms = ("observation", "truncation", "fastkv", "gemfilter", "pyramidinfer", "shortgpt")
    shares = {name: found[f"operations of {name}"] for name in arms}
    assert all(share == pytest.approx(shares["truncation"], abs=0.12) for share in shares.values())
    assert len(found["needle, observation"]) == len(found["name, dense"]) == 2
