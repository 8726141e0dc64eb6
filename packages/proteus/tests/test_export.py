"""What a run gives to take away: the result table, counts, methods."""

import numpy as np
import pandas as pd
import pytest
from proteus import Budget, ProteomicsData, Study
from proteus.record._journal import read_journal
from proteus.record._run_folder import Folder
from proteus.verification._export import counts, methods, result_table, write_results
from proteus.verification._report import render_report, write_report
from proteus.verification._verify import verify

from .helpers import noise


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    values = noise(120, 12, sd=0.2)
    values[:10, 8:] += 1.5
    values[40:60, :4][np.random.default_rng(0).random((20, 4)) < 0.5] = np.nan
    sheet = pd.DataFrame(
        {"arm": ["none"] * 4 + ["low"] * 4 + ["tall"] * 4}, pd.Index([f"s{one}" for one in range(12)], name="sample")
    )
    names = ["=cmd|' /C calc'!A0", *(f"GENE{place}" for place in range(1, 120))]
    data = ProteomicsData(
        values, pd.DataFrame({"gene": names}, pd.Index([f"P{p}" for p in range(120)], name="id")), sheet
    )
    out = tmp_path_factory.mktemp("export") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("proteus.verification._report.draw", lambda _: [])
        report = Study(data).run(Budget(objectives=4), out=out)
        write_report(out)
    return report, Folder(out)


def test_one_table_has_all_contrasts_with_grades_and_the_rows_as_tested(run):
    report, folder = run
    frame = result_table(folder)
    asked = {one.objective.contrast for one in report.answers if one.objective.template == "group_contrast"}
    assert set(frame["contrast"]) == asked
    assert len(frame) == 120 * len(asked)
    for one in report.hypotheses:
        name, row = one.evidence[0].split("#")
        if ".features" in name and one.context in asked:
            found = frame[(frame["contrast"] == one.context) & (frame["id"] == row)]
            assert found["grade"].tolist() == [one.grade]
            assert found["hypothesis"].tolist() == [one.id]


def test_all_forms_hold_the_same_and_formulas_are_quoted(run):
    _, folder = run
    made = {path.suffix: path for path in write_results(folder.root)}
    frame = result_table(folder)
    pd.testing.assert_frame_equal(pd.read_parquet(made[".parquet"]), frame)
    text = made[".csv"].read_text()
    assert "'=cmd" in text
    assert ",=cmd" not in text
    read = pd.read_csv(made[".csv"])
    np.testing.assert_allclose(read["p"], frame["p"])
    if ".xlsx" in made:
        book = pd.read_excel(made[".xlsx"])
        assert (book["entity"].str[0] != "=").all()
        np.testing.assert_allclose(book["p"], frame["p"])
    assert verify(folder.root).problems == []
    made[".csv"].write_text(text.replace("GENE1,", "GENE2,", 1))
    assert verify(folder.root).problems == ["results.csv: is not what the run's artifacts give"]
    write_results(folder.root)


def test_counts_and_methods_say_what_was_done(run):
    report, folder = run
    events = read_journal(folder.events)
    rows = {row[0]: row[1:] for row in counts(events)}
    for answer in report.answers:
        if answer.objective.template == "group_contrast":
            found = answer.results["S2"].metrics
            assert rows[answer.objective.contrast][0] == "4 + 4"
            assert rows[answer.objective.contrast][1:] == [
                str(found[one]) for one in ("tested", "modelled", "only_in_one", "hits")
            ]
    said = methods(events)
    assert "120 features in 12 samples" in said
    for contrast in rows:
        assert f"{contrast}: median normalisation, linear model ~ arm" in said
    page = render_report(folder)
    assert "Counts and methods" in page
    assert "Missing values entered the likelihood" in page
