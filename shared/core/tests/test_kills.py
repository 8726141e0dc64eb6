"""A kill after any system call of a writer loses nothing: the next use finds the old or the new content, whole."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

WAYS = [("file", "exchange"), ("folder", "exchange"), ("folder", "renames")]


def kills(*words):
    """Lines of (what the killed writer left, what the next use found)."""
    program = Path(__file__).with_name("killing.py")
    done = subprocess.run([sys.executable, str(program), *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [line.split("\t") for line in done.stdout.splitlines()]


@pytest.mark.parametrize("before", ["absent", "present"])
@pytest.mark.parametrize(("kind", "way"), WAYS)
def test_kill_after_each_call_leaves_old_or_new(tmp_path, kind, way, before):
    old = "absent" if before == "absent" else "o"
    lines = [(json.loads(told), found) for told, found in kills(kind, way, before, "counted", tmp_path)]
    for use in ("reader", "writer"):
        own = [(one, found) for one, found in lines if one["use"] == use]
        assert [one["at"] for one, _ in own] == list(range(1, len(own) + 1))
        assert all(one["status"] == 9 for one, _ in own[:-1])
        assert own[-1][0]["status"] == 0
        assert len(own) > 6
        if use == "writer":
            assert {found for _, found in own} == {"z"}  # whole, and nothing is left beside it
            continue
        found = [found for _, found in own]
        assert found == sorted(found, key=[old, "n"].index)
        assert {*found} == {old, "n"}
    raw = {one["raw"] for one, _ in lines}
    assert raw == ({"absent", "o", "n"} if way == "renames" and before == "present" else {old, "n"})


@pytest.mark.parametrize(("kind", "way"), WAYS)
def test_200_kills_at_random_moments_leave_old_or_new(tmp_path, kind, way):
    *lines, last = kills(kind, way, "present", "random", tmp_path)
    assert len(lines) == 200
    assert {found for _, found in lines} == {"o", "n"}
    assert last == ["end", "z"]
