"""Tables are what the committed outcomes say, and only what may count is shown."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from counts import passed_by, with_spread
from ninefold_lab import Claim, Comparison, all_of, at_least
from retired import Retired
from scoreboard import (
    gone,
    outcomes,
    package_table,
    root_table,
    rows,
    with_block,
)
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


SCORES = {f"{seed}\t{arm}\t": [score + seed / 10] for seed in range(3) for arm, score in (("ours", 91), ("theirs", 93))}


def experiment(budget, seed):
    return {}


def claim(statement, margin=-1.0):
    says, verdict = f"says {statement}", at_least("ours", "theirs", margin)
    return Claim(id=f"thing/{statement}", says=says, source="table 1", run=experiment, verdict=verdict)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package whose results can be written: `.put(name, **changes)`."""
    (tmp_path / "experiments" / "results").mkdir(parents=True)
    monkeypatch.setattr("scoreboard.code_key", lambda claim: "today")

    def put(name, **changes):
        (tmp_path / "experiments" / "results" / name).write_text(json.dumps({**OUTCOME, **changes}))

    return SimpleNamespace(read=lambda: outcomes(Package(tmp_path)), put=put)


def cells(table, first):
    """The cells of the row whose first cell starts with `first`."""
    (line,) = [line for line in table.splitlines() if line.startswith(f"| {first}")]
    return [cell.strip() for cell in line.strip("|").split(" | ")]


def test_tables_show_numbers_interval_verdict_and_where(package):
    package.put("keeps-accuracy.full.x86_64-2cpu.json", scores=SCORES, provenance={"code": "today"})
    pairs = rows([claim("keeps-accuracy")], package.read())
    table = package_table(pairs)
    for text in ("ours 91.25 ± 0.50", "ours >= theirs - 1: -1 ", ", missed |", "**0 of 1 met, 1 missed**", "3 seeds"):
        assert text in table
    assert "older" not in table
    assert cells(root_table({"thing": pairs}).to_markdown(), "[thing]") == [
        "[thing](packages/thing#results)",
        "",
        "1",
        "",
        "",
        "",
    ]
    assert cells(root_table({"thing": pairs}).to_markdown(), "all") == ["all", "0", "1", "0", "0", "0"]
    assert all(
        len(line.split(" | ")) <= 6 for line in (table + "\n" + root_table({"thing": pairs}).to_markdown()).splitlines()
    )


def test_of_more_arms_than_a_cell_holds_those_that_a_bar_names_are_shown(package):
    many = OUTCOME["arms"] | {f"rival {number}": {"mean": 90.0, "sd": 0.0} for number in range(100)}
    package.put("keeps-accuracy.full.x86_64-2cpu.json", scores=SCORES, arms=many)
    table = package_table(rows([claim("keeps-accuracy")], package.read()))
    assert "ours 91.25 ± 0.50<br>theirs 93.00 ± 0.25<br>and 100 more in `experiments/results` |" in table


def test_verdict_is_that_of_the_stored_scores_by_todays_bar(package):
    package.put("keeps-accuracy.full.x86_64-2cpu.json", scores=SCORES, verdict="not reproduced")
    assert rows([claim("keeps-accuracy", margin=-3.0)], package.read())[0].state == "reproduced"


def test_outcome_without_scores_is_to_be_judged_again(package):
    package.put("keeps-accuracy.full.x86_64-2cpu.json")
    pairs = rows([claim("keeps-accuracy")], package.read())
    assert "**to be judged again**" in package_table(pairs)
    assert "missed" not in package_table(pairs)
    assert "1 of 1 outcomes store no scores for a comparison of today." in root_table({"thing": pairs}).to_markdown()


def test_outcome_without_an_arm_of_todays_bars_is_to_be_judged_again(package):
    without = {key: score for key, score in SCORES.items() if "theirs" not in key}
    package.put("keeps-accuracy.full.x86_64-2cpu.json", scores=without)
    assert rows([claim("keeps-accuracy")], package.read())[0].state == "to be judged again"


def test_outcome_of_older_source_is_marked_and_counted(package):
    package.put("keeps-accuracy.full.x86_64-2cpu.json", scores=SCORES, provenance={"code": "yesterday"})
    pairs = rows([claim("keeps-accuracy")], package.read())
    marked = package_table(pairs) + root_table({"thing": pairs}).to_markdown()
    assert "v0.1.0, older source |" in marked
    assert "1 of 1 outcomes are of older source" in marked


def test_outcome_of_older_source_that_was_confirmed_is_not_marked(package):
    stamp = {"confirmed": {"code": "today", "commit": "7d1f", "date": "2026-03-02", "seed": 0}}
    package.put("keeps-accuracy.full.x86_64-2cpu.json", scores=SCORES, provenance={"code": "yesterday"}, **stamp)
    assert not rows([claim("keeps-accuracy")], package.read())[0].is_older


def test_outcome_from_an_uncommitted_tree_is_marked_and_counted(package):
    package.put("keeps-accuracy.full.x86_64-2cpu.json", scores=SCORES, environment={"commit": "7d1f+changes"})
    pairs = rows([claim("keeps-accuracy")], package.read())
    assert "v0.1.0, uncommitted source |" in package_table(pairs)
    assert "1 of 1 outcomes come from a tree with uncommitted changes." in root_table({"thing": pairs}).to_markdown()


def test_comparisons_are_counted_as_met_missed_open_and_of_identical_arms(package):
    bars = all_of(*(at_least("ours", *rival) for rival in (("theirs", -3), ("theirs",), ("wide",), ("ours",))))
    wide = {f"{seed}\twide\t": [score] for seed, score in enumerate((50, 91, 130))}
    package.put("keeps-accuracy.full.x86_64-2cpu.json", scores={**SCORES, **wide})
    pairs = rows([dataclasses.replace(claim("keeps-accuracy"), verdict=bars)], package.read())
    assert "**1 of 3 met, 1 missed, 1 open, 1 of identical arms**" in package_table(pairs)
    assert cells(root_table({"thing": pairs}).to_markdown(), "[thing]")[1:] == ["1", "1", "1", "1", ""]


def retired(statement, bar, **changes):
    last = Comparison(bar, 0.5, -1.0, 2.0, "inconclusive")
    about = {"reason": "the rival was withdrawn", "date": "2026-02-02", "judged": "2026-02-01", **changes}
    return Retired(claim=f"thing/{statement}", bar=bar, last=last, **about)


def test_retired_comparisons_stay_in_the_table_and_the_counts(package):
    package.put("keeps-accuracy.full.x86_64-2cpu.json", scores=SCORES)
    declared = [claim("keeps-accuracy")]
    entries = [
        retired("keeps-accuracy", "ours >= theirs - 3"),  # judged from the scores of today
        retired("keeps-accuracy", "ours >= gone"),  # as last judged
        retired("is-gone", "a >= b"),
        retired("keeps-accuracy", "ours >= them - 1", now="ours >= theirs - 1"),  # reworded: not counted
    ]
    pairs = rows(declared, package.read(), entries)
    left = gone(declared, entries)
    table = package_table(pairs, left)
    assert "3 retired comparisons: 1 of 3 met, 2 open" in table
    assert (
        "| keeps-accuracy | ours >= theirs - 3 | +1 [every seed] | met | 2026-02-01 | 2026-02-02: the rival was"
        in table
    )
    assert "| is-gone | a >= b |" in table
    assert "them - 1" not in table
    assert cells(root_table({"thing": pairs}, {"thing": left}).to_markdown(), "[thing]")[1:] == ["", "1", "", "", "3"]


def test_claim_without_a_result_is_shown_as_not_run(package):
    pairs = rows([claim("new")], package.read())
    assert "not run" in package_table(pairs)
    assert "1 claim waits for a first run." in root_table({"thing": pairs}).to_markdown()


def test_claim_on_files_of_the_reader_is_named_below_the_table_until_it_is_run(package):
    own = dataclasses.replace(claim("films"), brings="$NINEFOLD_DATA/films")
    pairs = rows([own], package.read())
    lines = package_table(pairs).splitlines()
    assert not any(line.startswith("| says films") for line in lines)
    assert "1 recipe waits for your own files in `$NINEFOLD_DATA/films`" in "\n".join(lines)
    assert lines[-1] == "- `films`: says films (table 1)"
    assert cells(root_table({"thing": pairs}).to_markdown(), "[thing]")[1:] == ["", "", "", "", ""]
    assert "1 claim waits for readers' files" in root_table({"thing": pairs}).to_markdown()
    package.put("films.full.x86_64-2cpu.json", scores=SCORES, id="thing/films")
    assert "**0 of 1 met, 1 missed**" in package_table(rows([own], package.read()))


def test_claim_with_two_outcomes_counts_once_by_the_later(package):
    package.put("keeps-accuracy.full.x86_64-2cpu.json")
    package.put("keeps-accuracy.full.h100.json", scores=SCORES, date="2026-04-01")
    pairs = rows([claim("keeps-accuracy")], package.read())
    assert len(pairs) == 2
    assert cells(root_table({"thing": pairs}).to_markdown(), "[thing]")[1:] == ["", "1", "", "", ""]


@pytest.mark.parametrize(
    ("mean", "spread", "text"),
    [
        (91.2512, 0.51, "91.25 ± 0.51"),
        (91.2512, 3.2, "91.3 ± 3.2"),
        (12345.6, 120.0, "12,346 ± 120"),
        (0.5, 0.0, "0.5"),
        (6.2097635138942904, 1.1e-15, "6.21"),
    ],
)
def test_means_have_the_digits_that_the_spread_supports(mean, spread, text):
    assert with_spread(mean, spread) == text


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (-1.1234, -0.4, "-0.75 [-1.12, -0.40]"),
        (-41.0, 40.0, "-1 [-41, +40]"),
        (-np.inf, np.inf, "-0.75 (one run, no interval)"),
        (-0.75, -0.75, "-0.75 [every seed]"),
    ],
)
def test_bars_have_the_digits_that_the_interval_supports(low, high, text):
    assert passed_by(Comparison("", -0.75, low, high, "")) == text


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
