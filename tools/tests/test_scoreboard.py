"""Tables are what the committed outcomes say, and only what may count is shown."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from ninefold.proof import Claim, at_least
from scoreboard import outcomes, package_table, root_table, rows, with_block
from workspace import Package, ToolError

OUTCOME = {
    "id": "thing/keeps-accuracy",
    "form": "full",
    "verdict": "not reproduced",
    "arms": {"ours": {"mean": 91.25, "sd": 0.5}, "theirs": {"mean": 93.0, "sd": 0.25}},
    "comparisons": [{"bar": "ours >= theirs - 1", "estimate": -0.75, "low": -1.1, "high": -0.4, "verdict": "x"}],
    "seeds": 3,
    "date": "2026-03-01",
    "version": "0.1.0",
}


def claim(statement):
    says, verdict = f"says {statement}", at_least("ours", "theirs")
    return Claim(id=f"thing/{statement}", says=says, source="table 1", run=lambda *_: {}, verdict=verdict)


@pytest.fixture
def package(tmp_path):
    """A package whose results can be written: `.put(name, **changes)`."""
    (tmp_path / "results").mkdir()

    def put(name, **changes):
        (tmp_path / "results" / name).write_text(json.dumps({**OUTCOME, **changes}))

    return SimpleNamespace(read=lambda: outcomes(Package(tmp_path)), put=put)


def test_tables_show_numbers_interval_verdict_and_where(package):
    package.put("keeps-accuracy.full.x86_64-2cpu.json")
    pairs = rows([claim("keeps-accuracy")], package.read())
    table = package_table(pairs)
    for text in ("ours 91.25 ± 0.5", "-0.75 [-1.1, -0.4]", "**not reproduced**", "3 seeds", "x86_64-2cpu"):
        assert text in table
    assert "| not reproduced | 3 seeds, x86_64-2cpu, 2026-03-01 |" in root_table({"thing": pairs})


def test_claim_without_a_result_is_shown_as_not_run(package):
    pairs = rows([claim("new")], package.read())
    assert "not run yet" in package_table(pairs)
    assert "not run yet" in root_table({"thing": pairs})


def test_one_claim_on_two_machines_has_two_lines(package):
    package.put("keeps-accuracy.full.x86_64-2cpu.json")
    package.put("keeps-accuracy.full.h100.json")
    assert len(rows([claim("keeps-accuracy")], package.read())) == 2


def test_quick_form_among_the_results_is_refused(package):
    package.put("keeps-accuracy.quick.x86_64-2cpu.json", form="quick")
    with pytest.raises(ToolError, match="only full forms count"):
        package.read()


def test_result_under_another_claims_name_is_refused(package):
    package.put("other.full.x86_64-2cpu.json")
    with pytest.raises(ToolError, match="holds the outcome of thing/keeps-accuracy"):
        package.read()


def test_result_of_a_claim_that_is_gone_is_refused(package):
    package.put("keeps-accuracy.full.x86_64-2cpu.json")
    with pytest.raises(ToolError, match="no longer exist: thing/keeps-accuracy"):
        rows([claim("other")], package.read())


def test_block_is_written_between_its_markers_once_and_for_all():
    text = "a\n<!-- scoreboard:begin (written by a tool) -->\nold \\1\n<!-- scoreboard:end -->\nb\n"
    once = with_block(text, "scoreboard", "new \\1", Path("README.md"))
    assert once == "a\n<!-- scoreboard:begin (written by a tool) -->\n\nnew \\1\n\n<!-- scoreboard:end -->\nb\n"
    assert with_block(once, "scoreboard", "new \\1", Path("README.md")) == once


def test_readme_without_markers_is_refused():
    with pytest.raises(ToolError, match=r"README.md needs one pair of markers <!-- scoreboard:begin"):
        with_block("no markers", "scoreboard", "x", Path("README.md"))
