"""Outcomes after a change of code: confirmed if the first seed gives the same scores, and only in a clean tree."""

from __future__ import annotations

import json
import re
import subprocess

import numpy as np
import pytest
from confirm import confirm, confirm_all, difference, due
from ninefold.errors import InputError
from ninefold_lab import Budget, Claim, at_least, is_older, is_uncommitted, run_claim
from ninefold_lab.confirmation import commit_of, uncommitted

SCORES = {"ours": np.array([1.0, 2.0, 3.0]), "rival": np.array([0.5, 0.25, 0.125])}


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A claim, its outcome, and a function that moves its scores, in a tree that counts as clean."""
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("ninefold_lab.confirmation.uncommitted", lambda package: [])
    monkeypatch.setattr("confirm.experiments_of", lambda package: tmp_path)
    moved = {"by": 0.0}

    def scores(budget, seed):
        return {arm: items * (1 + moved["by"]) for arm, items in SCORES.items()}

    claim = Claim(
        id="ninefold-lab/wins", says="wins", source="ours", run=scores, verdict=at_least("ours", "rival"),
        full=Budget(2, 1, "full"),
    )  # fmt: skip
    path = run_claim(claim, full=True).save(tmp_path / "results")
    fields = json.loads(path.read_text())
    fields["environment"]["commit"] = "7d1f00aa1122"
    path.write_text(json.dumps(fields))
    return claim, path, lambda by: moved.update(by=by)


def older(path):
    """Say that the outcome was made by other code."""
    fields = json.loads(path.read_text())
    fields["provenance"]["code"] = "0" * 16
    path.write_text(json.dumps(fields))


def test_outcome_of_other_code_with_the_same_scores_is_stamped_and_no_longer_due(made):
    claim, path, _ = made
    assert due([claim]) == []
    older(path)
    ((seconds, found, file),) = due([claim])
    assert (found, file) == (claim, path)
    assert seconds >= 0
    assert confirm(claim, path) == ""
    assert due([claim]) == []
    stamp = json.loads(path.read_text())["confirmed"]
    assert set(stamp) == {"code", "commit", "date", "seed"}


@pytest.mark.parametrize(("by", "same"), [(1e-7, True), (1e-5, False), (0.1, False), (float("nan"), False)])
def test_scores_that_moved_by_more_than_a_millionth_leave_the_file_as_it_is(made, by, same):
    claim, path, move = made
    older(path)
    before = path.read_bytes()
    move(by)
    if by != by:
        with pytest.raises(InputError, match="NaN"):
            confirm(claim, path)
    else:
        assert (confirm(claim, path) == "") == same
    assert (path.read_bytes() == before) == (not same)


def test_all_that_are_due_are_confirmed_within_the_time_limit(made):
    claim, path, move = made
    older(path)
    move(0.1)
    (row,) = confirm_all([claim], 1.0).rows
    assert row == ["ninefold-lab/wins", "ours: 3 stored, 3.3 now"]
    fields = json.loads(path.read_text())
    path.write_text(json.dumps({**fields, "seconds": 1000.0}))
    assert confirm_all([claim], 1.0).rows == [["ninefold-lab/wins", "left: needs about 500 s"]]
    move(0.0)
    assert confirm_all([claim], 60.0).rows == [["ninefold-lab/wins", "same scores"]]
    assert confirm_all([claim], 1.0).rows == []


def test_arm_that_is_gone_or_has_other_items_is_a_difference():
    stored = {"ours": {"": np.array([1.0, 2.0])}}
    assert "other items" in difference(stored, {"rival": 1.0})
    assert "other items" in difference(stored, {"ours": np.array([1.0, 2.0, 3.0])})
    assert "other items" in difference(stored, {"ours": {"a": np.array([1.0, 2.0])}})
    assert difference(stored, {"ours": np.array([1.0, 2.0]), "new": 0.0}) == ""


def test_outcome_from_an_uncommitted_tree_is_due_until_it_is_confirmed(made):
    claim, path, _ = made
    fields = json.loads(path.read_text())
    fields["environment"]["commit"] = "7d1f00aa1122+changes"
    path.write_text(json.dumps(fields))
    assert is_uncommitted(fields)
    assert not is_older(fields, fields["provenance"]["code"])
    assert len(due([claim])) == 1
    confirm(claim, path)
    assert not is_uncommitted(json.loads(path.read_text()))


def test_uncommitted_source_is_named_and_results_are_not(tmp_path, monkeypatch):
    def git(*words):
        subprocess.run(
            ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b.example", *words], check=True
        )

    source, results = tmp_path / "src" / "acme", tmp_path / "experiments" / "results"
    source.mkdir(parents=True)
    results.mkdir(parents=True)
    (source / "__init__.py").write_text("x = 1\n")
    (results / "a.json").write_text("{}\n")
    monkeypatch.setattr("ninefold_lab.confirmation.folder_of", lambda package: source)
    monkeypatch.setattr("ninefold_lab.confirmation.experiments_of", lambda package: tmp_path / "experiments")
    assert uncommitted("acme") == []  # no checkout
    assert commit_of("acme") == ""
    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "first")
    (results / "a.json").write_text("{ }\n")
    assert uncommitted("acme") == []
    assert re.fullmatch(r"[0-9a-f]{12}", commit_of("acme"))
    (source / "__init__.py").write_text("x = 2\n")
    assert uncommitted("acme") == ["src/acme/__init__.py"]
    assert re.fullmatch(r"[0-9a-f]{12}\+changes", commit_of("acme"))
    git("commit", "-qam", "second")
    (source / "new.py").write_text("")
    assert uncommitted("acme") == ["src/acme/new.py"]
    claim = Claim(id="acme/wins", says="", source="", run=lambda budget, seed: {}, verdict=at_least("a", "b"))
    with pytest.raises(InputError, match=r"uncommitted changes in src/acme/new.py"):
        confirm(claim, results / "a.json")
