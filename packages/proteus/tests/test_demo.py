"""The demo's own numbers, from what it returns."""

import json

import pytest
from proteus.cli import app
from proteus.demo import demo
from typer.testing import CliRunner


@pytest.fixture(scope="module")
def shown():
    return demo()


def test_the_demo_compares_false_shares_of_equal_tables(shown):
    rows = {row[0]: dict(zip(shown.table.columns, row, strict=True)) for row in shown.table.rows}
    assert {"peptides, Welch", "peptides, Student"} <= set(rows)
    false = {name: row["false share"] for name, row in rows.items()}
    assert false["peptides, proteus"] < false["peptides, proteus, no fold bar"]
    assert false["peptides, proteus"] < false["peptides, Student"]
    assert rows["peptides, proteus"]["true"] >= 0.9 * rows["peptides, Student"]["true"]
    for row in rows.values():
        assert row["false share"] == pytest.approx(1 - row["true"] / row["called"], abs=5e-4)


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
