"""Each experiment gives the arms that its bars name, on the wheel's own pictures in place of the benchmark's."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from ninefold_lab import Budget
from semcom.baselines import LinearLink
from semcom.datasets import load, load_captioned
from semcom.evaluation import Contest, compare_mm
from semcom.models import JsccCoder, JsccConfig, Judge, JudgeConfig
from semcom_experiments.claims import CLAIMS, MM_CLAIMS, _mm, _pictures, _separation


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id.split("/")[1])
def test_experiment_gives_every_arm_of_its_bars(claim, monkeypatch):
    pictures = load("embedded")
    for module in (_pictures, _separation):
        monkeypatch.setattr(module, "pictures_of", lambda *_: pictures[:6])
    monkeypatch.setattr(_separation, "load", lambda *_: pictures[6:9])
    fitted = functools.cache(lambda symbols: LinearLink(pictures[6:9], symbols))  # which takes seconds
    monkeypatch.setattr(_separation, "LinearLink", lambda _, symbols: fitted(symbols))
    scores = claim.run(Budget(1, 0.1, "quick"), 0)
    again = claim.run(Budget(1, 0.1, "quick"), 0)
    other = claim.run(Budget(1, 0.1, "quick"), 1)
    comparisons = claim.verdict([scores, other])
    assert comparisons
    assert all(np.isfinite(one.estimate) for one in comparisons)
    for arm in scores:
        np.testing.assert_array_equal(scores[arm], again[arm])


@pytest.fixture(scope="module")
def small_contest(tiny_parts):
    """Untrained parts on the wheel's own pictures, and rows of all arms by seed and SNR."""
    from semcom.multimodal import MMSemCom, ResidualDiffusion

    link = MMSemCom(*tiny_parts[:2], ResidualDiffusion(tiny_parts[2], steps=1))
    coarse, judge = JsccCoder(JsccConfig(channels=4, width=16)).eval(), Judge(JudgeConfig(4, 8)).eval()
    data = load_captioned("embedded", limit=36)
    contest = Contest(link, coarse, judge, data, candidates=2, linear=LinearLink(data.images, 128))

    @functools.cache
    def rows(_, seed, snr):
        return compare_mm(contest, ["awgn"], [snr], 1, first_seed=seed), 0.0

    return contest, rows


@pytest.mark.parametrize("claim", MM_CLAIMS, ids=lambda claim: claim.id.split("/")[1])
def test_experiment_of_the_second_system_gives_every_arm_of_its_bars(claim, small_contest, monkeypatch):
    contest, rows = small_contest
    monkeypatch.setattr(_mm, "_contest", lambda _: contest)
    monkeypatch.setattr(_mm, "_rows_at", rows)
    scores, other = (claim.run(Budget(1, 0.1, "quick"), seed) for seed in (0, 1))
    comparisons = claim.verdict([scores, other])
    assert comparisons
    assert all(np.isfinite(one.estimate) for one in comparisons)
    again = claim.run(Budget(1, 0.1, "quick"), 0)
    for arm in scores:
        np.testing.assert_array_equal(scores[arm], again[arm])


def test_rows_of_the_second_system_are_kept_and_their_seconds_count_once(small_contest, monkeypatch, tmp_path):
    contest, _ = small_contest
    counted = []
    monkeypatch.setattr(_mm, "_contest", lambda _: contest)
    monkeypatch.setattr(_mm, "cache_path", lambda _: tmp_path)
    monkeypatch.setattr(_mm, "add_seconds", counted.append)
    monkeypatch.setattr(_mm, "compare_mm", lambda *_, **__: [{"arm": "multimodal"}])
    _mm._rows_at.cache_clear()
    budget = Budget(1, 0.1, "quick")
    assert _mm._rows(budget, 0, (0.0,)) == [{"arm": "multimodal"}]
    assert sum(counted) == pytest.approx(0)  # the caller's own clock saw them
    _mm._rows_at.cache_clear()
    monkeypatch.setattr(_mm, "compare_mm", None)
    assert _mm._rows(budget, 0, (0.0,)) == [{"arm": "multimodal"}]
    assert sum(counted) > 0
    _mm._rows_at.cache_clear()


def test_zeros_without_scrambler_keep_the_first_patches_and_other_payloads_do_not():
    bits = {
        kind: _pictures._bits_of(kind, 3, 48, np.random.default_rng(0))
        for kind in ("random", "zeros", "text", "periodic")
    }
    assert all(one.shape == (3, 48) and one.max() <= 1 for one in bits.values())
    assert not bits["zeros"].any()
    np.testing.assert_array_equal(bits["periodic"][0], bits["periodic"][1])
    assert not np.array_equal(bits["text"][0], bits["text"][1])
