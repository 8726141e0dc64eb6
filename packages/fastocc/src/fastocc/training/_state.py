"""Everything that a resumed run needs, in one file of arrays with digests."""

from __future__ import annotations

from pathlib import Path

import torch
from ninefold import artifacts
from ninefold.errors import ArtifactError
from torch import Tensor, nn

_ABOUT = {"kind": "fastocc.checkpoint", "format_version": 1}


def keep_state(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, average: dict[str, Tensor], counts: dict[str, int]
) -> None:
    """Write weights, optimizer, moving average, torch's random state and counters."""
    state = {
        "model": model.state_dict(), "optimizer": optimizer.state_dict(), "average": average, "counts": counts,
        "random": torch.get_rng_state(),
    }  # fmt: skip
    artifacts.save_state(path, state, **_ABOUT, package="fastocc")


def restore_state(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[dict[str, Tensor], dict[str, int]]:
    """Restore in place; returns the moving average and the counters. ArtifactError if the file does not fit."""
    state = artifacts.load_state(path, **_ABOUT)
    try:
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[-1].strip()
        raise ArtifactError(path, f"holds another network: {reason}") from None
    torch.set_rng_state(state["random"])
    return state["average"], state["counts"]
