import json

import numpy as np
import pytest
from ninefold.errors import InputError
from proteus import moderated_test, profile, tl
from proteus.knowledge._network import connectivity
from proteus_experiments.simulators._tables import simulate

from .helpers import template as learned


@pytest.fixture(scope="module")
def template():
    return learned("group")


@pytest.fixture(scope="module")
def drawn(template):
    return simulate(template, samples=40, features=800, seed=1)


def test_the_key_is_json_and_names_what_is_there(drawn):
    key = json.loads(json.dumps(drawn.key))
    ids = set(drawn.data.features.index)
    assert len(set(key["changed"]) & ids) > 60
    assert set(key["sets"]) <= set(drawn.sets)
    assert set(key["module"]) | set(key["hubs"]) <= set(drawn.network.nodes)
    assert key["survival"] in ids


def test_spread_and_abundance_are_the_templates(template, drawn):
    quiet = ~drawn.data.features.index.isin(
        [*drawn.key["changed"], *drawn.key["batch"], *drawn.key["subtype"]["features"]]
    )
    sd = np.nanstd(drawn.data.values[quiet], axis=1, ddof=1)
    assert np.median(sd) == pytest.approx(np.exp(np.median(template.log_variance) / 2), rel=0.3)
    assert np.nanmedian(drawn.data.values) == pytest.approx(np.median(template.mean), abs=0.5)


def test_planted_changes_are_found_and_decoys_are_not(drawn):
    result = moderated_test(drawn.data, "~ batch + group", "case-control")
    hits = set(result.hits().index)
    changed = set(drawn.key["changed"])
    assert len(hits & changed) > 0.6 * len(changed)
    assert len(hits - changed - set(drawn.key["subtype"]["features"])) < 0.1 * len(hits)
    assert len(moderated_test(drawn.data, "~ batch + group + smoker", "yes-no").hits()) <= 2
    with pytest.raises(InputError, match=r"aliased.*batch x arm"):
        moderated_test(drawn.data, "~ batch + arm", "right-left")
    assert any("batch and arm cannot be told apart" in warning for warning in profile(drawn.data).warnings)


def test_module_is_connected_and_hubs_are_not(drawn):
    part = drawn.network.restrict(drawn.data.features.index)
    module, hubs = (connectivity(part, drawn.key[name]) for name in ("module", "hubs"))
    assert module.p < 0.01 < hubs.p
    assert hubs.edges > 5  # they are linked, but as their degrees say


def test_survival_marker_comes_near_the_top(drawn):
    found = tl.survival(drawn.data)
    assert drawn.key["survival"] in found.index[:5]


def test_without_effect_nothing_is_planted(template):
    quiet = simulate(template, samples=24, features=400, effect=0, seed=2)
    assert quiet.key["changed"] == {}
    assert len(moderated_test(quiet.data, "~ batch + group", "case-control").hits()) <= 2


def test_seeds_differ_and_repeat(template):
    one, again, other = (simulate(template, samples=12, features=300, seed=seed).data.values for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert one.shape != other.shape or not np.allclose(np.nan_to_num(one), np.nan_to_num(other))


def test_too_few_samples_are_named(template):
    with pytest.raises(InputError, match="at least 12"):
        simulate(template, samples=8)
