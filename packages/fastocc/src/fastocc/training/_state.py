"""Everything that a resumed run needs, as arrays in one file with digests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from ninefold import artifacts
from ninefold.errors import ArtifactError
from torch import Tensor, nn

KIND, FORMAT = "fastocc.checkpoint", 1


def save_state(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, average: dict[str, Tensor], meta: dict[str, Any]
) -> None:
    """Write weights, optimizer, moving average and torch's random state; `meta` as JSON."""
    arrays = {f"model/{name}": value for name, value in model.state_dict().items()}
    arrays |= {f"average/{name}": value for name, value in average.items()}
    for at, state in optimizer.state_dict()["state"].items():
        arrays |= {f"optimizer/{at}/{key}": torch.as_tensor(value) for key, value in state.items()}
    arrays["random"] = torch.get_rng_state()
    artifacts.save(path, arrays, kind=KIND, format_version=FORMAT, package="fastocc", meta=meta, force=True)


def load_state(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Restore in place; returns the moving average and `meta`. ArtifactError if the file does not fit."""
    artifact = artifacts.Artifact(path, kind=KIND, format_version=FORMAT)
    parts: dict[str, dict[str, Tensor]] = {"model": {}, "average": {}, "optimizer": {}}
    for name in artifact.names:
        head, _, rest = name.partition("/")
        if head in parts:
            parts[head][rest] = artifact.torch(name)
    try:
        model.load_state_dict(parts["model"])
    except RuntimeError as error:
        raise ArtifactError(path, f"holds another network: {str(error).splitlines()[-1].strip()}") from None
    states: dict[int, dict[str, Tensor]] = {}
    for name, value in parts["optimizer"].items():
        at, _, key = name.partition("/")
        states.setdefault(int(at), {})[key] = value
    optimizer.load_state_dict({"state": states, "param_groups": optimizer.state_dict()["param_groups"]})
    torch.set_rng_state(artifact.torch("random"))
    return parts["average"], dict(artifact.meta)
