"""Figures of the results page on questions that stand anywhere: those of the committed items."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent
ITEMS = PACKAGE / "experiments" / "results" / "bench-questions.x86_64-2cpu.jsonl"


@pytest.fixture(scope="module")
def items():
    return [json.loads(line) for line in ITEMS.read_text(encoding="utf-8").splitlines()]


def row(items, skipped: str, name: str, arm: str) -> str:
    """One arm's row of the table."""
    answered = [one["arms"] for one in items if one["answered"] and one["kind"] != "text"]
    texts = [one["arms"][arm][0] for one in items if one["kind"] == "text"]
    above = [one[arm][0] - one["dense"][0] for one in answered]
    lost = sum(1 - one[arm][1] for one in answered)
    share = sum(one[arm][2] for one in answered) / len(answered)
    return (f"| {skipped} | {name} | {share:.3f} | {lost} of {len(answered)} | {sum(above) / len(above):.2f} "
            f"| {max(above):.2f} | {sum(texts) / len(texts):.3f} |")  # fmt: skip


ROWS = [
    ("0.3", "question known", "known 0.3"), ("0.3", "question not known (64 queries)", "64 0.3"),
    ("0.3", "former window (24)", "before 0.3"), ("0.3", "FastKV", "fastkv 0.3"),
    ("0.6", "learnt heads, question known", "heads known 0.6"),
    ("0.6", "learnt heads, question not known (64)", "heads 64 0.6"),
    ("0.6", "learnt heads, former window (8)", "heads before 0.6"),
    ("0.6", "question known", "known 0.6"), ("0.6", "question not known (64)", "64 0.6"),
    ("0.6", "former window (8)", "before 0.6"), ("0.6", "FastKV", "fastkv 0.6"),
]  # fmt: skip


@pytest.mark.parametrize(("skipped", "name", "arm"), ROWS)
def test_the_page_states_the_committed_items(items, skipped, name, arm):
    assert row(items, skipped, name, arm) in (PACKAGE / "docs" / "results.md").read_text(encoding="utf-8")
