"""Progress outside a verb; on a terminal and inside one: see test_cli."""

from __future__ import annotations

import pytest
from ninefold.progress import Progress, progress


def test_progress_outside_a_verb_does_nothing(capfd):
    with progress(None, "x") as bar:
        bar.advance(3)
    assert capfd.readouterr() == ("", "")


def test_work_that_missed_a_ctrl_c_ends_at_its_next_step(monkeypatch):
    monkeypatch.setattr(Progress, "interrupted", True)
    with progress(3, "x") as bar, pytest.raises(KeyboardInterrupt):
        bar.advance()
