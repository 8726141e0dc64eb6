"""Switch knobs by the outputs they give: gradient steps on one number for each tensor, the codes as they are.

A rule by norm (`switch_knob`) looks at one tensor alone. What matters is what the model answers: here the knobs
minimise the divergence of the switched model's outputs from the fine-tuned model's, on inputs without labels. As

    d loss / d lambda = sum over kept entries of (d loss / d theta) * sign

one backward pass gives all of them, and each gradient is dropped as soon as its sum is made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ninefold import artifacts
from ninefold.errors import ArtifactError, InputError
from torch import Tensor, nn
from torch.nn import functional

from tswitch.checkpoints._checkpoint import Checkpoint
from tswitch.checkpoints._given import Model, opened
from tswitch.checkpoints._pairing import pair_names
from tswitch.switch._switch import Switch

_KIND = "tswitch.knobs"
_POSITIONS = 16  # of each text, at most, whose outputs are compared where every token has one
Batch = Mapping[str, Tensor] | Tensor


@dataclass(frozen=True)
class FitConfig:
    """How knobs are fitted.

    Attributes:
        steps: gradient steps, one batch each.
        lr: step size of Adam on the logarithm of each knob; it falls linearly to zero.
        seed: random seed of the order of batches, and of the positions that are compared in long outputs.
        save_every: steps between two saved states.

    Examples:
        >>> import torch
        >>> from tswitch import FitConfig, Switch, fit_knobs

        >>> draw = torch.manual_seed(0)
        >>> base = torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.ReLU(), torch.nn.Linear(32, 4))
        >>> tuned = {
        ...     name: one + 0.1 * torch.randn(one.shape, generator=draw) for name, one in base.state_dict().items()
        ... }

        >>> switch = Switch.from_checkpoints(base, tuned, alpha=0.9)
        >>> live = torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.ReLU(), torch.nn.Linear(32, 4))
        >>> keys = live.load_state_dict(tuned)
        >>> batch = torch.randn(32, 16, generator=draw)
        >>> fit_knobs(switch, base, live, [batch], FitConfig(steps=12, lr=0.05)).config["fitted"]["steps"]
        12
    """

    steps: int = 24
    lr: float = 0.1
    seed: int = 0
    save_every: int = 4

    def __post_init__(self) -> None:
        for name in ("steps", "lr", "save_every"):
            if not getattr(self, name) > 0:
                raise InputError(name, got=getattr(self, name), expected="a positive number")


def fit_knobs(
    switch: Switch,
    base: Model,
    model: nn.Module,
    batches: Sequence[Batch],
    config: FitConfig | None = None,
    *,
    state: Path | None = None,
    key: str = "",
    progress: Callable[[int], object] | None = None,
) -> Switch:
    """The same switch with the knobs under which the model's outputs are closest to the fine-tuned model's.

    Needs the memory of the model in float32, of 16 bytes for each active entry of the switch, and of one batch.

    Args:
        switch: made from `base` and the model whose weights `model` holds.
        base: the base, in any form; it is read once.
        model: the fine-tuned model, live. Its weights are overwritten: afterwards it is the base under the new switch.
        batches: inputs without labels: keyword arguments of the model, or its one positional tensor. About a hundred
            texts of the task are enough.
        config: settings.
        state: file for the state of an unfinished fit; one with the same `key` is continued to the same result.
        key: names the inputs and settings of this fit.
        progress: called with the number of steps just done.
    Returns: a switch in memory. `config["fitted"]` holds the number of inputs and the divergence (nats, or share of the
        variance of hidden states) before and after; the knobs stay as they were if no fit is closer.
    Raises:
        InputError: no inputs, another base, tensors that the model lacks; outputs that are not finite.

    Examples:
        >>> import torch
        >>> from tswitch import FitConfig, Switch, fit_knobs

        >>> draw = torch.manual_seed(0)
        >>> base = torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.ReLU(), torch.nn.Linear(32, 4))
        >>> tuned = {
        ...     name: one + 0.1 * torch.randn(one.shape, generator=draw) for name, one in base.state_dict().items()
        ... }

        >>> switch = Switch.from_checkpoints(base, tuned, alpha=0.9)
        >>> live = torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.ReLU(), torch.nn.Linear(32, 4))
        >>> keys = live.load_state_dict(tuned)
        >>> batches = [torch.randn(32, 16, generator=draw) for _ in range(4)]  # inputs without labels
        >>> fitted = fit_knobs(switch, base, live, batches, FitConfig(steps=24))
        >>> before, after = fitted.config["fitted"]["divergence"]
        >>> after < before
        True
    """
    config = config or FitConfig()
    if not batches:
        raise InputError("inputs", got="none", expected="about a hundred inputs of the task, without labels")
    checkpoint = opened(base)
    switch.check_base(checkpoint)
    model.eval().float()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    with torch.no_grad():
        wanted = [_Reading.of(_run(model, batch), batch, [config.seed, place]) for place, batch in enumerate(batches)]
    knobs = _Knobs(switch, checkpoint, model)
    try:
        return _fit(switch, knobs, model, batches, wanted, config, state, key, progress or (lambda _: None))
    finally:
        knobs.close()


def _fit(
    switch: Switch,
    knobs: _Knobs,
    model: nn.Module,
    batches: Sequence[Batch],
    wanted: Sequence[_Reading],
    config: FitConfig,
    state: Path | None,
    key: str,
    progress: Callable[[int], object],
) -> Switch:
    def distance() -> float:
        with torch.no_grad():
            found = [float(to.divergence(_run(model, batch))) for to, batch in zip(wanted, batches, strict=True)]
        return float(np.average(found, weights=[len(to) for to in wanted]))

    theta = torch.zeros(len(knobs.names), requires_grad=True)  # logarithm of each factor on its first knob
    optimizer = torch.optim.Adam([theta], lr=config.lr)
    done = 0
    knobs.set(theta)
    if state is not None and state.is_file():
        held = artifacts.load_state(state, kind=_KIND, format_version=1)
        if held["key"] != key:
            raise ArtifactError(state, "belongs to a fit of other inputs or settings; remove it first")
        before, done = float(held["before"]), int(held["done"])
        with torch.no_grad():
            theta.copy_(torch.as_tensor(held["theta"]))
        average, square = torch.as_tensor(held["average"]), torch.as_tensor(held["square"])
        optimizer.state[theta] = {"step": torch.tensor(float(done)), "exp_avg": average, "exp_avg_sq": square}
        progress(done)
    else:
        before = distance()
    for step in range(done, config.steps):
        for group in optimizer.param_groups:
            group["lr"] = config.lr * (1 - step / config.steps)
        knobs.set(theta)
        place = _order(len(batches), config.seed, step)
        loss = wanted[place].divergence(_run(model, batches[place]))
        if not torch.isfinite(loss):
            raise InputError("outputs", got=f"a divergence of {float(loss)}", expected="finite outputs of the model")
        loss.backward()
        theta.grad = knobs.gradient()
        optimizer.step()
        if state is not None and (step + 1) % config.save_every == 0:
            kept = optimizer.state[theta]
            about = {"key": key, "done": step + 1, "before": before, "theta": theta.detach().clone()}
            about |= {"average": kept["exp_avg"], "square": kept["exp_avg_sq"]}
            artifacts.save_state(state, about, kind=_KIND, format_version=1, package="tswitch")
        progress(1)
    knobs.set(theta)
    after = distance()
    if after >= before:
        theta.data.zero_()
        knobs.set(theta)
        after = before
    about = {"inputs": sum(map(_count, batches)), "steps": config.steps, "seed": config.seed}
    return switch.with_scales(knobs.values(), {**about, "divergence": [before, after]})


class _Knobs:
    """The knobs of a switch on a live model, and their gradients."""

    def __init__(self, switch: Switch, base: Checkpoint, model: nn.Module) -> None:
        live = dict(model.named_parameters(remove_duplicate=False))
        pairing = pair_names(set(switch.names), set(live))
        missing = [name for name in switch.names if pairing.to_finetuned(name) not in live]
        if missing:
            got = f"no parameters {', '.join(missing[:4])}{' and more' if len(missing) > 4 else ''}"
            raise InputError("model", got=got, expected="the tensors of the switch")
        self.names = switch.names
        self.first = torch.tensor([switch.tensors[name].scale for name in self.names])
        self._sums = torch.zeros(len(self.names))
        self._held: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []  # flat weight, places, signs, base there
        self._hooks: list[Any] = []
        self._live: list[nn.Parameter] = []
        self._now = torch.full((len(self.names),), torch.nan)
        for place, name in enumerate(self.names):
            parameter = live[pairing.to_finetuned(name)]
            flat = parameter.detach().view(-1)
            places, signs = [], []
            for part, chunk in base.chunks(name):
                own = flat[part.start : part.stop]
                own.copy_(chunk[: own.numel()])
            for part, codes in switch.ternary(name):
                found = codes[: max(flat.numel() - part.start, 0)].nonzero()[:, 0]
                places.append(found + part.start)
                signs.append(codes[found].float())
            at, sign = torch.cat(places), torch.cat(signs)
            self._held.append((flat, at, sign, flat[at]))
            parameter.requires_grad_(True)
            self._live.append(parameter)
            self._hooks.append(parameter.register_post_accumulate_grad_hook(self._summing(place)))

    def _summing(self, place: int) -> Callable[[Tensor], None]:
        def add(parameter: Tensor) -> None:
            assert parameter.grad is not None
            _, at, sign, _ = self._held[place]
            self._sums[place] = torch.dot(parameter.grad.reshape(-1)[at], sign)
            parameter.grad = None  # a whole model's gradients never stand together in memory

        return add

    def set(self, theta: Tensor) -> None:
        """Put base + first * exp(theta) * signs into the model."""
        self._now = (self.first * theta.detach().exp()).float()
        for (flat, at, sign, own), value in zip(self._held, self._now.tolist(), strict=True):
            flat[at] = own + value * sign

    def gradient(self) -> Tensor:
        """d loss / d theta, of the backward pass since the last call."""
        made = self._sums * self._now
        self._sums = torch.zeros_like(self._sums)
        return made

    def values(self) -> dict[str, float]:
        """The knobs that the model has now."""
        return dict(zip(self.names, self._now.tolist(), strict=True))

    def close(self) -> None:
        """Take the hooks off the model."""
        for hook in self._hooks:
            hook.remove()
        for parameter in self._live:
            parameter.requires_grad_(False)


@dataclass(frozen=True)
class _Reading:
    """What the fine-tuned model answers to a batch: log probabilities (rows, classes), or hidden states (rows, width).

    Attributes:
        values: by name of the output; at `places` of the flattened rows, where these are set.
    """

    values: dict[str, Tensor]
    places: Tensor | None

    @classmethod
    def of(cls, output: Any, batch: Batch, seed: Sequence[int]) -> _Reading:
        """Read an output; of each text at most some positions, drawn by `seed`."""
        parts = _parts(output)
        first = next(iter(parts.values()))
        places = None
        if first.dim() == 3:
            mask = batch.get("attention_mask") if isinstance(batch, Mapping) else None
            use = torch.ones(first.shape[:2], dtype=torch.bool) if mask is None else mask.bool()
            use = use if use.shape == first.shape[:2] else torch.ones(first.shape[:2], dtype=torch.bool)
            rows = use.flatten().nonzero()[:, 0].cpu().numpy()
            most = min(len(rows), _POSITIONS * first.shape[0])
            places = torch.from_numpy(np.sort(np.random.default_rng(list(seed)).permutation(rows)[:most]))
        return cls({name: _values(name, value, places) for name, value in parts.items()}, places)

    def __len__(self) -> int:
        return len(next(iter(self.values.values())))

    def divergence(self, output: Any) -> Tensor:
        """Mean KL from the fine-tuned model's probabilities in nats, or squared error by the variance."""
        terms = []
        for name, value in _parts(output).items():
            mine, theirs = _values(name, value, self.places), self.values[name]
            if _are_classes(name, value):
                terms.append(functional.kl_div(mine, theirs, reduction="batchmean", log_target=True))
            else:
                terms.append((mine - theirs).square().mean() / theirs.var(unbiased=False).clamp(min=1e-12))
        return torch.stack(terms).mean()


def _parts(output: Any) -> dict[str, Tensor]:
    """The outputs that are compared: a plain tensor, a head's logits, or else the hidden states."""
    if isinstance(output, Tensor):
        return {"logits": output}
    for names in (("start_logits", "end_logits"), ("logits",), ("last_hidden_state",)):
        found = {name: getattr(output, name, None) for name in names}
        if all(isinstance(value, Tensor) for value in found.values()):
            return {name: value for name, value in found.items() if value is not None}
    got = f"a {type(output).__name__}"
    raise InputError("output of the model", got=got, expected="a tensor, logits or hidden states")


def _are_classes(name: str, value: Tensor) -> bool:
    """Whether an output holds logits of several classes (of one it is a regression)."""
    return name.endswith("logits") and value.shape[-1] > 1


def _values(name: str, value: Tensor, places: Tensor | None) -> Tensor:
    flat = value.reshape(-1, value.shape[-1]).float()
    flat = flat if places is None else flat[places.to(flat.device)]
    return flat.log_softmax(-1) if _are_classes(name, value) else flat


def _run(model: nn.Module, batch: Batch) -> Any:
    return model(**batch) if isinstance(batch, Mapping) else model(batch)


def _count(batch: Batch) -> int:
    return len(next(iter(batch.values()))) if isinstance(batch, Mapping) else len(batch)


def _order(count: int, seed: int, step: int) -> int:
    """Which batch a step takes: each once in an epoch, in an order of its own."""
    epoch, place = divmod(step, count)
    order: Iterable[int] = np.random.default_rng([seed, 1, epoch]).permutation(count)
    return int(list(order)[place])
