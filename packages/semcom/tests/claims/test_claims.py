"""Each experiment gives the arms that its bars name, on the wheel's own pictures in place of the benchmark's."""

from __future__ import annotations

import numpy as np
import pytest
from ninefold.proof import Budget
from semcom.claims import CLAIMS, _pictures, _separation
from semcom.datasets import load


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id.split("/")[1])
def test_experiment_gives_every_arm_of_its_bars(claim, monkeypatch):
    pictures = load("embedded")
    for module in (_pictures, _separation):
        monkeypatch.setattr(module, "pictures_of", lambda *_: pictures[:6])
    monkeypatch.setattr(_separation, "load", lambda *_: pictures[6:9])
    scores = claim.run(Budget(1, 0.1, "quick"), 0)
    again = claim.run(Budget(1, 0.1, "quick"), 0)
    other = claim.run(Budget(1, 0.1, "quick"), 1)
    comparisons = claim.verdict([scores, other])
    assert comparisons
    assert all(np.isfinite(one.estimate) for one in comparisons)
    for arm in scores:
        np.testing.assert_array_equal(scores[arm], again[arm])


def test_zeros_without_scrambler_keep_the_first_patches_and_other_payloads_do_not():
    bits = {
        kind: _pictures._bits_of(kind, 3, 48, np.random.default_rng(0))
        for kind in ("random", "zeros", "text", "periodic")
    }
    assert all(one.shape == (3, 48) and one.max() <= 1 for one in bits.values())
    assert not bits["zeros"].any()
    np.testing.assert_array_equal(bits["periodic"][0], bits["periodic"][1])
    assert not np.array_equal(bits["text"][0], bits["text"][1])
