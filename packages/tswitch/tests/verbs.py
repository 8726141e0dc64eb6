"""The console script in this process."""

from __future__ import annotations

import sys

import pytest
from tswitch import cli

STEPS = ["--steps", "60", "--lr", "0.01", "--batch", "16"]


def run(words, monkeypatch, capsys=None):
    """Run the console script in this process: (status, output, errors)."""
    with monkeypatch.context() as patched:
        patched.setattr(sys, "argv", ["tswitch", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            cli.main()
    return (end.value.code, *(capsys.readouterr() if capsys else ("", "")))
