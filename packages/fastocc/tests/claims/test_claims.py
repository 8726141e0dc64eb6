"""What experiments rest on: groups of voxels, and the quick form of one claim from end to end."""

from __future__ import annotations

import numpy as np
import pytest
from fastocc_experiments.claims import CLAIMS
from fastocc_experiments.claims._objects import upper_layers
from ninefold_lab import Budget


def test_upper_layers_lie_above_a_gap():
    column = np.full((1, 1, 8), 17)
    column[0, 0, [1, 2, 5, 7]] = 3
    assert np.flatnonzero(upper_layers(column, 17)).tolist() == [5, 7]
    column[0, 0, :3] = 17
    assert np.flatnonzero(upper_layers(column, 17)).tolist() == [7]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NINEFOLD_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


TRIED = [one for one in CLAIMS if "3d" not in one.id and "partial" not in one.id]  # these two differ by a name alone


@pytest.mark.parametrize("claim", TRIED, ids=lambda one: one.id.split("/")[1])
def test_quick_form_of_each_claim_gives_all_arms_of_its_bars(claim, cache):
    scores = claim.run(Budget(1, 1, "quick"), 0)
    (*bars,) = claim.verdict([scores])
    assert bars
    assert all(np.isfinite(one.estimate) for one in bars)
