"""What becomes of each tensor: coded, kept dense, part of the task's head, or left as in the base."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import get_args

import torch
from ninefold.errors import InputError

from tswitch.checkpoints._checkpoint import Checkpoint, TensorInfo
from tswitch.checkpoints._given import OnMismatch, refuse_integer_weights
from tswitch.switch._format import dtype_name
from tswitch.switch._ternary import DEFAULT_SCALE, Granularity, Scale, check_alpha, check_scale

BUFFERS = ("*running_mean", "*running_var", "*num_batches_tracked")
"""Patterns of float buffers in a checkpoint: statistics, not trained weights, so they are kept as they are."""

_STATISTICS = ("*running_mean", "*running_var")


@dataclass(frozen=True)
class Settings:
    """The arguments of `Switch.from_checkpoints`, checked."""

    alpha: float = 0.6
    granularity: Granularity = "tensor"
    scale: Scale = DEFAULT_SCALE
    exclude: tuple[str, ...] = ("classifier*",)
    on_mismatch: OnMismatch = "error"

    def __post_init__(self) -> None:
        check_alpha(self.alpha)
        check_scale(self.scale)
        for name, kind in (("granularity", Granularity), ("on_mismatch", OnMismatch)):
            if getattr(self, name) not in get_args(kind):
                choices = " or ".join(repr(choice) for choice in get_args(kind))
                raise InputError(name, got=repr(getattr(self, name)), expected=choices)


@dataclass
class Plan:
    """What becomes of each tensor.

    Attributes:
        coded: compared and coded, in the shape that the base has.
        dense, head: kept as they are.
        skipped: left as in the base.
        rows: of coded tensors, rows that the fine-tuned model has beyond the base's (an enlarged vocabulary).
    """

    coded: dict[str, TensorInfo]
    dense: list[str]
    head: list[str]
    skipped: list[str]
    rows: dict[str, int] = field(default_factory=dict)


def plan_tensors(before: Checkpoint, after: Checkpoint, settings: Settings) -> Plan:
    """Decide what becomes of each tensor; raises InputError that lists all mismatches."""
    for checkpoint in (before, after):
        refuse_integer_weights(checkpoint)
    plan = Plan({}, [], [name for name in after.names if matches(name, settings.exclude)], [])
    wrong: dict[str, list[str]] = {}
    misfits: list[str] = []
    stored = [name for name in before.names if not matches(name, settings.exclude)]
    for name in stored:
        old = before.info(name)
        new = after.info(name) if name in after else None
        if new is None and not old.dtype.is_floating_point:
            plan.skipped.append(name)  # an index buffer such as position_ids, which libraries save or leave out
            continue
        trouble = _trouble(name, old, new)
        if trouble:
            wrong.setdefault(trouble[0], []).append(trouble[1])
            misfits.append(name)
        elif new is not None and old.dtype.is_floating_point and old.shape and not matches(name, BUFFERS):
            plan.coded[name] = new
        elif not _equal(before, name, after, name):
            plan.dense.append(name)
    known = {*plan.head, *stored}
    for name in after.names:
        if name in known:
            continue
        if name not in before and not after.info(name).dtype.is_floating_point:
            plan.skipped.append(name)
        elif name not in before:
            wrong.setdefault("not in the base", []).append(name)
            misfits.append(name)
        elif not _equal(after, name, after, before.tied[name]):
            wrong.setdefault("tied in the base only", []).append(f"{name} and {before.tied[name]}")
            misfits.append(name)
    if wrong and settings.on_mismatch == "error":
        raise InputError(
            "fine-tuned model",
            where=after.source,
            got="; ".join(f"{label}: {', '.join(names)}" for label, names in wrong.items()),
            expected=f"the tensors of its base {before.source}",
            hint="--on-mismatch skip or dense (on_mismatch=...), or exclude the task's head by --exclude PATTERN",
        )
    for name in misfits:
        if settings.on_mismatch == "dense" and _grew(before, after, name):
            plan.rows[name] = after.info(name).shape[0] - before.info(name).shape[0]
            plan.coded[name] = TensorInfo(after.info(name).dtype, before.info(name).shape)
            continue
        (plan.dense if settings.on_mismatch == "dense" and name in after else plan.skipped).append(name)
    plan.skipped.sort()
    return plan


def _trouble(name: str, old: TensorInfo, new: TensorInfo | None) -> tuple[str, str] | None:
    """(kind of mismatch, what to list) for a tensor of the base, or None."""
    if new is None:
        return "missing in the fine-tuned model", name
    if old.shape != new.shape:
        return "shape", f"{name} {old.shape} became {new.shape}"
    if old.dtype.is_floating_point != new.dtype.is_floating_point:
        return "dtype", f"{name} {dtype_name(old.dtype)} became {dtype_name(new.dtype)}"
    return None


def _grew(before: Checkpoint, after: Checkpoint, name: str) -> bool:
    """Whether a matrix has only got further rows, as embeddings do with an enlarged vocabulary."""
    if name not in before or name not in after:
        return False
    old, new = before.info(name), after.info(name)
    return (
        old.dtype.is_floating_point
        and new.dtype.is_floating_point
        and len(old.shape) == len(new.shape) > 1
        and old.shape[1:] == new.shape[1:]
        and 0 < old.shape[0] < new.shape[0]
    )


def statistics_share(name: str, weights: Iterable[float]) -> float:
    """What to multiply the weights of dense values by: BatchNorm statistics are averaged once the sum exceeds one.

    A sum of several differences is no statistic of anything: a variance would become negative, and outputs NaN.
    """
    total = math.fsum(weights)
    return 1 / total if total > 1 and matches(name, _STATISTICS) else 1.0


def matches(name: str, patterns: Sequence[str]) -> bool:
    """Whether a tensor's name fits one of the patterns."""
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _equal(one: Checkpoint, name: str, two: Checkpoint, other: str) -> bool:
    if one is two and one.tied.get(name, name) == two.tied.get(other, other):
        return True
    if one.info(name).shape != two.info(other).shape:
        return False
    chunks = zip(one.chunks(name), two.chunks(other), strict=True)
    return all(torch.equal(first, second) for (_, first), (_, second) in chunks)
