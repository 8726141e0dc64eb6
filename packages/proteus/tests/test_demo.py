"""The demo's own numbers, from what it returns."""

import json

import numpy as np
import pytest
from proteus.cli import app
from proteus.demo import _t_test, demo
from proteus.statistics._error_control import benjamini_hochberg
from scipy import stats
from typer.testing import CliRunner


@pytest.fixture(scope="module")
def shown():
    return demo()


def test_the_demo_compares_each_test_at_the_same_fold_bar(shown):
    rows = {row[0]: dict(zip(shown.table.columns, row, strict=True)) for row in shown.table.rows}
    ours, student = rows["peptides, proteus"], rows["peptides, Student"]
    assert shown.arms.rival == "peptides, Student"  # not the one that ours would look best beside
    assert ours["true"] > student["true"] > rows["peptides, Welch"]["true"]
    assert f"{100 * ours['true'] / ours['of']:.0f} % of the changed" in shown.headline
    assert f"{100 * student['true'] / ours['of']:.0f} % with Student" in shown.headline
    assert f"({100 * ours['false share']:.0f} % and {100 * student['false share']:.0f} % of the calls" in shown.headline
    for name in ("proteus", "Student", "Welch"):  # the bar, not the test, keeps false calls out
        without = rows[f"peptides, {name}, no fold bar"]
        assert without["false share"] > 0.5 > 0.2 > rows[f"peptides, {name}"]["false share"]
        assert without["true"] >= rows[f"peptides, {name}"]["true"]
    assert not any("{" in note for note in shown.notes)  # no Python dict among the words
    for row in rows.values():
        assert row["false share"] == pytest.approx(1 - row["true"] / row["called"], abs=5e-4)


def test_t_tests_of_the_demo_are_scipys():
    draw = np.random.default_rng(0)
    one, two = draw.normal(0, 1, (200, 4)), draw.normal(0.5, 2, (200, 3))
    one[draw.random(one.shape) < 0.2] = np.nan
    enough = np.isfinite(one).sum(1) >= 2
    for equal in (False, True):
        p = stats.ttest_ind(one[enough], two[enough], axis=1, equal_var=equal, nan_policy="omit").pvalue
        np.testing.assert_allclose(_t_test(one, two, equal, 0.0)[enough], benjamini_hochberg(np.asarray(p)), rtol=1e-9)
        assert (_t_test(one, two, equal, 0.0)[~enough] == 1).all()
        assert (_t_test(one, two, equal, 0.3) >= _t_test(one, two, equal, 0.0) - 1e-12).all()


def test_the_demo_counts_firm_hypotheses(shown):
    row = next(row for row in shown.table.rows if row[0] == "proteins, firm hypotheses")
    called, true, of, false = row[1:]
    assert true >= 40
    assert true <= of
    assert false <= 0.12
    assert called == true + round(false * called)


def test_the_verb_prints_the_verdict_and_writes_a_page_with_its_tables(shown, tmp_path, monkeypatch):
    seeds = []
    monkeypatch.setattr("proteus.demo.demo", lambda seed: seeds.append(seed) or shown)  # the same work, done once
    done = CliRunner().invoke(app, ["demo", "-o", str(tmp_path / "page.html"), "--json"])
    assert done.exit_code == 0, done.exception
    assert seeds == [0]
    (row,) = json.loads(done.stdout)["rows"]
    assert row["system"] == "proteus"
    page = (tmp_path / "page.html").read_text()
    for words in ("peptides, proteus, no fold bar", "peptides, Student", "proteins, firm hypotheses"):
        assert words in page
    assert "data:image/png;base64" in page
