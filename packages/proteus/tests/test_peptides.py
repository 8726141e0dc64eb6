"""The peptide model: levels by additive robust fits, a curve of what is seen for each run, weights from errors."""

import numpy as np
import pandas as pd
import pytest
from ninefold.errors import InputError
from proteus import ProteomicsData, Study, load, moderated_test, normalise, profile, roll_up
from proteus.data._peptide_model import fit_run_curves, summarise_peptides, weighted_additive
from scipy import special


def drawn(load=1.0, seed=0, proteins=150, each=6):
    """Peptides of 5 and 5 runs without any change; the first five have `load` of the load."""
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(proteins), each)
    level = rng.normal(23, 1.5, proteins)[:, None] + 0.2 * rng.standard_normal((proteins, 10))
    value = level[codes] + rng.normal(0, 1.5, len(codes))[:, None] + 0.3 * rng.standard_normal((len(codes), 10))
    value[:, :5] += np.log2(load)
    values = np.where(rng.random(value.shape) < special.expit(1.5 * (value - 21)), value, np.nan)
    features = pd.DataFrame({"protein": [f"P{one}" for one in codes]}, index=[f"p{one}" for one in range(len(codes))])
    samples = pd.DataFrame({"group": list("aaaaabbbbb")}, index=[f"r{one}" for one in range(10)])
    data = ProteomicsData(values, features, samples, "precursor")
    return data.take(features=~np.isnan(values).all(axis=1)), value


def test_complete_peptides_without_outliers_give_their_means():
    cube = np.random.default_rng(0).normal(20, 0.1, (4, 3, 5))
    made = summarise_peptides(cube.reshape(12, 5), np.repeat(np.arange(4), 3))
    np.testing.assert_allclose(made.levels, cube.mean(1), atol=0.06)
    assert made.curves.slope == 0.0
    assert (made.seen == 3).all()


def test_weighted_additive_is_least_squares():
    rng = np.random.default_rng(1)
    y, weight = rng.standard_normal((1, 3, 4)), rng.uniform(0.2, 1.0, (1, 3, 4))
    runs, peptides = weighted_additive(y, weight, np.zeros(1))
    design = np.column_stack([np.tile(np.eye(4), (3, 1)), np.repeat(np.eye(3), 4, axis=0)])
    root = np.sqrt(weight.ravel())
    best = np.linalg.lstsq(design * root[:, None], y.ravel() * root, rcond=None)[0]
    np.testing.assert_allclose((runs[0] + peptides[0][:, None]).ravel(), design @ best, atol=1e-9)
    assert peptides.sum() == pytest.approx(0.0)


def test_each_run_has_the_curve_of_its_load():
    data, _ = drawn(load=0.25)
    codes = pd.factorize(data.features["protein"])[0]
    aligned = data.values + 2.0 * (np.arange(10) < 5)
    curves = summarise_peptides(aligned, codes).curves
    half = -curves.intercepts / curves.slope
    assert half[:5].mean() - half[5:].mean() == pytest.approx(2.0, abs=0.25)
    assert half[5:].mean() == pytest.approx(21.0, abs=0.3)


def test_one_curve_for_all_has_one_intercept():
    data, _ = drawn()
    levels = np.broadcast_to(np.nanmean(data.values, axis=1, keepdims=True), data.shape)
    curves = fit_run_curves(data.values, levels, single=True)
    assert np.ptp(curves.intercepts) < 1e-9
    assert curves.slope > 0.5


def test_a_quarter_of_the_load_calls_next_to_nothing():
    data, _ = drawn(load=0.25, proteins=300, each=4)
    table = moderated_test(normalise(roll_up(data)), "~ group", "a-b", lfc=0.0).table
    assert (table["q"] <= 0.05).sum() <= 3
    assert abs(table["effect"].median()) < 0.06


def test_errors_grow_where_peptides_are_few_and_rows_keep_their_order():
    data, _ = drawn(load=0.25)
    made = roll_up(data)
    seen = ~np.isnan(made.values)
    assert made.precision is not None
    assert np.isnan(made.precision.unseen[seen]).all()
    assert np.isfinite(made.precision.unseen[~seen]).all()
    assert made.precision.errors[~seen].mean() > 2 * made.precision.errors[seen].mean()
    order = np.random.default_rng(3).permutation(data.shape[0])
    other = roll_up(data.take(features=order))
    np.testing.assert_allclose(
        other.values[other.features.index.get_indexer(made.features.index)], made.values, atol=1e-6
    )


def test_precision_goes_with_rows_columns_and_files(tmp_path):
    made = roll_up(drawn()[0])
    part = made.take(features=[3, 5], samples=[0, 9])
    np.testing.assert_array_equal(part.precision.errors, made.precision.errors[np.ix_([3, 5], [0, 9])])
    made.save(tmp_path / "table")
    again = ProteomicsData.open(tmp_path / "table")
    np.testing.assert_array_equal(again.precision.unseen, made.precision.unseen)
    first = moderated_test(made, "~ group", "a-b").table
    pd.testing.assert_frame_equal(first, moderated_test(again, "~ group", "a-b").table)


def test_a_gap_is_told_of_summed_tables_and_not_of_precursors_that_the_peptide_model_will_read():
    data, _ = drawn(load=0.1)
    told = [one for one in profile(data).warnings if "missing values differ" in one]
    assert not told
    summed = profile(roll_up(data, "median_polish"))
    assert any("missing values differ between levels of group" in one for one in summed.warnings)
    unknown = data.take()
    unknown.features.drop(columns="protein", inplace=True)  # no peptide model without proteins
    assert any("missing values differ" in one for one in profile(unknown).warnings)


def test_precursors_kept_as_rows_show_the_one_peptide_that_changes(tmp_path):
    data, _ = drawn()
    data.values[3, :5] += 3  # of six of its protein
    named = pd.MultiIndex.from_arrays([data.features["protein"], data.features.index])
    table = pd.DataFrame(2**data.values, named.set_names(["Protein.Group", "Precursor.Id"]), data.samples.index)
    long = table.rename_axis("Run", axis=1).stack().rename("Precursor.Normalised").reset_index()
    path = tmp_path / "report.tsv"
    long.to_csv(path, sep="\t", index=False)
    summed, kept = load(path, data.samples), load(path, data.samples, peptides=True)
    assert (summed.level, kept.level) == ("precursor", "peptide")
    np.testing.assert_array_equal(summed.values, kept.values)
    first = Study(kept).run().hypotheses[0]
    assert (first.entities[0], first.numbers["effect"].row) == ("P0", data.features.index[3])
    assert not Study(summed).run().hypotheses


def test_rows_that_are_no_precursors_cannot_be_kept_as_such(tmp_path):
    path = tmp_path / "proteins.csv"
    path.write_text("protein,a,b\nP1,1024,2048\nP2,512,4096\n")
    with pytest.raises(InputError, match="peptides: got a table whose rows are proteins, expected one of precursors"):
        load(path, peptides=True)
