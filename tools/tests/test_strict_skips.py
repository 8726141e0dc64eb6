"""A test that is skipped although what it needs is there fails the run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

import pytest
from workspace import ROOT

SKIPPING = """
import pytest

@pytest.mark.data
def test_data(): pytest.skip("has its reasons")

@pytest.mark.peer
def test_peer(): pytest.skip("has its reasons")

@pytest.mark.peer
@pytest.mark.data
def test_both(): pytest.skip("has its reasons")

@pytest.mark.r
def test_r(): pytest.skip("has its reasons")

@pytest.mark.slow
def test_slow(): pytest.skip("has its reasons")

@pytest.mark.data
@pytest.mark.peer
@pytest.mark.xfail(strict=True)
def test_expected_failure(): assert False
"""


@pytest.mark.parametrize(
    ("at_hand", "failed"),
    [
        ({"NINEFOLD_DATA": "here", "CI": "true"}, {"data", "peer", "both"}),
        ({"NINEFOLD_DATA": "here"}, {"data"}),
        ({"NINEFOLD_DATA": "elsewhere"}, set()),
    ],
    ids=["data and index", "data", "nothing"],
)
def test_skip_is_a_failure_exactly_if_what_the_test_needs_is_there(tmp_path, at_hand, failed):
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "here" / "thing").mkdir(parents=True)
    tests = tmp_path / "packages" / "thing" / "tests"
    tests.mkdir(parents=True)
    (tests / "test_it.py").write_text(SKIPPING)
    env = {key: value for key, value in os.environ.items() if key not in ("NINEFOLD_DATA", "CI")} | at_hand
    env["PATH"] = str(tmp_path)  # where no R is
    env["PYTHONPATH"] = str(ROOT / "tools" / "check")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "strict_skips", "-n", "2" if "CI" in at_hand else "0", "packages"],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert set(re.findall(r"^FAILED \S+::test_(\w+) ", done.stdout, re.MULTILINE)) == failed, done.stdout
    assert done.returncode == (1 if failed else 0)
    assert done.stdout.count("although what it needs is there: Skipped: has its reasons") >= len(failed)
