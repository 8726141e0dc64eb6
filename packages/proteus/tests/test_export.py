"""What a run gives to take away: the result table, its steps as a script, counts, methods."""

import runpy

import numpy as np
import pandas as pd
import pytest
from ninefold.errors import InputError
from proteus import Budget, ProteomicsData, Steps, Study
from proteus.record._journal import Journal, read_journal
from proteus.record._objects import Objective, Step, StepResult, Workflow
from proteus.record._run_folder import Folder, read_frame
from proteus.verification._export import SCRIPT, counts, methods, result_table, script, write_results
from proteus.verification._report import render_report
from proteus.verification._verify import verify

from .helpers import noise, write_undrawn


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
    report = Study(data).run(Budget(objectives=4), out=out)
    write_undrawn(out)
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


def test_the_exported_script_computes_the_runs_tables_again(run, tmp_path, monkeypatch, capsys):
    report, folder = run
    write_results(folder.root)
    place = tmp_path / "edited.py"
    place.write_text((folder.root / SCRIPT).read_text())
    monkeypatch.setattr("sys.argv", [str(place), str(folder.root)])
    made = runpy.run_path(str(place))
    compared = 0
    for answer in report.answers:
        for key, result in answer.results.items():
            for name, artifact in result.artifacts.items():
                found = made[f"{answer.objective.id}_{key}".lower()].tables[name]
                pd.testing.assert_frame_equal(
                    found.reset_index(drop=True), read_frame(folder.artifact(artifact)), check_dtype=False
                )
                compared += 1
    assert compared >= 8
    assert "GENE" in capsys.readouterr().out


def test_a_script_quotes_what_users_write_and_leaves_out_what_failed(tmp_path):
    folder = Folder(tmp_path / "run")
    journal = Journal(folder.events)
    evil = "what\nimport os\u2028 ''' x?"
    aim = Objective(id="O1", template="group_contrast", question=evil, requires=[])
    journal.append("run", seed=3, version="0.3.0")
    journal.append("objective", objective=aim.model_dump(), accepted=True)
    steps = [
        Step(id="S1", tool="contrast", params={"design": "~ '\n\"x", "contrast": "a-b"}),
        Step(id="S2", tool="trend", params={"over": "age"}),
        Step(id="S3", tool="sensitivity", inputs=["S2"]),
    ]
    journal.append("workflow", workflow=Workflow(objective="O1", steps=steps).model_dump())
    for step, error in zip(steps, ("", "no\nsuch column", ""), strict=True):
        result = StepResult(objective="O1", step=step.id, status="failed" if error else "ok", error=error)
        journal.append("step", objective="O1", step=step.model_dump(), workflow_version=1, result=result.model_dump())
    lines = script(folder).splitlines()
    calls = [one for one in lines if " = steps(" in one]
    assert calls == [f"o1_s1 = steps('contrast', design={steps[0].params['design']!r}, contrast='a-b')  # "]
    assert "# trend: no such column" in lines
    assert not [one for one in lines if one.startswith("import os")]
    compile(script(folder), "steps.py", "exec")


def test_steps_name_what_is_wrong(run):
    _, folder = run
    steps = Steps(folder.root)
    with pytest.raises(InputError, match="there is no tool 'shell'"):
        steps("shell")
    with pytest.raises(InputError, match=r"contrast\.design: Field required"):
        steps("contrast", contrast="low-none")
    with pytest.raises(InputError, match="needs a step of contrast among its inputs"):
        steps("sensitivity")
