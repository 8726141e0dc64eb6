"""Scores of generated pictures, paired tests, and the comparison of the second system."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from ninefold.errors import InputError
from ninefold.run import Run
from scipy import stats
from semcom.baselines import LinearLink, without_text
from semcom.datasets import load_captioned
from semcom.evaluation import (
    MM_ARMS,
    Contest,
    alpha_on_validation,
    compare_mm,
    compare_mm_table,
    gap_closed,
    items_of,
    joint_items,
    joint_score,
    judged,
    kid,
    paired,
    psnr,
)
from semcom.evaluation._mm_metrics import kid_blocks
from semcom.models import JsccCoder, JsccConfig, Judge, JudgeConfig
from semcom.multimodal import RULES
from semcom.phy import Channel


def test_kid_is_the_unbiased_estimate(rng):
    x, y = rng.normal(size=(40, 6)), rng.normal(0.3, 1, size=(50, 6))

    def kernel(a, b):
        return (a @ b / 6 + 1) ** 3

    xx = np.mean([kernel(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j])
    yy = np.mean([kernel(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j])
    xy = np.mean([kernel(a, b) for a in x for b in y])
    assert kid(x, y) == pytest.approx(xx + yy - 2 * xy)
    same = [kid(rng.normal(size=(64, 4)), rng.normal(size=(64, 4))) for _ in range(200)]
    assert abs(np.mean(same)) < 3 * np.std(same) / np.sqrt(200)
    with pytest.raises(InputError, match=r"KID.*10 pictures.*32"):
        kid(x[:10], y)
    whole = rng.normal(size=(80, 6))
    assert kid_blocks(whole, y, blocks=2) == [kid(whole[::2], y), kid(whole[1::2], y)]
    assert kid_blocks(whole, y, blocks=3) == []
    with pytest.raises(InputError, match="one extractor"):
        kid(x, y[:, :3])


def test_paired_test_is_the_textbooks(rng):
    a, b = rng.normal(1, 1, 60), rng.normal(0.8, 1, 60)
    found, peer = paired(a, b), stats.ttest_rel(a, b)
    assert found.p == pytest.approx(float(peer.pvalue))
    interval = peer.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert paired(a, a).p == 1
    assert gap_closed(20.2, 20.0, 21.0) == pytest.approx(0.2)
    assert np.isnan(gap_closed(20.0, 20.0, 20.0))
    joint = joint_score({"x": a, "y": a - 1}, {"x": b, "y": b})
    assert joint["x"] > joint["y"]
    items = joint_items({"x": a, "y": a - 1}, {"x": b, "y": b})
    assert items["x"].mean() == pytest.approx(joint["x"])
    whole = np.concatenate([a, a - 1])
    expected = ((a - whole.mean()) / whole.std() + (b - b.mean()) / b.std()) / 2
    np.testing.assert_allclose(items["x"], expected)
    with pytest.raises(InputError, match="at least 2"):
        paired(a[:1], b[:1])


@pytest.fixture(scope="module")
def judge():
    import torch

    torch.manual_seed(1)
    return Judge(JudgeConfig(4, 8)).eval()


@pytest.fixture(scope="module")
def linear():
    """Made once: it takes seconds."""
    return LinearLink(load_captioned("embedded", limit=34).images, 128)


@pytest.fixture
def contest(tiny_link, judge, linear):
    coarse = JsccCoder(JsccConfig(channels=4, width=16)).eval()
    return Contest(tiny_link(), coarse, judge, load_captioned("embedded", limit=34), candidates=2, linear=linear)


def test_judge_is_a_classifier_that_no_batch_changes(judge):
    data = load_captioned("embedded", limit=6)
    probability, features = judge.judge(data.images)
    np.testing.assert_allclose(probability.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(judge.judge(data.images, max_batch=2)[1], features, atol=1e-5)
    said = judged(judge, data.images, probability.argmax(axis=1))
    assert said.right.all()
    np.testing.assert_allclose(said.confidence, probability.max(axis=1), rtol=1e-6)


def test_all_arms_take_the_same_symbols_and_stand_in_the_table(contest):
    rows = compare_mm(contest, ["awgn"], [5.0], 1)
    assert [row["arm"] for row in rows] == list(MM_ARMS)
    assert {row["symbols"] for row in rows} == {128}
    by_arm = {row["arm"]: row for row in rows}
    assert by_arm["multimodal"]["text_symbols"] == 8
    assert by_arm["coarse picture"]["text_symbols"] == by_arm["without text"]["text_symbols"] == 0
    assert by_arm["oracle"]["psnr"] == max(by_arm[rule]["psnr"] for rule in RULES if rule != "mean")
    assert all(0 < row["energy"] < 1.01 and row["kid"] is not None for row in rows)
    table = compare_mm_table(rows)
    assert len(table.rows) == len(MM_ARMS)
    assert "published" in table.notes[0]
    assert "of the gap" in table.notes[1]
    assert len(items_of(rows, "image", 5.0)) == 34


def test_comparison_that_is_cut_off_resumes_to_the_same_rows(contest, tmp_path):
    arms = ["multimodal", "random", "coarse picture"]
    contest.data = contest.data.taken(np.arange(4))
    words = (contest, ["awgn"], [0.0, 8.0], 2, arms)
    whole = compare_mm(*words)
    with Run(tmp_path / "run", {}) as run:
        compare_mm(contest, ["awgn"], [0.0], 1, arms, run)
        run.log(**whole[3])  # a kill inside the second point
        assert compare_mm(*words, run) == whole
        assert run.metrics() == whole
    assert compare_mm(*words, first_seed=5) != whole
    with pytest.raises(InputError, match="arms"):
        compare_mm(contest, ["awgn"], [0.0], 1, ["magic"])
    with pytest.raises(InputError, match="superposed"):
        compare_mm(contest, ["ofdm"], [0.0], 1, ["superposed with one more"])
    contest.linear = None
    with pytest.raises(InputError, match="linear picture"):
        compare_mm(contest, ["awgn"], [0.0], 1, ["linear picture"])


def test_coarse_picture_without_a_coder_is_that_of_the_links_own_features(contest):
    own = replace(contest, coarse=None)
    row = compare_mm(own, ["awgn"], [5.0], 1, ["coarse picture"])[0]
    bare, data = without_text(own.link), own.data
    received = Channel().apply(bare.transmit(data.images, None, 5.0).symbols, 5.0, np.random.default_rng([0, 0]))
    np.testing.assert_allclose(
        row["psnr"], psnr(bare.receive(received, 5.0, num_candidates=0).images, data.images).mean()
    )
    assert (row["symbols"], row["text_symbols"]) == (128, 0)


def test_memory_does_not_grow_with_the_pictures(tiny_link, judge):
    def eight(request):
        coarse = (request.coarse * 255).astype(np.uint8)
        return np.repeat(coarse[:, None], request.count, axis=1)

    whole = load_captioned("embedded", limit=32)
    link, peaks = tiny_link(generator=eight), []
    for times in (2, 10):
        data = whole.taken(np.tile(np.arange(32), times))
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        compare_mm(Contest(link, None, judge, data), ["awgn"], [5.0], 1, ["multimodal", "published", "random"])
        peaks.append(tracemalloc.get_traced_memory()[1] - before)
        tracemalloc.stop()
    candidates = 8 * 32 * 32 * 3  # bytes of a picture's candidates, which no more than a chunk of pictures may hold
    assert peaks[0] > 64 * candidates
    assert peaks[1] - peaks[0] < 0.1 * (320 - 64) * candidates


def test_alpha_is_fitted_on_validation_pictures(contest):
    table, curves = alpha_on_validation(contest.link, contest.data.taken(np.arange(5)), [0.0, 10.0], candidates=2)
    assert table.snrs == (0.0, 10.0)
    assert all(curve.shape == (21,) for curve in curves.values())
