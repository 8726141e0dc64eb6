"""Cohorts: what changes the same way in each of them replicates; with one cohort nothing is of grade A."""

import json

import numpy as np
import pandas as pd
import pytest
from ninefold.errors import InputError
from proteus import Budget, ProteomicsData, Settings, Study, moderated_test, normalise, profile, replicate, score, stack
from proteus.cli import app
from proteus.differential._replication import partial_conjunction, predict_replication, random_effects, without
from proteus.record._journal import read_journal
from proteus.record._run_folder import Folder, read_frame, shown
from proteus.verification._replay import replay
from proteus.verification._report import write_report
from proteus.verification._scoring import beside_replication
from proteus.verification._verify import verify
from proteus_experiments import published
from scipy import stats
from typer.testing import CliRunner

from .helpers import needs_data, noise, table

SITES = ("north", "south", "west")


def cohorts(seed: int = 0, shared: int = 20, own: int = 20, features: int = 240, each: int = 12) -> ProteomicsData:
    """Features 0.. change in every site, the next in the first site alone, strongly."""
    rng = np.random.default_rng(seed)
    values = rng.normal(22, 1, (features, 1)) + rng.normal(0, 0.3, (features, 3 * each))
    sheet = pd.DataFrame({"site": np.repeat(SITES, each), "group": ["case", "control"] * (3 * each // 2)})
    case, first = (sheet["group"] == "case").to_numpy(), (sheet["site"] == "north").to_numpy()
    values[:shared, case] += 0.8
    values[shared : shared + own, case & first] += 3.0
    sheet.index = [f"s{one}" for one in range(len(sheet))]
    return ProteomicsData(values, pd.DataFrame(index=[f"P{one}" for one in range(features)]), sheet)


def test_what_one_cohort_carries_does_not_replicate():
    found = replicate(cohorts(), "~ site + group", "case-control", "site")
    again = set(found.replicated().index)
    assert found.cohorts == sorted(SITES)
    assert len(again & {f"P{one}" for one in range(20)}) >= 18
    assert not again & {f"P{one}" for one in range(20, 40)}
    lone = found.table.loc[[f"P{one}" for one in range(20, 40)]]
    assert (lone["p_heterogeneity"] < 0.01).mean() > 0.9
    assert (lone["i2"] > 0.5).mean() > 0.9


def one_sided(table):
    p = table[[f"p_{name}" for name in sorted(SITES)]].to_numpy()
    sign = np.sign(table[[f"effect_{name}" for name in sorted(SITES)]].to_numpy())
    return np.where(sign > 0, p / 2, 1 - p / 2), sign


@pytest.mark.parametrize("needed", [None, 2, 3])
def test_p_is_that_of_r_of_n_cohorts_in_one_direction(needed):
    table = replicate(cohorts(), "~ group", "case-control", "site", lfc=0.0, needed=needed).table
    up, sign = one_sided(table)
    r = needed or 2  # of three
    sides = [np.minimum((3 - r + 1) * np.sort(p, 1)[:, r - 1], 1) for p in (up, 1 - up)]
    np.testing.assert_allclose(table["p"], np.minimum(*sides))
    np.testing.assert_array_equal(table["direction"], np.where(sides[0] <= sides[1], 1, -1))
    np.testing.assert_array_equal(table["same_sign"], np.abs(sign.sum(1)) == 3)
    assert (table["needed"] == r).all()
    with pytest.raises(InputError, match="a majority of 3 cohorts"):
        replicate(cohorts(), "~ group", "case-control", "site", needed=1)


def test_two_of_three_cohorts_are_enough_and_one_is_not():
    data = cohorts()
    west = (data.samples["site"] == "west").to_numpy()
    case = (data.samples["group"] == "case").to_numpy()
    values = data.values.copy()
    values[:20, west & case] -= 0.8  # nothing is left in the third
    found = set(replicate(data.with_values(values), "~ group", "case-control", "site").replicated().index)
    assert len(found & {f"P{one}" for one in range(20)}) >= 15
    assert not found - {f"P{one}" for one in range(20)}
    assert replicate(data.with_values(values), "~ group", "case-control", "site", needed=3).replicated().empty


@pytest.mark.parametrize(("cohorts_up", "cohorts_down", "n", "r"), [
    (0, 0, 3, 2), (1, 0, 3, 2), (1, 1, 3, 2), (1, 1, 4, 3), (2, 1, 4, 3), (2, 2, 5, 3), (2, 0, 4, 3), (1, 0, 2, 2),
])  # fmt: skip
@pytest.mark.parametrize("strength", [0.7, 2.0, 8.0])
def test_the_direction_costs_nothing_whatever_fewer_cohorts_hold(cohorts_up, cohorts_down, n, r, strength):
    rng = np.random.default_rng(0)
    z = rng.standard_normal((40_000, n))
    z[:, :cohorts_up] += strength
    z[:, cohorts_up : cohorts_up + cohorts_down] -= strength
    needed = np.full(len(z), r)
    p = np.minimum(*(partial_conjunction(stats.norm.sf(way * z), needed) for way in (1, -1)))
    assert (p <= 0.05).mean() <= 0.053
    assert (p <= 0.005).mean() <= 0.0065


def test_cohorts_that_did_not_test_a_feature_do_not_count():
    p = np.array([[0.01, np.nan, 0.02], [0.01, np.nan, np.nan], [0.01, 0.02, 0.9]])
    np.testing.assert_allclose(partial_conjunction(p, np.array([2, 2, 2])), [0.02, 1.0, 0.04])


def test_noise_replicates_nowhere_and_p_is_not_too_small():
    small = []
    for seed in range(8):
        table = replicate(cohorts(seed, shared=0, own=0, features=400), "~ group", "case-control", "site").table
        assert (table["q"] > 0.05).all()
        small.append((table["p"] <= 0.05).mean())
    half = replicate(cohorts(3, shared=0, own=400, features=400), "~ group", "case-control", "site").table
    assert np.mean(small) <= 0.01
    assert (half["p"] <= 0.05).mean() <= 0.08  # one cohort is full of changes, the others have none


def test_random_effects_are_those_of_der_simonian_and_laird():
    effect, error = np.array([[0.5, 0.9, -0.2]]), np.array([[0.1, 0.2, 0.15]])
    weight = 1 / error[0] ** 2
    fixed = (weight * effect[0]).sum() / weight.sum()
    q = (weight * (effect[0] - fixed) ** 2).sum()
    tau2 = (q - 2) / (weight.sum() - (weight**2).sum() / weight.sum())
    random = 1 / (error[0] ** 2 + tau2)
    pooled, deviation, found, i2, p = (one[0] for one in random_effects(effect, error))
    np.testing.assert_allclose(pooled, (random * effect[0]).sum() / random.sum())
    np.testing.assert_allclose([deviation, found, i2], [random.sum() ** -0.5, tau2, (q - 2) / q])
    np.testing.assert_allclose(p, stats.chi2.sf(q, 2))
    alone = [one[0] for one in random_effects(np.array([[0.4, np.nan]]), np.array([[0.1, np.nan]]))]
    np.testing.assert_allclose(alone[:4], [0.4, 0.1, 0.0, 0.0])
    assert np.isnan(alone[4])


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("~ site + group", "~ group"),
        ("~ group * site", "~ group"),
        ("~ group + group:site", "~ group"),
        ("~ age + group", "~ age + group"),
        ("~ site", "~ 1"),
    ],
)
def test_a_formula_loses_its_cohort(formula, expected):
    assert without(formula, "site") == expected


def test_a_cohort_without_one_of_the_levels_is_said_and_one_cohort_is_no_replication():
    data = cohorts()
    kept = ~((data.samples["site"] == "west") & (data.samples["group"] == "case")).to_numpy()
    found = replicate(data.take(samples=kept), "~ group", "case-control", "site")
    assert (found.cohorts, len(found.notes)) == (["north", "south"], 1)
    assert found.notes[0].startswith("cohort west was not asked")
    north = data.take(samples=(data.samples["site"] == "north").to_numpy())
    with pytest.raises(InputError, match=r"cohorts of 'site'.*1 that can be asked"):
        replicate(north, "~ group", "case-control", "site")


def test_grade_a_is_what_replicates_and_one_cohort_has_none(tmp_path):
    data, budget = cohorts(), Budget(objectives=1, hypotheses=60)
    report = Study(data).run(budget, out=tmp_path / "run", settings=Settings(cohort="site"))
    best = {one.entities[0] for one in report.graded("A")}
    assert len(best & {f"P{one}" for one in range(20)}) >= 10
    assert not best & {f"P{one}" for one in range(20, 240)}
    assert all(one.replicated and one.cohorts for one in report.graded("A"))
    assert {one.cohorts[0].artifact for one in report.graded("A")} == {"replication.O1.S2"}
    folder = Folder(tmp_path / "run")
    (event,) = [one.data for one in read_journal(folder.events) if one.kind == "replication"]
    table = read_frame(folder.artifact("replication.O1.S2"))
    assert event["cohorts"] == sorted(SITES)
    assert event["replicated"] == int((table["q"] <= 0.05).sum())
    write_report(folder.root)
    assert "There was one cohort" not in folder.report.read_text()
    assert verify(folder.root).problems == []
    assert replay(folder.root).differences == []
    alone = Study(data).run(budget)
    assert alone.graded("A") == []
    assert alone.firm()
    assert {one.replicated for one in alone.hypotheses} == {None}


def test_tables_are_stacked_by_gene_and_samples_of_one_name_are_told_apart():
    data = cohorts()
    parts = []
    for place, site in enumerate(SITES):
        one = data.take(samples=(data.samples["site"] == site).to_numpy(), features=np.arange(240) != place)
        genes = pd.Series([f"G{name[1:]}" for name in one.features.index], index=one.features.index)
        names = [f"run{number}" for number in range(12)]
        parts.append((site, ProteomicsData(one.values, one.features.assign(gene=genes), one.samples.set_axis(names))))
    made = stack(parts)
    assert made.shape == (240, 36)
    assert made.samples.index[0] == "north:run0"
    assert made.samples["cohort"].value_counts().to_dict() == dict.fromkeys(SITES, 12)
    assert np.isnan(made.values[made.features.index.get_loc("G1"), 12:24]).all()
    assert "3 cohorts, 237 of 240 features in each" in made.notes
    with pytest.raises(InputError, match="no feature in common"):
        stack(
            [
                parts[0],
                ("x", ProteomicsData(np.ones((1, 2)), pd.DataFrame(index=["zz"]), pd.DataFrame(index=["a", "b"]))),
            ]
        )


def test_run_takes_several_tables_as_cohorts(tmp_path):
    data = cohorts()
    paths = []
    for site in SITES[:2]:
        part = data.take(samples=(data.samples["site"] == site).to_numpy())
        paths.append(tmp_path / f"{site}.csv")
        pd.DataFrame(2**part.values, index=part.features.index, columns=part.samples.index).to_csv(paths[-1])
    kept = data.samples["site"].isin(SITES[:2])
    data.samples.loc[kept, ["group"]].rename_axis("sample").reset_index().to_csv(tmp_path / "sheet.csv", index=False)
    words = ["run", *map(str, paths), "-s", str(tmp_path / "sheet.csv"), "--objectives", "1", "--quiet", "--json"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    text = json.dumps(json.loads(done.stdout))
    assert "one cohort" not in text
    assert '"A"' in text


def test_halves_of_a_cohort_predict_what_replicates():
    data = table(noise(300, 24), group=["a"] * 12 + ["b"] * 12)
    values = data.values.copy()
    values[:20, :12] += 4.0
    found = predict_replication(data.with_values(values), "~ group", "a-b", splits=4)
    changed = found.table.loc[data.features.index[:20]]
    assert changed["replicates"].min() > 0.9
    assert found.rate > 0.8
    assert "B" in found.notes[0]
    with pytest.raises(InputError, match="4 or more"):
        predict_replication(data.take(samples=np.arange(10, 24)), "~ group", "a-b")


def test_halves_of_a_cohort_without_signal_predict_none():
    data = table(noise(300, 16), group=["a"] * 8 + ["b"] * 8)
    found = predict_replication(data, "~ group", "a-b", splits=3)
    assert len(found.table) <= 1
    assert not found.rate > 0.3


def test_cohorts_whose_groups_differ_in_missing_values_earn_no_a():
    rng = np.random.default_rng(0)
    data = table(noise(200, 24), group=(["a"] * 6 + ["b"] * 6) * 2, site=["n"] * 12 + ["s"] * 12)
    gaps = (rng.random(data.shape) < 0.2) & (data.samples["group"] == "a").to_numpy()
    sparse = data.with_values(np.where(gaps, np.nan, data.values))
    assert any("missing values differ between levels of group" in one for one in profile(sparse).warnings)
    assert not any("missing values differ" in one for one in profile(data).warnings)
    with pytest.raises(InputError, match="missing values"):
        replicate(sparse, "~ group", "a-b", "site")


def test_persons_stay_in_one_half(monkeypatch):
    data = table(noise(60, 24), group=["a", "b"] * 12, who=[f"d{one // 2}" for one in range(24)])
    met = []

    def looked_at(part, *rest, **options):
        met.append(set(part.samples["who"]))
        return moderated_test(part, *rest, **options)

    monkeypatch.setattr("proteus.differential._replication.moderated_test", looked_at)
    predict_replication(data, "~ who + group", "a-b", splits=3, subject="who")
    for first, second in zip(met[1::2], met[2::2], strict=True):
        assert not first & second
        assert len(first) == len(second) == 6


def test_a_kept_run_of_one_cohort_says_what_its_halves_predict_beside_its_scores(tmp_path):
    data = cohorts()
    report = Study(data).run(Budget(objectives=1, hypotheses=40), out=tmp_path / "run")
    folder = Folder(tmp_path / "run")
    (event,) = [one.data for one in read_journal(folder.events) if one.kind == "predicted"]
    assert report.predicted == (event["contrast"], event["rate"])
    assert 0 < event["rate"] <= 1
    marks = score(folder.root).set_index("entity")["replicates"]
    shares = read_frame(folder.artifact("predicted.O1.S2")).set_index("id")["replicates"]
    assert marks["P3"] == shares["P3"]
    metric = {name: (n, rho) for judge, name, n, rho in beside_replication(folder) if judge == "rubric"}
    assert set(metric) >= {"reliability", "coherence", "evaluability"}
    write_report(folder.root)
    page = folder.report.read_text()
    assert f"the other half shows {shown(event['rate'])}" in page
    assert "Scores beside replication" in page
    assert verify(folder.root).problems == []
    assert replay(folder.root).differences == []


@needs_data
def test_at_least_eight_proteins_of_csf_replicate_over_sites_and_none_where_groups_are_shuffled():
    data = normalise(published.csf())
    found = replicate(data, "~ group", "AD-control", "site")
    assert len(found.replicated()) >= 8
    assert {"MAPT", "YWHAZ", "PKM", "ALDOA"} <= set(found.replicated()["gene"])
    rng = np.random.default_rng(1)
    for _ in range(3):
        sheet = data.samples.copy()
        sheet["group"] = sheet.groupby("site")["group"].transform(lambda one: rng.permutation(one.to_numpy()))
        shuffled = ProteomicsData(data.values, data.features, sheet)
        assert replicate(shuffled, "~ group", "AD-control", "site").replicated().empty
