from __future__ import annotations

import importlib
import importlib.metadata
import sys

import pytest
from ninefold import cli
from ninefold_lab import app, demos
from ninefold_testing import module

from .parts import PARTS


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder on sys.path in which systems can be installed; there are no others."""
    for key, name in (("NINEFOLD_CACHE", "cache"), ("NINEFOLD_DATA", "data")):
        monkeypatch.setenv(key, str(tmp_path / name))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(demos, "PRELOADED", ())  # these systems need nothing of it
    for key in ("OMP", "MKL", "OPENBLAS", "NUMBA"):
        monkeypatch.setenv(f"{key}_NUM_THREADS", "1")  # and these stay here
    monkeypatch.chdir(tmp_path)
    place = tmp_path / "site"
    module(place, "parts_nine", PARTS)
    module(place, "quits_nine", "import sys; sys.exit(3)")
    real = importlib.metadata.entry_points
    ours = lambda **which: [point for point in real(**which) if "_nine" in point.value]  # noqa: E731
    monkeypatch.setattr(importlib.metadata, "entry_points", ours)
    monkeypatch.syspath_prepend(place)
    monkeypatch.setenv("PYTHONPATH", str(place))
    yield place
    for name in ("parts_nine", "quits_nine"):
        sys.modules.pop(name, None)


@pytest.fixture
def ninefold(monkeypatch, capfd):
    """A function that runs `ninefold` in this process: (status, stdout, stderr)."""

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["ninefold", *words])
        return cli.status_of(app.app), *capfd.readouterr()

    return call
