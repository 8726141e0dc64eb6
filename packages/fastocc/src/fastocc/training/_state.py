"""Everything that a resumed run needs, in one file of arrays with digests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
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


def share_state(
    model: nn.Module, optimizer: torch.optim.Optimizer, average: dict[str, Tensor], counts: dict[str, int], device: str
) -> dict[str, int]:
    """Give all processes what the first one restored: weights, optimizer, moving average, random state, counters.

    Tensors travel on `device`, which NCCL asks for. Returns: the first process's counters.
    """
    send = partial(_send, device=device)
    numbers = send(torch.tensor([counts[key] for key in sorted(counts)], dtype=torch.int64))
    share_weights(model.state_dict(), device)
    share_weights(average, device)
    for parameter in _parameters(optimizer):
        state = optimizer.state.get(parameter, {})
        if not bool(send(torch.tensor([bool(state)], dtype=torch.int64))):
            continue
        if not state:
            zeros = torch.zeros_like(parameter, memory_format=torch.preserve_format)
            state = {"step": torch.tensor(0.0), "exp_avg": zeros, "exp_avg_sq": zeros.clone()}
        optimizer.state[parameter] = {key: send(state[key]) for key in ("step", "exp_avg", "exp_avg_sq")}
    torch.set_rng_state(send(torch.get_rng_state()).cpu())
    return dict(zip(sorted(counts), numbers.tolist(), strict=True))


@torch.no_grad()
def share_weights(arrays: Mapping[str, Tensor], device: str) -> None:
    """Overwrite arrays by those of the first process; batch norm statistics are otherwise each process's own."""
    for value in arrays.values():
        value.copy_(_send(value, device=device))


def _send(value: Tensor, *, device: str) -> Tensor:
    moved = value.detach().to(device).contiguous()
    torch.distributed.broadcast(moved, 0)
    return moved.to(value.device)


def _parameters(optimizer: torch.optim.Optimizer) -> Iterator[nn.Parameter]:
    for group in optimizer.param_groups:
        yield from group["params"]
