"""A training loop that can be killed at any step and resumed to the same weights, in one process or in several.

Under torchrun every process draws the whole batch and takes its own rows of it (`own_rows`); gradients are averaged, so
that the result is that of one process. The first process alone writes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from ninefold import artifacts
from ninefold.distributed import place
from ninefold.errors import ArtifactError, InputError
from ninefold.progress import progress
from ninefold.run import Run
from torch import Tensor, nn

_KIND, _VERSION, _FILE = "semcom.training", 1, "state.safetensors"


@dataclass(frozen=True)
class Schedule:
    """AdamW with a linear warm-up and a cosine decay to zero.

    Attributes:
        steps: optimiser steps.
        batch: pictures a step.
        lr: peak learning rate.
        weight_decay: on matrices alone.
        save_every: steps between checkpoints.
        seed: of the batches and all noise.
        average: decay of the moving average of the weights, which is what training gives; 0 for the last weights.
    """

    steps: int
    batch: int = 64
    lr: float = 1.2e-3
    weight_decay: float = 0.05
    save_every: int = 200
    seed: int = 0
    average: float = 0.0

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "save_every"):
            if getattr(self, name) < 1:
                raise InputError(name, got=getattr(self, name), expected="at least 1")
        if not 0 <= self.average < 1:
            raise InputError("average", got=self.average, expected="a decay in [0, 1)")

    def rate(self, step: int) -> float:
        """Learning rate of a step from 0."""
        warm = max(1, self.steps // 20)
        share = (step - warm) / max(1, self.steps - warm)
        return self.lr * ((step + 1) / warm if step < warm else 0.5 * (1 + math.cos(math.pi * share)))


def step_generator(seed: int, step: int) -> torch.Generator:
    """The random generator of one step: a resumed run draws what the whole one drew."""
    return torch.Generator().manual_seed(seed * 1_000_003 + step)


def own_rows(size: int) -> slice:
    """The rows of a batch that this process takes: all of them, unless torchrun started several processes."""
    rank, world = place()
    if size % world:
        raise InputError("batch", got=size, expected=f"a multiple of the {world} processes")
    return slice(rank * size // world, (rank + 1) * size // world)


def fit(
    model: nn.Module,
    loss_of: Callable[[torch.Generator, float], tuple[Tensor, dict[str, float]]],
    schedule: Schedule,
    run: Run | None,
    slow: set[str] | None = None,
) -> None:
    """Train `model` in place.

    Args:
        model: what to train; its parameters are float32.
        loss_of: (generator of the step, share of the steps that are done) -> loss and what to log.
        schedule: steps and learning rate.
        run: folder of the checkpoints and the log; None in all processes but the first.
        slow: names of parameters that learn at a tenth of the rate.
    """
    named = {name: one for name, one in model.named_parameters() if one.requires_grad}
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, one in named.items():
        groups.setdefault((one.ndim > 1, name in (slow or ())), []).append(one)
    optimiser = torch.optim.AdamW(
        [
            {
                "params": parts,
                "weight_decay": schedule.weight_decay if decays else 0.0,
                "factor": 0.1 if slowly else 1.0,
            }
            for (decays, slowly), parts in groups.items()
        ],
        lr=schedule.lr,
        betas=(0.9, 0.95),
    )
    means = {name: one.detach().clone() for name, one in named.items()} if schedule.average else {}
    begin = 0 if run is None else _resume(model, named, optimiser, run, means)
    begin = _agree(model, named, optimiser, begin, means)
    model.train()
    sums: dict[str, float] = {}
    with progress(schedule.steps, "training") as bar:
        bar.advance(begin)
        for step in range(begin, schedule.steps):
            loss, values = loss_of(step_generator(schedule.seed, step), step / schedule.steps)
            if not torch.isfinite(loss):
                raise InputError("training", got=f"a loss of {loss.item()} at step {step}", hint="lower the rate")
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            values = _averaged(list(named.values()), {"loss": float(loss.detach()), **values})
            nn.utils.clip_grad_norm_(list(named.values()), 1.0)
            for group in optimiser.param_groups:
                group["lr"] = schedule.rate(step) * group["factor"]
            optimiser.step()
            decay = min(schedule.average, (step + 1) / (step + 10))
            for name, mean in means.items():
                mean.lerp_(named[name].detach(), 1 - decay)
            for key, value in values.items():
                sums[key] = sums.get(key, 0.0) + value
            if (step + 1) % schedule.save_every == 0 or step + 1 == schedule.steps:
                count = (step + 1) % schedule.save_every or schedule.save_every
                if run is not None:
                    run.log(step=step + 1, **{key: value / count for key, value in sums.items()})
                    _save(model, named, optimiser, run, step + 1, means)
                sums = {}
            bar.advance(note=f"loss {values['loss']:.4f}")
    with torch.no_grad():
        for name, mean in means.items():
            named[name].copy_(mean)
    model.eval()


def _averaged(parameters: list[nn.Parameter], values: dict[str, float]) -> dict[str, float]:
    """Replace gradients by their means over all processes, and return the means of the values."""
    world = place()[1]
    if world == 1:
        return values
    learning = [(one, one.grad) for one in parameters if one.grad is not None]
    known = torch.tensor(list(values.values()), device=learning[0][1].device)
    flat = torch.cat([known, *(gradient.reshape(-1) for _, gradient in learning)])
    dist.all_reduce(flat)
    flat /= world
    means, at = flat[: len(values)].tolist(), len(values)
    for one, _ in learning:
        one.grad = flat[at : at + one.numel()].reshape(one.shape)
        at += one.numel()
    return dict(zip(values, means, strict=True))


def _agree(
    model: nn.Module,
    named: dict[str, nn.Parameter],
    optimiser: torch.optim.Optimizer,
    begin: int,
    means: dict[str, Tensor],
) -> int:
    """Give all processes the weights, moments and step of the first; returns the step."""
    if place()[1] == 1:
        return begin
    device = next(iter(named.values())).device
    step = torch.tensor(begin, device=device)
    dist.broadcast(step, 0)
    for value in [*model.state_dict().values(), *means.values()]:
        dist.broadcast(value, 0)
    if int(step):
        for one in named.values():
            state = optimiser.state[one] or {key: torch.zeros_like(one) for key in ("exp_avg", "exp_avg_sq")}
            optimiser.state[one] = {**state, "step": torch.tensor(float(step))}
            for key in ("exp_avg", "exp_avg_sq"):
                dist.broadcast(optimiser.state[one][key], 0)
    return int(step)


def _save(
    model: nn.Module,
    named: dict[str, nn.Parameter],
    optimiser: torch.optim.Optimizer,
    run: Run,
    step: int,
    means: dict[str, Tensor],
) -> None:
    arrays: dict[str, Tensor] = {f"model/{name}": value.cpu() for name, value in model.state_dict().items()}
    for name, one in named.items():
        for key in ("exp_avg", "exp_avg_sq"):
            arrays[f"{key}/{name}"] = optimiser.state[one][key].cpu()
    arrays.update({f"mean/{name}": value.cpu() for name, value in means.items()})
    meta: dict[str, Any] = {"step": step, "lines": len(run.metrics())}
    artifacts.save(
        run.checkpoints / _FILE, arrays, kind=_KIND, format_version=_VERSION, package="semcom", meta=meta, force=True
    )


def _resume(
    model: nn.Module,
    named: dict[str, nn.Parameter],
    optimiser: torch.optim.Optimizer,
    run: Run,
    means: dict[str, Tensor],
) -> int:
    """Load the last checkpoint, if there is one; returns the number of finished steps."""
    path = run.checkpoints / _FILE
    if not path.exists():
        run.rewind(0)
        return 0
    kept = artifacts.Artifact(path, kind=_KIND, format_version=_VERSION)
    wanted = {f"model/{name}": value.shape for name, value in model.state_dict().items()}
    if any(name not in kept.names for name in wanted):
        raise ArtifactError(path, "is a checkpoint of another model")
    model.load_state_dict({name.removeprefix("model/"): kept.torch(name) for name in wanted})
    for name, one in named.items():
        state = {key: kept.torch(f"{key}/{name}").to(one.device) for key in ("exp_avg", "exp_avg_sq")}
        optimiser.state[one] = {"step": torch.tensor(float(kept.meta["step"])), **state}
    for name, mean in means.items():
        mean.copy_(kept.torch(f"mean/{name}"))
    run.rewind(kept.meta["lines"])
    return int(kept.meta["step"])
