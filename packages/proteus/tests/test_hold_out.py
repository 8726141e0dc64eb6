import numpy as np
import pandas as pd
import pytest
from ninefold.errors import InputError
from proteus import Budget, ProteomicsData, Settings, Study
from proteus.knowledge._describe import describe
from proteus.record._journal import read_journal
from proteus.record._run_folder import Folder, read_frame
from proteus.study._hold_out import split
from proteus.verification._replay import replay
from proteus.verification._report import write_report
from proteus.verification._verify import verify

from .helpers import undrawn  # noqa: F401  (a fixture)


def cohort(n=80, features=150, seed=0, **columns):
    """f0 and f1 differ between groups in all samples; f2 in the first half of the samples alone."""
    rng = np.random.default_rng(seed)
    values = rng.uniform(23, 27, (features, 1)) + 0.5 * rng.standard_normal((features, n))
    group = np.array(["case", "control"] * (n // 2))
    values[:2, group == "case"] += 1.5
    sheet = pd.DataFrame({"group": group, **columns}, index=[f"s{k}" for k in range(n)])
    return ProteomicsData(values, pd.DataFrame(index=[f"f{k}" for k in range(features)]), sheet)


def test_the_split_is_stratified_and_keeps_subjects_whole():
    data = cohort()
    held = split(data, describe(data), 0.3, 0)
    assert held.sum() == 24
    assert (data.samples["group"][held] == "case").sum() == 12
    assert not np.array_equal(held, split(data, describe(data), 0.3, 1))
    paired = cohort(patient=[f"p{k // 2}" for k in range(80)])
    held = split(paired, describe(paired), 0.25, 0)
    assert held.sum() == 20
    assert all(len(set(part)) == 1 for _, part in pd.Series(held).groupby(paired.samples["patient"].to_numpy()))


@pytest.mark.parametrize(
    ("n", "share", "message"),
    [(58, 0.3, "58 samples, expected 60 samples or more"), (80, 0.05, "0.05, expected a share from 0.1 to 0.5")],
)
def test_too_few_samples_or_an_odd_share_are_refused(n, share, message):
    with pytest.raises(InputError, match=message):
        Study(cohort(n)).run(Budget(objectives=1), settings=Settings(hold_out=share))


@pytest.mark.usefixtures("undrawn")
def test_what_holds_on_unseen_samples_is_told_from_what_does_not(tmp_path):
    data = cohort()
    held = split(data, describe(data), 0.4, 0)
    values = data.values.copy()
    values[2, ~held & (data.samples["group"] == "case").to_numpy()] += 1.5  # a fluke of the part that is looked at
    data = data.with_values(values)
    run = tmp_path / "run"
    report = Study(data).run(Budget(objectives=1), settings=Settings(hold_out=0.4), out=run)
    told = {one.entities[0]: one.held for one in report.hypotheses}
    assert (told["f0"], told["f1"], told["f2"]) == (True, True, False)
    assert report.profile.samples == 48
    table = read_frame(Folder(run).artifact("hold_out")).set_index("id")
    assert set(table.index) == {one.id for one in report.hypotheses if one.held is not None}
    assert (table["n"] == 32).all()
    event = next(one.data for one in read_journal(Folder(run).events) if one.kind == "held_out")
    assert (event["samples"], event["tested"], event["held"]) == (32, len(table), int(table["held"].sum()))
    page = write_report(run).read_text()
    assert "On the samples held out: it came out again, effect " in page
    assert "it did not come out again" in page
    assert verify(run).problems == []
    assert replay(run).differences == []
    again = Study(data).run(Budget(objectives=1), settings=Settings(hold_out=0.4), out=run, resume=True)
    assert [one.held for one in again.hypotheses] == [one.held for one in report.hypotheses]


def test_the_test_is_scipys_in_the_direction_that_was_claimed(tmp_path):
    """Two groups, no covariate: the held-out p is the one-sided moderated p of the held-out samples alone."""
    from proteus import moderated_test, normalise

    data = cohort()
    held = split(data, describe(data), 0.4, 0)
    run = tmp_path / "run"
    report = Study(data).run(Budget(objectives=1), settings=Settings(hold_out=0.4), out=run)
    table = read_frame(Folder(run).artifact("hold_out")).set_index("id")
    alone = moderated_test(normalise(data.take(samples=held)), "~ group", "case-control").table
    for one in report.hypotheses:
        if one.held is not None:
            row = alone.loc[table.loc[one.id, "row"]]
            same = np.sign(row["effect"]) == (1 if one.direction == "up" else -1)
            assert table.loc[one.id, "p"] == pytest.approx(row["p"] / 2 if same else 1 - row["p"] / 2)
