"""Comparisons that left their claim: judged from their text, kept in a file, never dropped without a reason."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ninefold.errors import InputError
from ninefold_lab import Budget, Claim, Comparison, all_of, at_least, at_most, run_claim
from retired import FILE, Retired, judge_bar, load_retired, save_retired

RUNS = [{"ease": 0.4 + seed / 100, "item - kNN": 0.3, "drop on CS": 7.5} for seed in range(3)]
LAST = Comparison("gone >= ease + 0.1", 0.02, -np.inf, np.inf, "inconclusive")
ENTRY = Retired(
    claim="shop/wins", bar=LAST.bar, reason="its arm is gone", date="2026-03-02", judged="2026-03-01", last=LAST
)


@given(
    rival=st.sampled_from(["item - kNN", 0.35, -2.0, 1e-3, "ease"]),
    margin=st.sampled_from([0.0, 0.1, -0.5, 12.5, 1e-5, -1e-5]),
    relation=st.sampled_from([at_least, at_most]),
    arm=st.sampled_from(["ease", "item - kNN", "drop on CS"]),
)
def test_text_of_a_bar_gives_the_comparison_that_it_was_made_from(rival, margin, relation, arm):
    (made,) = relation(arm, rival, margin)(RUNS)
    assert judge_bar(made.bar, RUNS) == made


@pytest.mark.parametrize("bar", ["gone >= ease", "ease >= gone", "ease >= gone + 0.1", "ease", "ease > item - kNN", ""])
def test_bar_that_the_scores_cannot_answer_is_judged_as_last(bar):
    assert judge_bar(bar, RUNS) is None
    assert dataclasses.replace(ENTRY, bar=bar).judge(RUNS) == LAST


def test_file_gives_back_what_was_written(tmp_path):
    last = dataclasses.replace(LAST, bar="ease >= gone", low=-1.0, high=1.0)
    other = dataclasses.replace(ENTRY, bar=last.bar, now="ease >= chance", last=last)
    save_retired(tmp_path, [ENTRY, other])
    assert {one.bar: one for one in load_retired(tmp_path)} == {ENTRY.bar: ENTRY, other.bar: other}
    assert load_retired(tmp_path / "elsewhere") == []


@pytest.mark.parametrize(
    ("change", "match"),
    [({"reason": " "}, "no reason"), ({"bar": None}, "fields of"), ({"colour": "red"}, "fields of"), ({}, "twice")],
)
def test_entry_without_a_reason_or_with_foreign_fields_or_twice_is_refused(tmp_path, change, match):
    save_retired(tmp_path, [ENTRY])
    (row,) = json.loads((tmp_path / FILE).read_text())
    changed = {key: value for key, value in {**row, **change}.items() if value is not None}
    (tmp_path / FILE).write_text(json.dumps([changed, changed]))
    with pytest.raises(InputError, match=match):
        load_retired(tmp_path)


def outcome(verdict, tmp_path, monkeypatch):
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path / "cache"))
    claim = Claim(
        id="ninefold-lab/wins", says="wins", source="ours", run=lambda budget, seed: RUNS[seed], verdict=verdict,
        full=Budget(3, 1, "full"),
    )  # fmt: skip
    return run_claim(claim, full=True)


def test_outcome_that_drops_a_comparison_is_refused_until_the_comparison_is_retired(tmp_path, monkeypatch):
    results = tmp_path / "results"
    both = all_of(at_least("ease", "item - kNN"), at_least("ease", 0.5))
    path = outcome(both, tmp_path, monkeypatch).save(results)
    before = path.read_bytes()
    fewer = outcome(at_least("ease", "item - kNN"), tmp_path, monkeypatch)
    with pytest.raises(InputError, match=r"'ease >= 0.5'.*retired.json"):
        fewer.save(results)
    assert path.read_bytes() == before
    left = Comparison("ease >= 0.5", -0.1, -0.2, 0.0, "not reproduced")
    entry = Retired(
        claim="ninefold-lab/wins",
        bar=left.bar,
        reason="the bar was wrong",
        date="2026-03-02",
        judged="2026-03-01",
        last=left,
    )
    save_retired(tmp_path, [entry])
    fewer.save(results)
    assert [one["bar"] for one in json.loads(path.read_text())["comparisons"]] == ["ease >= item - kNN"]


def test_comparison_keeps_the_date_and_digest_of_its_first_outcome(tmp_path, monkeypatch):
    first = outcome(at_least("ease", "item - kNN"), tmp_path, monkeypatch)
    path = dataclasses.replace(first, date="2026-01-01").save(tmp_path / "results")
    again = outcome(all_of(at_least("ease", "item - kNN"), at_least("ease", 0.5)), tmp_path, monkeypatch)
    dataclasses.replace(again, date="2026-02-02").save(tmp_path / "results")
    stored = json.loads(path.read_text())["comparisons"]
    assert [one["date"] for one in stored] == ["2026-01-01", "2026-02-02"]
    assert len({one["digest"] for one in stored}) == 2


def test_arms_with_identical_scores_are_marked():
    runs = [
        {"ours": np.arange(5.0) + seed, "same": np.arange(5.0) + seed, "other": np.arange(5.0)} for seed in range(3)
    ]
    marks = {rival: at_least("ours", rival, -1.0)(runs)[0].identical for rival in ("same", "other", 3.0)}
    assert marks == {"same": True, "other": False, 3.0: False}
