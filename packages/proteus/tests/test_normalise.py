import numpy as np
import pandas as pd
import pytest
from ninefold.errors import InputError, MissingExtraError
from proteus import ProteomicsData, normalise, roll_up, scale_to_reference
from proteus.data._rollup import median_polish, nan_median
from proteus.differential._normalise import METHODS

from .helpers import noise, table


@pytest.mark.parametrize("method", METHODS)
def test_shifted_runs_are_brought_together(method):
    values = noise(400, 6, sd=0.1)
    shifted = values + np.array([0, 1, -1, 2, 0.5, -0.3])
    found = normalise(table(shifted), method).values
    deviation = found - found.mean(1, keepdims=True)
    assert np.abs(np.median(deviation, axis=0)).max() < 0.05
    assert any(method in note for note in normalise(table(shifted), method).notes)


@pytest.mark.parametrize("method", METHODS)
def test_missing_values_stay_missing(method):
    values = noise(300, 5)
    values[np.random.default_rng(0).random(values.shape) < 0.1] = np.nan
    np.testing.assert_array_equal(np.isnan(normalise(table(values), method).values), np.isnan(values))


def test_median_is_not_misled_by_weak_features_missing_in_one_run():
    values = noise(1000, 4, sd=0.05)
    values[values.mean(1) < 24, 0] = np.nan
    found = normalise(table(values)).values
    np.testing.assert_allclose(np.nanmedian(found[:, 0] - found[:, 1:].mean(1)), 0, atol=0.02)


def test_stable_set_alone_sets_the_centre():
    values = noise(300, 6, sd=0.05)
    values[:200, :3] += 1
    stable = np.arange(300) >= 200
    found = normalise(table(values), stable=stable).values
    np.testing.assert_allclose((found[:200, :3].mean() - found[:200, 3:].mean()), 1, atol=0.02)


def test_unknown_method_and_empty_run_are_named():
    with pytest.raises(InputError, match=r"normalisation.*one of: median"):
        normalise(table(noise(60, 3)), "magic")
    values = noise(60, 3)
    values[:, 1] = np.nan
    with pytest.raises(InputError, match=r"'s1'.*no value"):
        normalise(table(values))


def naive_polish(block, iterations=10, tolerance=0.01):
    residual, overall = block.copy(), 0.0
    row, column, before = np.zeros(block.shape[0]), np.zeros(block.shape[1]), 0.0
    for _ in range(iterations):
        step = np.nanmedian(residual, axis=1)
        residual -= step[:, None]
        row += step
        shift = np.median(column)
        column -= shift
        overall += shift
        step = np.nanmedian(residual, axis=0)
        residual -= step
        column += step
        shift = np.median(row)
        row -= shift
        overall += shift
        now = np.nansum(np.abs(residual))
        if now == 0 or abs(now - before) < tolerance * now:
            break
        before = now
    return overall + column


def test_median_polish_equals_tukeys_own_steps():
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 12, 60)
    values = rng.normal(20, 2, (60, 5))
    values[rng.random(values.shape) < 0.1] = np.nan
    values[:, 0] = rng.normal(20, 2, 60)
    found = median_polish(values, codes)
    for group in np.unique(codes):
        block = values[codes == group]
        if not (np.isnan(block).all(0).any() or np.isnan(block).all(1).any()):
            np.testing.assert_allclose(found[group], naive_polish(block), atol=1e-9)


def test_nan_median_equals_numpys():
    values = np.random.default_rng(0).normal(size=(6, 7, 5))
    values[values > 1] = np.nan
    values[0, :, 0] = np.nan
    found = nan_median(values, 1)
    assert np.isnan(found[0, 0])
    np.testing.assert_allclose(found[1:], np.nanmedian(values[1:], axis=1))


def precursors():
    rng = np.random.default_rng(0)
    truth = rng.normal(25, 1, (4, 6))
    values = np.repeat(truth, 5, axis=0) + rng.normal(0, 2, (20, 1)) + rng.normal(0, 0.05, (20, 6))
    features = pd.DataFrame({"protein": np.repeat(list("wxyz"), 5)}, index=[f"p{place}" for place in range(20)])
    samples = pd.DataFrame(index=[f"s{place}" for place in range(6)])
    return ProteomicsData(values, features, samples, "precursor"), truth


def test_roll_up_recovers_profiles_and_counts_peptides():
    data, truth = precursors()
    found = roll_up(data)
    assert found.level == "protein"
    assert found.features["n_peptides"].tolist() == [5] * 4
    centred = truth - truth.mean(1, keepdims=True)
    np.testing.assert_allclose(found.values - found.values.mean(1, keepdims=True), centred, atol=0.1)


def test_maxlfq_says_which_line_brings_it_where_it_is_missing():
    try:
        import directlfq  # noqa: F401
    except ImportError:
        with pytest.raises(MissingExtraError, match=r"directlfq.*\[lfq\]"):
            roll_up(precursors()[0], "maxlfq")
    else:
        data, truth = precursors()
        found = roll_up(data, "maxlfq").values
        centred = truth - truth.mean(1, keepdims=True)
        np.testing.assert_allclose(found - found.mean(1, keepdims=True), centred, atol=0.2)


def test_roll_up_needs_to_know_the_proteins():
    with pytest.raises(InputError, match="'protein' column"):
        roll_up(table(noise(5, 4)))


def two_plexes():
    """Eight channels in each of two plexes; what a plex adds to a feature hides the groups."""
    values = noise(300, 16, sd=0.05)
    values[:30, [1, 2, 3, 9, 10, 11]] += 1.0
    values[:, 8:] += np.random.default_rng(4).normal(0, 2, (300, 1))
    group = (["pool"] + ["case"] * 3 + ["control"] * 4) * 2
    return table(values, plex=["p1"] * 8 + ["p2"] * 8, group=group)


def test_reference_channels_take_plexes_out():
    data = two_plexes()
    found = scale_to_reference(data, "plex", "group=pool")
    assert found.shape == (300, 14)
    assert "2 reference channels of 2 plexes" in found.notes[-1]
    case, first = (found.samples["group"] == "case").to_numpy(), (found.samples["plex"] == "p1").to_numpy()
    apart = found.values[:, first & ~case].mean(1) - found.values[:, ~first & ~case].mean(1)
    assert np.abs(apart).max() < 0.4  # was 2 on average
    change = found.values[:, case].mean(1) - found.values[:, ~case].mean(1)
    assert np.abs(change[:30] - 1).max() < 0.2
    np.testing.assert_allclose(  # a reference that is its own plex's level stays where it was, on average
        found.values.mean(), data.values[:, (data.samples["group"] != "pool").to_numpy()].mean(), atol=0.05
    )


def test_a_feature_without_reference_value_is_missing_in_that_plex():
    data = two_plexes()
    values = data.values.copy()
    values[5, 8] = np.nan
    found = scale_to_reference(data.with_values(values), "plex", "group=pool")
    second = (found.samples["plex"] == "p2").to_numpy()
    assert np.isnan(found.values[5, second]).all()
    assert not np.isnan(found.values[5, ~second]).any()


@pytest.mark.parametrize(
    ("plex", "reference", "message"),
    [
        ("plex", "group=bridge", "reference.*group=bridge.*levels: case, control, pool"),
        ("plex", "group", "COLUMN=LEVEL"),
        ("batch", "group=pool", "sample column.*batch"),
        ("run", "group=pool", "none in run b"),
    ],
)
def test_references_that_are_not_there_are_named(plex, reference, message):
    data = two_plexes()
    data = data.with_values(data.values, samples=data.samples.assign(run=["a"] * 9 + ["b"] * 7))
    with pytest.raises(InputError, match=message):
        scale_to_reference(data, plex, reference)
