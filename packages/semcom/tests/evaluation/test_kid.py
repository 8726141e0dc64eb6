"""Kernel inception distance against its formula."""

from __future__ import annotations

import numpy as np
import pytest
from ninefold.errors import InputError
from semcom.datasets import load_captioned
from semcom.models import Judge, JudgeConfig
from semcom_experiments.distance import kid


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
    with pytest.raises(InputError, match="one extractor"):
        kid(x, y[:, :3])


def test_judge_is_a_classifier_that_no_batch_changes():
    import torch

    torch.manual_seed(1)
    judge, data = Judge(JudgeConfig(4, 8)).eval(), load_captioned("embedded", limit=6)
    probability, features = judge.judge(data.images)
    np.testing.assert_allclose(probability.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(judge.judge(data.images, max_batch=2)[1], features, atol=1e-5)
