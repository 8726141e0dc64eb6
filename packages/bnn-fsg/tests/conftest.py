"""What the workers of the suite share."""

from __future__ import annotations

import sys

import pytest

from .fsg_helpers import loss_of, made


@pytest.fixture(scope="session", autouse=True)
def each_kernel_is_compiled_once(worker_id: str) -> None:
    """On a machine without compiled kernels of the slow-net one worker makes them, else both would at the same time."""
    if worker_id == "gw1":
        model, fsg = made()
        for _ in range(2):
            fsg.step(loss_of(model))


@pytest.fixture
def call(monkeypatch, capsys):
    """Run the console script: (status, standard output, standard error)."""
    from bnn_fsg.cli import main

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["bnn-fsg", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            main()
        shown = capsys.readouterr()
        return end.value.code, shown.out, shown.err

    return call
