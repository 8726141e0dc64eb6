"""What the workers of the suite share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bnn_fsg import PackedModel

from .fsg_helpers import loss_of, made


@pytest.fixture(scope="session", autouse=True)
def each_kernel_is_compiled_once(worker_id: str) -> None:
    """On a machine without compiled kernels one worker makes those of the slow-net, while the other makes those of the
    runtime; else both would make all of them at the same time."""
    if worker_id == "gw0":
        PackedModel.load(Path(__file__).parent / "samples/every-operation.bnn")(np.zeros((1, 3, 8, 6), np.float32))
    elif worker_id == "gw1":
        for layout in ("per_weight", "flat"):
            model, fsg = made(layout=layout)
            for _ in range(2):
                fsg.step(loss_of(model))
