"""Groups that scatter differently: weights of samples by group keep the false discovery rate and give power."""

import numpy as np
import pandas as pd
import pytest
from ninefold.errors import InputError
from proteus import Budget, ProteomicsData, Study, moderated_test
from proteus.statistics._spread import spread_ratio, spread_weights

from .helpers import noise


def drawn(seed, sizes=(4, 10), spread=(1.0, 2.0), features=2000, changed=200):
    """Two groups of log2 values whose standard deviations differ; the first `changed` features differ by 1."""
    rng = np.random.default_rng(seed)
    own = np.sqrt(0.3**2 * 6 / rng.chisquare(6, (features, 1)))
    scale = np.repeat(spread, sizes)
    values = rng.normal(24, 2, (features, 1)) + own * scale * rng.standard_normal((features, sum(sizes)))
    values[:changed, : sizes[0]] += rng.choice([-1.0, 1.0], (changed, 1))
    sheet = pd.DataFrame({"group": np.repeat(["a", "b"], sizes)}, [f"s{one}" for one in range(sum(sizes))])
    return ProteomicsData(values, pd.DataFrame(index=[f"P{one}" for one in range(features)]), sheet)


def rates(seeds=6, weigh="groups", **options):
    """(power, false discovery rate) at q <= 0.05 over draws."""
    power, false = [], []
    for seed in range(seeds):
        data = drawn(seed, **options)
        hits = moderated_test(data, "~ group", "a-b", lfc=0.0, spread=weigh).table["q"].to_numpy() <= 0.05
        power.append(hits[:200].mean())
        false.append(hits[200:].sum() / max(hits.sum(), 1))
    return np.mean(power), np.mean(false)


def test_with_ten_samples_twice_as_noisy_as_four_power_is_gained():
    power, false = rates()
    assert power >= 0.40
    assert false <= 0.07
    assert rates(weigh="equal")[0] < 0.7 * power


def test_with_four_samples_twice_as_noisy_as_ten_false_discoveries_are_kept_off():
    power, false = rates(spread=(2.0, 1.0))
    assert false <= 0.07
    assert power >= 0.30
    assert rates(spread=(2.0, 1.0), weigh="equal")[1] > 0.15


def test_where_groups_scatter_alike_nothing_is_lost():
    weighed, equal = (rates(spread=(1.0, 1.0), weigh=one) for one in ("groups", "equal"))
    assert weighed[0] == pytest.approx(equal[0], abs=0.01)
    assert weighed[1] <= 0.07


@pytest.mark.parametrize(
    ("sizes", "spread"), [((4, 10), (1, 2)), ((4, 10), (2, 1)), ((3, 3), (1, 3)), ((20, 5), (1, 1))]
)
@pytest.mark.parametrize("gaps", [0.0, 0.02])
def test_the_ratio_of_spreads_is_found(sizes, spread, gaps):
    data = drawn(1, sizes, spread)
    values = np.where(np.random.default_rng(0).random(data.shape) < gaps, np.nan, data.values)
    design = np.column_stack([np.ones(sum(sizes)), np.repeat([1.0, 0.0], sizes)])
    labels = data.samples["group"].to_numpy()
    assert spread_ratio(values, design, labels) == pytest.approx(max(spread) / min(spread), rel=0.08)
    weights = spread_weights(values, design, labels)
    assert np.exp(np.log(weights).mean()) == pytest.approx(1)


@pytest.mark.parametrize("change", ["few proteins", "two samples", "gaps in each"])
def test_where_spread_cannot_be_measured_all_samples_weigh_the_same(change):
    data = drawn(0, (2, 10) if change == "two samples" else (4, 10), features=300)
    data = data.take(features=np.arange(20)) if change == "few proteins" else data
    values = data.values.copy()
    if change == "gaps in each":
        values[np.arange(300), np.arange(300) % 14] = np.nan
    design = np.column_stack([np.ones(values.shape[1]), data.samples["group"] == "a"]).astype(float)
    assert (spread_weights(values, design, data.samples["group"].to_numpy()) == 1).all()


def test_a_contrast_that_is_no_pair_of_levels_is_refused():
    data = ProteomicsData(
        noise(60, 9), pd.DataFrame(index=range(60)), pd.DataFrame({"group": ["a", "b", "c"] * 3}, index=range(9))
    )
    with pytest.raises(InputError, match=r"spread.*no pair of levels"):
        moderated_test(data, "~ group", "b - (a + c)/2", spread="groups")


def test_a_study_weighs_groups_whose_spread_differs_and_says_so():
    report = Study(drawn(0, features=400, changed=40)).run(Budget(objectives=1))
    (change,) = [one for one in report.refinements if one["params"] == {"spread": "groups"}]
    assert change["trigger"]["spread"] == pytest.approx(2.0, rel=0.1)
    assert report.answers[0].workflows[-1].step("S2").params["spread"] == "groups"
    assert Study(drawn(0, spread=(1.0, 1.0))).run(Budget(objectives=1)).refinements == []
