"""A training loop that can be killed at any step and resumed to the same weights, in one process or in several.

Under torchrun every process draws the whole batch and takes its own rows of it (`own_rows`); gradients are averaged, so
that the result is that of one process. The first process alone writes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.distributed as dist
from ninefold import artifacts
from ninefold.distributed import place
from ninefold.errors import ArtifactError, InputError
from ninefold.progress import progress
from ninefold.run import Run
from torch import Tensor, nn

from semcom.training._recipe import Recipe

_KIND, _VERSION, _FILE = "semcom.training", 1, "state.safetensors"
_MOMENTS = ("exp_avg", "exp_avg_sq")


@dataclass
class _State:
    """What a checkpoint holds: the model, its parameters that learn, the optimiser, and means of the parameters."""

    model: nn.Module
    named: dict[str, nn.Parameter]
    optimiser: torch.optim.Optimizer
    means: dict[str, Tensor]


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
    model: nn.Module, loss_of: Callable[[torch.Generator], tuple[Tensor, dict[str, float]]], recipe: Recipe,
    run: Run | None, slow: set[str] | None = None,
) -> None:  # fmt: skip
    """Train `model` in place.

    Args:
        model: what to train; its parameters are float32.
        loss_of: generator of the step -> loss and what to log.
        recipe: steps and learning rate.
        run: folder of the checkpoints and the log; None in all processes but the first.
        slow: names of parameters that learn at a tenth of the rate.
    """
    named = {name: one for name, one in model.named_parameters() if one.requires_grad}
    parameters = list(named.values())
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, one in named.items():
        groups.setdefault((one.ndim > 1, name in (slow or ())), []).append(one)
    kinds = [
        {"params": parts, "weight_decay": recipe.weight_decay * decays, "factor": 0.1 if slowly else 1.0}
        for (decays, slowly), parts in groups.items()
    ]
    optimiser = torch.optim.AdamW(kinds, lr=recipe.lr, betas=(0.9, 0.95))
    means = {name: one.detach().clone() for name, one in named.items()} if recipe.average else {}
    state = _State(model, named, optimiser, means)
    begin = _agree(state, 0 if run is None else _resume(state, run))
    model.train()
    sums: dict[str, float] = {}
    with progress(recipe.steps, "training") as bar:
        bar.advance(begin)
        for step in range(begin, recipe.steps):
            loss, values = loss_of(step_generator(recipe.seed, step))
            if not torch.isfinite(loss):
                raise InputError("training", got=f"a loss of {loss.item()} at step {step}", hint="lower the rate")
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            values = _averaged(parameters, {"loss": float(loss.detach()), **values})
            nn.utils.clip_grad_norm_(parameters, 1.0)
            for group in optimiser.param_groups:
                group["lr"] = recipe.rate(step) * group["factor"]
            optimiser.step()
            decay = min(recipe.average, (step + 1) / (step + 10))
            for name, mean in means.items():
                mean.lerp_(named[name].detach(), 1 - decay)
            for key, value in values.items():
                sums[key] = sums.get(key, 0.0) + value
            if (step + 1) % recipe.save_every == 0 or step + 1 == recipe.steps:
                count = (step + 1) % recipe.save_every or recipe.save_every
                if run is not None:
                    run.log(step=step + 1, **{key: value / count for key, value in sums.items()})
                    _save(state, run, step + 1)
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


def _agree(state: _State, begin: int) -> int:
    """Give all processes the weights, moments and step of the first; returns the step."""
    if place()[1] == 1:
        return begin
    step = torch.tensor(begin, device=next(iter(state.named.values())).device)
    dist.broadcast(step, 0)
    for value in [*state.model.state_dict().values(), *state.means.values()]:
        dist.broadcast(value, 0)
    if int(step):
        for one in state.named.values():
            moments = state.optimiser.state[one] or {key: torch.zeros_like(one) for key in _MOMENTS}
            state.optimiser.state[one] = {**moments, "step": torch.tensor(float(step))}
            for key in _MOMENTS:
                dist.broadcast(state.optimiser.state[one][key], 0)
    return int(step)


def _save(state: _State, run: Run, step: int) -> None:
    arrays: dict[str, Tensor] = {f"model/{name}": value.cpu() for name, value in state.model.state_dict().items()}
    for name, one in state.named.items():
        arrays |= {f"{key}/{name}": state.optimiser.state[one][key].cpu() for key in _MOMENTS}
    arrays |= {f"mean/{name}": value.cpu() for name, value in state.means.items()}
    about = {"kind": _KIND, "format_version": _VERSION, "package": "semcom"}
    meta = {"step": step, "lines": len(run.metrics())}
    artifacts.save(run.checkpoints / _FILE, arrays, **about, meta=meta, force=True)


def _resume(state: _State, run: Run) -> int:
    """Load the last checkpoint, if there is one; returns the number of finished steps."""
    path = run.checkpoints / _FILE
    if not path.exists():
        run.rewind(0)
        return 0
    kept = artifacts.Artifact(path, kind=_KIND, format_version=_VERSION)
    wanted = [f"model/{name}" for name in state.model.state_dict()]
    if any(name not in kept.names for name in wanted):
        raise ArtifactError(path, "is a checkpoint of another model")
    state.model.load_state_dict({name.removeprefix("model/"): kept.torch(name) for name in wanted})
    for name, one in state.named.items():
        moments = {key: kept.torch(f"{key}/{name}").to(one.device) for key in _MOMENTS}
        state.optimiser.state[one] = {"step": torch.tensor(float(kept.meta["step"])), **moments}
    for name, mean in state.means.items():
        mean.copy_(kept.torch(f"mean/{name}"))
    run.rewind(kept.meta["lines"])
    return int(kept.meta["step"])
