"""A pytest plugin for CI: a test that is skipped although what it needs is there fails; quiet skips prove nothing.

`data` tests need the folder $NINEFOLD_DATA/<package>; `peer` tests need the package index, which CI has to reach;
`r` tests need R, which is used where it is installed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator
from pathlib import Path

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn such a skip into a failure."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and _has_what_it_needs(item):
        why = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome, report.longrepr = "failed", f"skipped although what it needs is there: {why}"
    return report


def _has_what_it_needs(item: pytest.Item) -> bool:
    """Whether the test is marked `data`, `peer` or `r`, and everything its marks ask for is at hand."""
    place = item.path.relative_to(item.config.rootpath).parts
    data = Path(os.environ.get("NINEFOLD_DATA", "/nowhere"), place[1]) if place[0] == "packages" else None
    at_hand = {
        "data": data is not None and data.is_dir(),
        "peer": "CI" in os.environ,
        "r": shutil.which("Rscript") is not None,
    }
    marks = [mark for mark in at_hand if item.get_closest_marker(mark)]
    return bool(marks) and all(at_hand[mark] for mark in marks)
