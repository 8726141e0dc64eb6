"""The walk through the history finds each comparison that an outcome ever stored, and what took it out."""

from __future__ import annotations

import json
import subprocess

import comparisons
import pytest
from ninefold_lab import Comparison
from workspace import ToolError

PLACE = "packages/thing/experiments/results/wins.full.x86_64-2cpu.json"


@pytest.fixture
def checkout(tmp_path):
    """A repository whose commits hold outcomes: `.commit(bars or None, subject)`."""

    def git(*words):
        person = ("-c", "user.name=a", "-c", "user.email=a@b.example", "-c", "init.defaultBranch=main")
        subprocess.run(["git", "-C", str(tmp_path), *person, *words], check=True, capture_output=True)

    def commit(bars, subject):
        file = tmp_path / PLACE
        file.parent.mkdir(parents=True, exist_ok=True)
        if bars is None:
            file.unlink()
        else:
            stored = [
                {"bar": bar, "estimate": value, "low": None, "high": 1.0, "verdict": "v"} for bar, value in bars.items()
            ]
            file.write_text(json.dumps({"id": "thing/wins", "comparisons": stored}))
        git("add", "-A")
        git("commit", "-qm", subject)

    git("init", "-q")
    return tmp_path, commit, git


def test_history_has_each_comparison_as_last_stored_and_who_took_it_out(checkout):
    root, commit, _ = checkout
    commit({"a >= b": 0.1, "a >= c": 0.2}, "first")
    commit({"a >= b": 0.3, "a >= c": 0.2}, "second")
    commit({"a >= b": 0.3}, "c is gone")
    found = comparisons.history(root)
    assert found.keys() == {("thing/wins", "a >= b"), ("thing/wins", "a >= c")}
    kept, lost = found["thing/wins", "a >= b"], found["thing/wins", "a >= c"]
    assert (kept.comparison.estimate, kept.by) == (0.3, "")
    assert (lost.comparison.estimate, lost.by) == (0.2, "c is gone")
    assert lost.comparison.low == -float("inf")


def test_deleted_outcomes_and_those_of_a_merged_branch_are_found(checkout):
    root, commit, git = checkout
    commit({"a >= b": 0.1}, "first")
    git("checkout", "-qb", "side")
    commit({"a >= b": 0.1, "a >= side": 0.4}, "on the side")
    commit({"a >= b": 0.1}, "and gone again")
    git("checkout", "-q", "main")
    git("commit", "-qm", "other", "--allow-empty")
    git("merge", "-q", "--no-edit", "side")
    commit(None, "all gone")
    found = comparisons.history(root)
    assert {bar: one.by for (_, bar), one in found.items()} == {"a >= b": "all gone", "a >= side": "and gone again"}


def test_clone_without_its_history_is_refused(checkout, tmp_path_factory):
    root, commit, git = checkout
    commit({"a >= b": 0.1}, "first")
    commit({"a >= b": 0.2}, "second")
    shallow = tmp_path_factory.mktemp("clones") / "shallow"
    git("clone", "-q", "--depth", "1", root.as_uri(), str(shallow))
    with pytest.raises(ToolError, match="fetch --unshallow"):
        comparisons.history(shallow)


@pytest.mark.parametrize(("estimate", "now"), [(0.25, "a >= b, in words"), (0.26, ""), (0.0, "")])
def test_comparison_with_the_same_result_under_another_text_is_reworded(estimate, now):
    last = Comparison("a >= b", 0.25 if estimate else 0.0, -1.0, 1.0, "inconclusive")
    stored = comparisons.Stored("thing/wins", last, "2026-01-01", "2026-01-02", "new words")
    today = {"thing/wins": [Comparison("a >= b, in words", estimate, -1.0, 1.0, "inconclusive")]}
    entry = comparisons.entry(stored, "", today)
    assert (entry.now, entry.date) == (now, "2026-01-02")
    assert entry.reason == ("the same comparison in other words" if now else "new words")
