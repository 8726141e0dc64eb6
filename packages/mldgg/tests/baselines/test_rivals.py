"""Every rival on one small task: it learns, follows its seed, sees no query label, and does what its formula says."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mldgg.baselines import BASELINES, Erm
from ninefold.errors import InputError

from ..small import domains, shown


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    monkeypatch.setattr(Erm, "steps", 12)


@pytest.mark.parametrize("name", list(BASELINES))
def test_rival_learns_and_gives_chances(name):
    method = BASELINES[name](seed=0).fit(domains().without("south"))
    target = shown(domains()["south"], 5)
    chances = method.predict_proba(target)
    assert chances.shape == (150, 3)
    np.testing.assert_allclose(chances.sum(axis=1), 1, atol=1e-4)
    assert np.isfinite(method.predict_proba(shown(domains()["south"], 0))).all()
    truth = domains()["south"].y
    query = target.y < 0
    right = (chances.argmax(axis=1) == truth)[query].mean()
    assert right > 0.45, right  # after a twelfth of the steps of those that are trained
    assert method.source
    assert method.name == name


@pytest.mark.parametrize("name", ["erm"])
def test_same_seed_gives_the_same_bits_and_leaves_the_global_generator(name):
    sources, target = domains().without("south"), shown(domains()["south"], 1)
    torch.manual_seed(7)
    before = torch.get_rng_state()

    def chances(seed):
        return BASELINES[name](seed=seed).fit(sources).predict_proba(target)

    first = chances(0)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(8)
    np.testing.assert_array_equal(first, chances(0))
    assert not np.array_equal(first, chances(1))


def test_unknown_option_and_unequal_sources_are_refused():
    with pytest.raises(InputError, match=r"option 'colour'.*layers"):
        BASELINES["erm"](colour=1)
    graph = domains()["east"]
    other = graph.with_labels(graph.y)
    object.__setattr__(other, "classes", ("a", "b", "c"))
    with pytest.raises(InputError, match="north and east with other features or classes"):
        BASELINES["erm"]().fit([domains()["north"], other])
