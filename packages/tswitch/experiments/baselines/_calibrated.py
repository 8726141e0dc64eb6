"""Fitted switches beside rivals that are given the same texts: BitDelta distilled, Delta-CoMe calibrated.

BitDelta's scales are distilled by the steps that fit knobs. Delta-CoMe's singular vectors are rounded by GPTQ on the
inputs that each layer has for these texts, right vectors first, then left ones on what the right ones give. Its bytes
are those of an ideal coder, symbol by symbol, without the rows of tokens that no text has, and its biases count as
float16; which singular values have which bits was chosen on validation rows (ATTEMPTS.md). UltraDelta's rescaled
pruning and LoRA by singular values take no texts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import torch
from ninefold.progress import progress
from ninefold_lab import Budget, Scores
from torch import Tensor, nn
from tswitch.baselines import Method
from tswitch.fitting._knobs import FitConfig
from tswitch.models._models import TextClassifier
from tswitch_experiments.baselines import Lora, Rescaled
from tswitch_experiments.kept import kept
from tswitch_experiments.models._fitted import ALPHAS, Made, Trial, made, parts

Groups = Sequence[tuple[int, int]]  # (singular values, bits), from the largest on
GROUPS: Mapping[str, Groups] = {"0.4 %": ((2, 4), (10, 3), (26, 2)), "0.2 %": ((1, 4), (4, 3), (9, 2))}
_DAMPING = 0.01  # of the mean diagonal, as in GPTQ


def beside_rivals(budget: Budget, seed: int) -> Scores:
    """Accuracy by task and row, divergence in nats, and per cent of float32 of fitted switches and of rivals."""
    trial = Trial.of(budget, seed)
    ways: dict[str, Callable[[str], Made]] = {
        **{f"Delta-CoMe, {size}": partial(_come, trial, groups) for size, groups in GROUPS.items()},
        "BitDelta": partial(_bits, trial),
        "rescaled pruning": partial(_packed, trial, Rescaled(drop=0.97)),
        "LoRA by SVD, rank 2": partial(_packed, trial, Lora(rank=2)),
    }
    switches = {way: make for way, make in parts(trial, ALPHAS).items() if way.startswith("fitted")}
    arms = {**made(budget, seed, {"individual": trial.individual, **switches})}
    with progress(len(ways), f"rivals, seed {seed}") as bar:
        for way, make in ways.items():
            arms |= kept(beside_rivals, budget, seed, way, partial(trial.scored, way, make))
            bar.advance()
    return arms


def _changes(trial: Trial, task: str) -> dict[str, Tensor]:
    """Fine-tuned minus base, of the tensors that differ."""
    base, tuned = trial.models.base, trial.models.encoders[task]
    found = {name: tuned[name] - value for name, value in base.items() if value.is_floating_point()}
    return {name: change for name, change in found.items() if change.any()}


def _with(trial: Trial, changes: Mapping[str, Tensor], size: float) -> Made:
    return {name: value + changes.get(name, 0.0) for name, value in trial.models.base.items()}, size


def _bits(trial: Trial, task: str) -> Made:
    """BitDelta of every tensor, its scales distilled: a bit an entry, four bytes a scale."""
    changes = _changes(trial, task)
    signs = {name: torch.where(one >= 0, 1.0, -1.0) * one.abs().mean() for name, one in changes.items()}
    model = trial.live(task)
    fitted = fitted_factors(model, trial.models.base, signs, trial.batches(task, model), FitConfig(seed=trial.seed))
    return _with(trial, fitted, sum(one.numel() / 8 + 4 for one in changes.values()))


def _packed(trial: Trial, method: Method, task: str) -> Made:
    """A rival of the package as it is."""
    fitted = method.fit(trial.models.base, [trial.models.encoders[task]])
    return fitted.task_model(0), fitted.nbytes


def _come(trial: Trial, groups: Groups, task: str) -> Made:
    """Delta-CoMe: singular vectors in mixed bits, rounded by GPTQ on the layers' inputs."""
    model = trial.live(task)
    second = moments(model, trial.batches(task, model))
    rounded, size = {}, 0.0
    for name, change in _changes(trial, task).items():
        if change.dim() < 2:
            rounded[name] = change.half().float()
            size += 2 * change.numel()
            continue
        used = change.abs().sum(1).nonzero()[:, 0]  # rows of tokens that no text has cost a bit each, if any is zero
        rows, coded = singular(change[used], groups, second.get(name))
        rounded[name] = torch.zeros_like(change).index_copy_(0, used, rows)
        size += coded + (len(change) / 8 if len(used) < len(change) else 0)
    return _with(trial, rounded, size)


@torch.no_grad()
def moments(model: TextClassifier, batches: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Second moments (inputs, inputs) of what each linear layer of the encoder takes, over all real tokens."""
    found: dict[str, Tensor] = {}
    mask = torch.empty(0, dtype=torch.bool)

    def look(_: nn.Module, given: tuple[Tensor, ...], *, name: str) -> None:
        rows = given[0].reshape(-1, given[0].shape[-1])
        rows = rows[mask.reshape(-1)] if len(rows) == mask.numel() else rows
        found[name] = found.get(name, 0) + rows.T @ rows  # type: ignore[assignment]

    hooks = [
        module.register_forward_pre_hook(partial(look, name=f"{name}.weight"))
        for name, module in model.encoder.named_modules()
        if isinstance(module, nn.Linear)
    ]
    for batch in batches:
        mask = batch["attention_mask"].bool()
        model(**batch)
    for hook in hooks:
        hook.remove()
    return found


def singular(change: Tensor, groups: Groups, second: Tensor | None) -> tuple[Tensor, float]:
    """A matrix by its rounded singular vectors, and their bytes; without `second` they are rounded to nearest."""
    left, values, right = torch.linalg.svd(change, full_matrices=False)
    rank = min(sum(count for count, _ in groups), len(values))
    bits = [width for count, width in groups for _ in range(count)][:rank]
    root = values[:rank].sqrt()
    right, size = gptq(root[:, None] * right[:rank], bits, second)
    left = left[:, :rank] * root
    given = None if second is None else right @ second @ right.T
    turned, more = gptq(left.T.contiguous(), bits, given, along=False)
    return turned.T @ right, size + more


def gptq(rows: Tensor, bits: Sequence[int], second: Tensor | None, *, along: bool = True) -> tuple[Tensor, float]:
    """Rows (r, n) on a grid of each row's bits, and the bytes of codes by an ideal coder, with two bytes a row's scale.

    An error of rounding is made up for by the entries that are rounded later, under the second moments of what the
    entries of a row multiply (`along`), (n, n), or of what the rows multiply, (r, r).
    """
    steps = torch.tensor([2.0 ** (width - 1) - 1 for width in bits])
    scales = (rows.abs().amax(1) / steps).half().float().clamp(min=1e-12)
    codes = torch.empty_like(rows)
    if second is None:
        codes = (rows / scales[:, None]).round().clamp(-steps[:, None], steps[:, None])
    else:
        count = len(second)
        damped = second + _DAMPING * second.diagonal().mean() * torch.eye(count)
        upper = torch.linalg.cholesky(torch.cholesky_inverse(torch.linalg.cholesky(damped)), upper=True)
        left = (rows if along else rows.T).clone()  # (_, count): columns are rounded one after the other
        for at in range(count):
            column = left[:, at]
            scale, most = (scales, steps) if along else (scales[at], steps[at])
            code = torch.minimum(torch.maximum((column / scale).round(), -most), most)
            (codes[:, at] if along else codes[at]).copy_(code)
            error = (column - code * scale) / upper[at, at]
            left[:, at + 1 :] -= error[:, None] * upper[at, at + 1 :]
    size = 2.0 * len(rows)
    for width in set(bits):
        chosen = codes[[place for place, each in enumerate(bits) if each == width]]
        counts = np.unique(chosen.numpy(), return_counts=True)[1]
        size += float(-(counts * np.log2(counts / counts.sum())).sum()) / 8
    return codes * scales[:, None], size


def fitted_factors(
    model: TextClassifier,
    base: Mapping[str, Tensor],
    changes: Mapping[str, Tensor],
    batches: list[dict[str, Tensor]],
    config: FitConfig,
) -> dict[str, Tensor]:
    """What a rival adds to the base, each tensor times one factor fitted as `fit_knobs` fits knobs.

    Args:
        model: the fine-tuned model; overwritten.
        base, changes: tensors of the encoder by name, and what is added to them.
        batches: the texts that knobs are fitted on.
        config: the settings of `fit_knobs`.
    """
    live = {name: value for name, value in model.encoder.named_parameters() if name in changes}
    with torch.no_grad():
        wanted = [model(**batch).log_softmax(1) for batch in batches]
    model.requires_grad_(requires_grad=False)
    for parameter in live.values():
        parameter.requires_grad_(requires_grad=True)
    theta = torch.zeros(len(live), requires_grad=True)
    optimizer = torch.optim.Adam([theta], lr=config.lr)

    def put() -> None:
        with torch.no_grad():
            for (name, parameter), factor in zip(live.items(), theta.exp().tolist(), strict=True):
                parameter.copy_(base[name] + factor * changes[name])

    def loss(place: int) -> Tensor:
        found = model(**batches[place]).log_softmax(1)
        return torch.nn.functional.kl_div(found, wanted[place], reduction="batchmean", log_target=True)

    def distance() -> float:
        put()
        with torch.no_grad():
            return float(np.average([float(loss(place)) for place in range(len(batches))], weights=[*map(len, wanted)]))

    before = distance()
    for step in range(config.steps):
        for group in optimizer.param_groups:
            group["lr"] = config.lr * (1 - step / config.steps)
        put()
        epoch, place = divmod(step, len(batches))
        loss(int(np.random.default_rng([config.seed, 1, epoch]).permutation(len(batches))[place])).backward()
        sums = [float((value.grad * changes[name]).sum()) for name, value in live.items()]  # type: ignore[operator]
        theta.grad = torch.tensor(sums) * theta.detach().exp()
        for parameter in live.values():
            parameter.grad = None
        optimizer.step()
    if distance() >= before:
        theta.data.zero_()
    factors = dict(zip(live, theta.detach().exp().tolist(), strict=True))
    return {name: factors.get(name, 1.0) * change for name, change in changes.items()}
