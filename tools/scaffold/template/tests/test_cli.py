"""Verbs beyond what the contract asks."""

from __future__ import annotations

import json

from ninefold_testing import run

MODULE = "template_package.cli"


def test_columns_of_a_csv_are_estimated_and_kept(tmp_path):
    data, out = tmp_path / "data.csv", tmp_path / "means.safetensors"
    data.write_text("1,2,30\n3,4,10\n2,3,20\n")
    done = run(MODULE, "estimate", str(data), "-o", str(out), "--json")
    assert done.returncode == 0, done.stderr
    assert [row["sample mean"] for row in json.loads(done.stdout)["rows"]] == [2, 3, 20]
    assert "james-stein" in run(MODULE, "inspect", str(out)).stdout


def test_csv_that_is_none_is_named(tmp_path):
    data = tmp_path / "data.csv"
    data.write_text("a,b\n")
    done = run(MODULE, "estimate", str(data))
    assert done.returncode == 2
    assert str(data) in done.stderr


def test_demo_shows_a_gain(tmp_path):
    done = run(MODULE, "demo", "--json", "-o", str(tmp_path / "demo.html"))
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)["rows"]
    assert row["compared"] == "better"
    assert "data:image/" in (tmp_path / "demo.html").read_text()
