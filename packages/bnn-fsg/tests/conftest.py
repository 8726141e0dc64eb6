"""What the workers of the suite share."""

from __future__ import annotations

import pytest

from .fsg_helpers import loss_of, made


@pytest.fixture(scope="session", autouse=True)
def each_kernel_is_compiled_once(worker_id: str) -> None:
    """On a machine without compiled kernels of the slow-net one worker makes them, else both would at the same time."""
    if worker_id == "gw1":
        model, fsg = made()
        for _ in range(2):
            fsg.step(loss_of(model))
