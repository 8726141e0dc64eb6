"""A kept run has its page whoever started it, and says which objectives have no answer."""

from ninefold.errors import InputError
from proteus import Budget, Study
from proteus.study._tables import report_tables
from proteus.tools import _registry
from proteus.verification._verify import verify

from .helpers import noise, table


def small(**columns):
    values = noise(80, 8)
    values[:5, :4] += 3
    return table(values, group=["a"] * 4 + ["b"] * 4, **columns)


def test_a_run_from_python_leaves_its_page_and_verifies(tmp_path):
    report = Study(small()).run(Budget(objectives=1), out=tmp_path / "run")
    assert report.path is not None
    assert (report.path / "report.html").is_file()
    assert {"results.csv", "results.parquet", "steps.py"} <= {one.name for one in report.path.iterdir()}
    assert verify(tmp_path / "run").problems == []


def broken(tool):
    def run(*_):
        raise InputError("table", got="something odd", expected="something else")

    return type(tool)(tool.name, tool.summary, tool.params, tool.tables, run, tool.reads, tool.requires, tool.confirms)


def test_an_objective_that_failed_says_so_in_terminal_and_page(tmp_path, monkeypatch):
    known = _registry.tools()
    monkeypatch.setattr("proteus.study._engine.tools", lambda: {**known, "contrast": broken(known["contrast"])})
    report = Study(small()).run(Budget(objectives=1), out=tmp_path / "run")
    assert "something odd" in report.answers[0].summary
    shown = next(one for one in report_tables(report, cohorts=False) if one.title == "Objectives")
    assert "failed: contrast: table: got something odd" in shown.rows[0][-1]
    assert any("O1 has no answer" in note for note in shown.notes)
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "failed: table: got something odd" in page
    assert "Nothing passed" not in page


def test_an_objective_that_is_refused_says_so_in_the_terminal():
    report = Study(small(plate=["p1"] * 4 + ["p2"] * 4)).run(Budget(objectives=3))
    refused = [one for one in report.answers if one.refused]
    assert refused
    shown = next(one for one in report_tables(report, cohorts=False) if one.title == "Objectives")
    for one in refused:
        assert any(one.objective.id in note and "cannot be told apart" in note for note in shown.notes)
