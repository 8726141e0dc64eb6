"""The quick form of the claims, from end to end."""

from __future__ import annotations

import numpy as np
import pytest
from fastocc_experiments.claims import CLAIMS
from ninefold_lab import Budget


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NINEFOLD_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


TRIED = [one for one in CLAIMS if "3d" not in one.id]  # it differs by a name alone


@pytest.mark.parametrize("claim", TRIED, ids=lambda one: one.id.split("/")[1])
def test_quick_form_of_each_claim_gives_all_arms_of_its_bars(claim, cache):
    scores = claim.run(Budget(1, 1, "quick"), 0)
    (*bars,) = claim.verdict([scores])
    assert bars
    assert all(np.isfinite(one.estimate) for one in bars)
