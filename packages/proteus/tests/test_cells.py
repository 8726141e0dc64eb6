import numpy as np
import pandas as pd
import pytest
from ninefold.errors import InputError
from proteus import Budget, ProteomicsData, Study
from proteus.outcomes._cells import abundance, annotate, arcsinh, cluster_cells, diff_abundance, diff_state, state
from proteus.outcomes._neighbourhoods import neighbourhoods
from proteus.outcomes._pseudobulk import diff_expression, pseudobulk
from proteus_experiments import published

from .helpers import needs_data


def cells(seed=0, donors=4, each=300, shift=1.0, more=0.0):
    """Two types told by CD3 and CD20; in condition x the B cells' pS6 is higher by `shift`, with donors differing."""
    rng = np.random.default_rng(seed)
    rows, about = [], []
    for donor in range(donors):
        level = rng.normal(0, 0.3)
        for condition in ("x", "y"):
            b = rng.random(each) < 0.3 + (more if condition == "x" else 0)
            base = np.where(b[:, None], [0.3, 4.0, 1.0], [4.0, 0.3, 1.0]) + 0.4 * rng.standard_normal((each, 3))
            base[:, 2] += level + shift * (b & (condition == "x")) + rng.normal(0, 0.05)
            rows.append(base)
            about += [{"sample_id": f"{donor}{condition}", "donor": f"d{donor}", "condition": condition}] * each
    frame = pd.DataFrame(about, index=[f"c{place}" for place in range(len(about))])
    features = pd.DataFrame(index=["CD3", "CD20", "pS6"])
    return ProteomicsData(np.concatenate(rows).T, features, frame, "cell", "score")


def test_clusters_separate_the_types():
    data = cells(each=60)
    label = cluster_cells(data, ["CD3", "CD20"], clusters=2)
    b = data.values[1] > 2
    purity = sum(max((b & (label == one)).sum(), (~b & (label == one)).sum()) for one in np.unique(label)) / len(b)
    assert purity > 0.97
    assert (np.diff(np.bincount(label)) <= 0).all()


def test_clusters_follow_the_seed():
    data = cells(each=60)
    one, again = (cluster_cells(data, ["CD3", "CD20", "pS6"], clusters=8, seed=3) for _ in range(2))
    np.testing.assert_array_equal(one, again)


def test_rules_name_clusters_and_leave_the_rest():
    data = cells()
    label = cluster_cells(data, ["CD3", "CD20"], clusters=2)
    names = annotate(data, label, {"B": {"CD20": "+", "CD3": "-"}, "T": {"CD3": "+", "CD20": "-"}})
    assert sorted(names) == ["B", "T"]
    assert annotate(data, label, {"odd": {"CD20": "+", "CD3": "+"}}).tolist() == ["unassigned"] * 2


def test_n_is_donors_not_cells():
    data = cells()
    label = (data.values[1] > 2).astype(int)
    medians = state(data, label, ["pS6"])
    assert medians.shape == (2, 8)
    more = cells(each=1200)
    label_more = (more.values[1] > 2).astype(int)
    few, many = (
        diff_state(one, lab, ["pS6", "CD3"], "~ donor + condition", "x-y").fit.df_residual[0]
        for one, lab in ((data, label), (more, label_more))
    )
    assert few == many == 3


def test_state_change_is_found_in_its_cell_type_alone():
    data = cells()
    label = (data.values[1] > 2).astype(int)
    table = diff_state(data, label, ["pS6", "CD3"], "~ donor + condition", "x-y").table
    assert table["p"].idxmin() == "1|pS6"
    assert table.loc["1|pS6", "effect"] == pytest.approx(1.0, abs=0.15)
    assert table.loc["0|pS6", "q"] > 0.05


def test_state_is_missing_where_cells_are_few():
    data = cells(each=30)
    label = (data.values[1] > 2).astype(int)
    counts = pd.crosstab(label, data.samples["sample_id"].to_numpy())
    found = state(data, label, ["pS6"], least_cells=10)
    np.testing.assert_array_equal(np.isnan(found.values), counts.to_numpy() < 10)


def test_abundance_is_the_logit_of_shares():
    data = cells()
    label = (data.values[1] > 2).astype(int)
    found = abundance(data, label)
    counts = pd.crosstab(label, data.samples["sample_id"].to_numpy())
    np.testing.assert_allclose(found.values[1], np.log2((counts.loc[1] + 0.5) / (counts.loc[0] + 0.5)))
    moved = cells(shift=0, more=0.3)
    test = diff_abundance(moved, (moved.values[1] > 2).astype(int), "~ donor + condition", "x-y")
    assert (test.table["effect"].loc["1"] > 0) & (test.table["p"].max() < 0.05)


def test_wrong_scale_and_unknown_marker_are_named():
    with pytest.raises(InputError, match="raw counts"):
        arcsinh(cells())
    with pytest.raises(InputError, match=r"markers.*CD99.*CD3"):
        cluster_cells(cells(), ["CD99"])


@needs_data
@pytest.mark.data
def test_ps6_in_b_cells_comes_first_in_stimulated_blood():
    raw, panel = published.bcr_xl()
    data = arcsinh(raw)
    types = panel.loc[panel["marker_class"] == "type", "antigen"].tolist()
    states = panel.loc[panel["marker_class"] == "state", "antigen"].tolist()
    cluster = cluster_cells(data, types, clusters=12)
    rules = {"B cells": {"CD20": "+", "CD3": "-"}, "T cells": {"CD3": "+", "CD20": "-"}}
    label = annotate(data, cluster, rules).loc[cluster].to_numpy()
    table = diff_state(data, label, states, "~ donor + condition", "BCRXL-Ref").table
    assert table["p"].idxmin() == "B cells|pS6"
    assert table["effect"].loc["B cells|pS6"] > 0
    assert table["n"].max() == 8


def counts(seed=0, fold=4.0, more=1.0):
    """Two types in four donors by two conditions; in x the first five of 60 features of type B change by `fold`."""
    rng = np.random.default_rng(seed)
    rows, about = [], []
    for donor in range(4):
        for condition in ("x", "y"):
            b = rng.random(200) < 0.3 * (more if condition == "x" else 1)
            level = np.exp(np.random.default_rng(donor).normal(0.5, 0.2, 60))[None, :] * np.ones((200, 1))
            level[:, :5] *= np.where(b & (condition == "x"), fold, 1.0)[:, None]
            rows.append(rng.poisson(level))
            about += [{"sample_id": f"{donor}{condition}", "donor": f"d{donor}", "condition": condition,
                       "cell_type": "B" if one else "T"} for one in b]  # fmt: skip
    frame = pd.DataFrame(about, index=[f"c{place}" for place in range(len(about))])
    features = pd.DataFrame(index=[f"g{place}" for place in range(60)])
    return ProteomicsData(np.concatenate(rows).T.astype(float), features, frame, "cell", "counts")


def test_sums_of_counts_find_the_state_of_the_type_that_changes():
    data = counts()
    result = diff_expression(data, data.samples["cell_type"].to_numpy(), "~ donor + condition", "x-y")
    assert set(result.hits().index) == {f"B|g{place}" for place in range(5)}
    assert result.table.loc["B|g0", "effect"] == pytest.approx(2.0, abs=0.4)
    assert result.table["n"].max() == 8


def test_more_cells_of_a_type_are_no_change_of_its_state():
    data = counts(fold=1.0, more=2.5)
    label = data.samples["cell_type"].to_numpy()
    assert len(diff_expression(data, label, "~ donor + condition", "x-y").hits()) == 0
    assert len(diff_abundance(data, label, "~ donor + condition", "x-y").hits()) == 2


def test_sums_are_the_cells_of_a_type_and_sample():
    data = counts()
    table, total = pseudobulk(data, data.samples["cell_type"].to_numpy())
    inside = ((data.samples["cell_type"] == "B") & (data.samples["sample_id"] == "0x")).to_numpy()
    place = table.features.index.get_loc("B|g3")
    column = table.samples.index.get_loc("0x")
    assert 2 ** (table.values[place, column] + total[place, column]) - 0.5 == pytest.approx(
        data.values[3, inside].sum()
    )
    with pytest.raises(InputError, match="raw counts"):
        pseudobulk(cells(), np.zeros(2400))


def test_a_study_of_counts_with_their_annotation_finds_the_state():
    report = Study(counts()).run(Budget(objectives=2))
    found = {(one.entity, one.target) for one in report.findings if one.relation == "state_changed_in"}
    assert found == {(f"g{place}", "y-x in B") for place in range(5)}


def test_neighbourhoods_are_regions_of_a_section():
    rng = np.random.default_rng(0)
    place = rng.uniform(0, 10, (600, 2))
    kind = np.where(place[:, 0] < 5, "tumour", np.where(rng.random(600) < 0.5, "B cell", "T cell"))
    about = pd.DataFrame({"x": place[:, 0], "y": place[:, 1], "cell_type": kind, "sample_id": np.arange(600) % 2})
    data = ProteomicsData(np.zeros((1, 600)), pd.DataFrame(index=["m"]), about, "cell", "score")
    label, shares = neighbourhoods(data, "cell_type", clusters=2)
    left = place[:, 0] < 5
    assert max((left == (label == 0)).mean(), (left == (label == 1)).mean()) > 0.95
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    with pytest.raises(InputError, match="position"):
        neighbourhoods(data, "cell_type", x="cell_type")
    with pytest.raises(InputError, match="cells in"):
        neighbourhoods(data.take(samples=np.arange(12)), "cell_type")
