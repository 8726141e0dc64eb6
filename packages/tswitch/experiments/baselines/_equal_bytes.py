"""Fitted switches beside compressors by sparse changes in few bits, in a switch's bytes: UltraDelta, DeltaDQ, ImPart.

Every rival has the bytes of the switch of the same task, as near as whole groups and singular vectors come (DeltaZip's
pattern of two in four has no such form, so it is taken in the fewest bytes that it has), and then its own factor a
tensor, fitted on the same texts and by the same steps as the switch's knobs: what is compared are the codes. Bytes are
those of an ideal coder, vectors count eight bits an entry, and rows of tokens that no text has one bit each. What else
the rivals ask for was chosen on validation rows (ATTEMPTS.md).

Full form, one core: about 4 minutes a seed beside the fine-tuned models, for two tasks.
"""

# ruff: noqa: ARG001 (ways to pack share their arguments)
from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial

import torch
from ninefold.progress import progress
from ninefold_lab import Budget, Scores
from torch import Tensor
from tswitch.fitting._knobs import FitConfig
from tswitch_experiments.baselines._calibrated import _changes, _with, fitted_factors, moments
from tswitch_experiments.baselines._sparse_deltas import (
    deltadq,
    deltazip,
    drops,
    entropy,
    impart,
    ratios,
    rounded,
    ultradelta,
)
from tswitch_experiments.kept import kept
from tswitch_experiments.models._fitted import ALPHAS, Made, Trial, by_switch, parts
from tswitch_experiments.models._suite import bench

TASKS = ("snips", "clinc150/banking")
Matrices = Mapping[str, Tensor]
Packed = dict[str, tuple[Tensor, float]]  # what is restored of each matrix, and its bits
Pack = Callable[[Matrices, Matrices, float, int], Packed]  # (changes, second moments of inputs, bits, seed)
_VECTORS = 8  # bits of an entry of a vector
_LEFT = (1, 2, 4, 8)  # entries that DeltaDQ leaves of a group


def at_equal_bytes(budget: Budget, seed: int) -> Scores:
    """Accuracy by task and row, divergence in nats, and per cent of float32 of fitted switches and of rivals."""
    trial = _trial(budget, seed)
    ways: dict[str, Callable[[str], Made]] = {
        f"{name} as {alpha}": partial(packed, trial, pack, alpha)
        for alpha in ALPHAS
        for name, pack in {"UltraDelta": by_ultradelta, "DeltaDQ": by_deltadq, "ImPart": by_impart}.items()
    }
    ways["DeltaZip"] = partial(packed, trial, by_deltazip, None)
    makers: dict[str, Callable[[], Scores]] = {"individual": trial.individual}
    makers |= {way: make for way, make in parts(trial, ALPHAS).items() if way.startswith("fitted")}
    makers |= {way: partial(trial.scored, way, make) for way, make in ways.items()}
    arms: dict[str, object] = {}
    with progress(len(makers), f"equal bytes, seed {seed}") as bar:
        for way, make in makers.items():
            arms |= kept(at_equal_bytes, budget, seed, way, make)
            bar.advance()
    return arms  # type: ignore[return-value]


def _trial(budget: Budget, seed: int) -> Trial:
    return Trial(bench(TASKS, seed), 200, seed) if budget.form == "full" else Trial.of(budget, seed)


def packed(trial: Trial, pack: Pack, alpha: float | None, task: str) -> Made:
    """A rival in the bytes of the task's switch at `alpha`, its factors fitted as knobs are."""
    model = trial.live(task)
    texts = trial.batches(task, model)
    restored, matrices, used, fixed = {}, {}, {}, 0.0
    for name, change in _changes(trial, task).items():
        if change.dim() < 2:
            codes, step = rounded(change, _VECTORS)
            restored[name] = codes * step
            fixed += _VECTORS * change.numel() + 16
        else:
            used[name] = change.abs().sum(1).nonzero()[:, 0]
            matrices[name] = change[used[name]]
            fixed += len(change) if len(used[name]) < len(change) else 0
    room = 8 * by_switch(trial, task, alpha=alpha, fitted=False)[1] - fixed if alpha else 0.0
    for name, (rows, bits) in pack(matrices, moments(model, texts), room, trial.seed).items():
        whole = torch.zeros_like(trial.models.base[name])
        restored[name] = whole.index_copy_(0, used[name], rows)
        fixed += bits
    fitted = fitted_factors(model, trial.models.base, restored, texts, FitConfig(seed=trial.seed))
    return _with(trial, fitted, fixed / 8)


def by_ultradelta(
    changes: Matrices, second: Matrices, room: float, seed: int, *, bits: int = 4, step: float = 0.02
) -> Packed:
    """UltraDelta: the share that is dropped follows from the room."""
    draw = torch.Generator().manual_seed(seed)
    sizes = {name: one.numel() * entropy(rounded(one, bits)[0]) for name, one in changes.items()}
    room, middle = room - 16 * len(changes), 1.0
    for _ in range(3):  # groups of unequal sizes shift the whole
        over = sum((1 - drop) * sizes[name] for name, drop in drops(changes, middle, step).items()) - room
        middle += over / sum(sizes.values())
    shares = drops(changes, middle, step)
    return {name: ultradelta(one, shares[name], bits, draw) for name, one in changes.items()}


def by_deltadq(changes: Matrices, second: Matrices, room: float, seed: int, *, bits: int = 4) -> Packed:
    """DeltaDQ: the size of a group is the one of least error of the layer's outputs on the texts."""

    def pack(share: float) -> Packed:
        found: Packed = {}
        for name, one in changes.items():
            draw = torch.Generator().manual_seed(seed)
            counts = [count for count in _LEFT if count <= share * one.shape[1]]
            tried = [deltadq(one, math.ceil(count / share), count, bits, draw) for count in counts]
            tried.append(deltadq(one, one.shape[1], max(int(share * one.shape[1]), 1), bits, draw))
            found[name] = min(tried, key=lambda made, one=one, name=name: _error(made[0] - one, second.get(name)))
        return found

    share = room / sum(one.numel() * entropy(rounded(one, bits)[0]) for one in changes.values())
    for _ in range(2):  # what is left has a smaller largest entry, so its codes take more bits
        share = min(share * room / sum(size for _, size in pack(min(share, 1.0)).values()), 1.0)
    return pack(share)


def by_impart(
    changes: Matrices,
    second: Matrices,
    room: float,
    seed: int,
    *,
    bits: int = 4,
    prune: float = 0.9,
    power: float = 1.0,
) -> Packed:
    """ImPart: the share that is dropped of all singular vectors follows from the room."""
    factors = {name: torch.linalg.svd(one, full_matrices=False) for name, one in changes.items()}

    def pack(drop: float) -> Packed:
        draw = torch.Generator().manual_seed(seed)
        return {name: impart(one, drop, prune, power, bits, draw) for name, one in factors.items()}

    def entries(drop: float) -> float:
        return sum(
            sum(1 - share for share in ratios(values.tolist(), drop, prune, power)) * (len(left) + right.shape[1])
            for left, values, right in factors.values()
        )

    each, drop = float(bits), 1.0
    for _ in range(2):  # bits an entry, scales included, are known once entries are left
        low, high = prune, 1.0
        for _ in range(20):
            drop = (low + high) / 2
            low, high = (drop, high) if entries(drop) * each > room else (low, drop)
        drop = high
        if entries(drop):
            each = sum(size for _, size in pack(drop).values()) / entries(drop)
    return pack(drop)


def by_deltazip(changes: Matrices, second: Matrices, room: float, seed: int, *, bits: int = 2) -> Packed:
    """DeltaZip in its fewest bits, whatever the room."""
    return {name: deltazip(one, second.get(name), bits) for name, one in changes.items()}


def _error(away: Tensor, second: Tensor | None) -> float:
    """Squared error of a layer's outputs over the inputs with these second moments."""
    return float(((away if second is None else away @ second) * away).sum())
