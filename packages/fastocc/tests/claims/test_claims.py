"""The quick form of the claims, from end to end."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from fastocc.geometry import GridSpec
from fastocc_experiments.claims import CLAIMS
from fastocc_experiments.claims._history import seen_now_or_before
from fastocc_experiments.models import _setting
from ninefold_lab import Budget


class Frames(SimpleNamespace):
    """Three frames."""

    def __len__(self):
        return 3


def test_what_was_seen_before_is_where_it_was_then():
    poses = [np.eye(4) for _ in range(3)]
    poses[1][0, 3], poses[2][0, 3] = 0.8, 1.6  # a voxel ahead each time
    data = Frames(
        grid=GridSpec.named("micro"), infos=[SimpleNamespace(ego2global=one) for one in poses],
        previous=lambda at, count: list(range(max(0, at - count), at)),
    )  # fmt: skip
    masks = np.zeros((3, *data.grid.shape), bool)
    masks[0, 10, 5, 3] = masks[2, 4, 4, 4] = True
    made = seen_now_or_before(data, masks)
    assert np.argwhere(made).tolist() == [[0, 10, 5, 3], [1, 9, 5, 3], [2, 4, 4, 4], [2, 8, 5, 3]]
    assert masks.sum() == 2


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A cache that all claims share, and scenes and steps that are enough to see each arm trained."""
    small = {"scenes": 2, "encoder_steps": 2, "head_steps": 3, "search_steps": 2, "whole_steps": 2}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_setting, "QUICK", replace(_setting.QUICK, **small))
        patch.setenv("NINEFOLD_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda one: one.id.split("/")[1])
def test_quick_form_of_each_claim_gives_all_arms_of_its_bars(claim, cache):
    scores = claim.run(Budget(1, 1, "quick"), 0)
    (*bars,) = claim.verdict([scores])
    assert bars
    assert all(np.isfinite(one.estimate) for one in bars)
