"""What becomes of each tensor: coded, kept dense, part of the task's head, or left as in the base."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

import torch
from ninefold.errors import InputError

from tswitch.checkpoints._checkpoint import Checkpoint, TensorInfo
from tswitch.checkpoints._given import OnMismatch, refuse_integer_weights
from tswitch.checkpoints._pairing import HEADS, Pairing, lacks_part, other_class, pair, parts, vocabulary_size
from tswitch.coding import bytes_of
from tswitch.switch._format import dtype_name
from tswitch.switch._ternary import DEFAULT_SCALE, Granularity, Scale, check_alpha, check_scale

BUFFERS = ("*running_mean", "*running_var", "*num_batches_tracked")
"""Patterns of float buffers in a checkpoint: statistics, not trained weights, so they are kept as they are."""

AUTO, USUAL = "auto", "0.5%"
"""The size of the seeded code that is chosen for the user: a share of float32, more where a model is small."""

_STATISTICS = ("*running_mean", "*running_var")


@dataclass(frozen=True)
class Settings:
    """The arguments of `Switch.from_checkpoints`, checked, with a value for each (see `of`)."""

    alpha: float = 0.6
    granularity: Granularity = "tensor"
    scale: Scale = DEFAULT_SCALE
    exclude: tuple[str, ...] | None = None  # None: the heads of transformers' classes, and what else the base lacks
    on_mismatch: OnMismatch = "error"
    size: str | float | None = None  # of the seeded code; None: the ternary code
    seed: int = 0  # of the seeded code

    def __post_init__(self) -> None:
        check_alpha(self.alpha)
        check_scale(self.scale)
        if self.size is not None and self.size != AUTO:
            bytes_of(self.size, 1)
        for name, kind in (("granularity", Granularity), ("on_mismatch", OnMismatch)):
            if getattr(self, name) not in get_args(kind):
                choices = " or ".join(repr(choice) for choice in get_args(kind))
                raise InputError(name, got=repr(getattr(self, name)), expected=choices)

    @classmethod
    def of(
        cls,
        alpha: float | None,
        granularity: Granularity | None,
        scale: Scale | None,
        exclude: Sequence[str] | None,
        on_mismatch: OnMismatch,
        size: str | float | None,
        seed: int,
    ) -> Settings:
        """What a caller gave, None for what was left out: alpha, granularity or scale choose the ternary code."""
        ternary = any(one is not None for one in (alpha, granularity, scale))
        if ternary and size is not None:
            raise InputError("alpha, granularity, scale", expected="to be left out: size chooses the seeded code")
        return cls(
            0.6 if alpha is None else alpha,
            "tensor" if granularity is None else granularity,
            DEFAULT_SCALE if scale is None else scale,
            None if exclude is None else tuple(exclude),
            on_mismatch,
            AUTO if size is None and not ternary else size,
            seed,
        )


@dataclass
class Plan:
    """What becomes of each tensor; names are the base's.

    Attributes:
        pairing: how the fine-tuned model's names follow from the base's.
        after: the fine-tuned checkpoint under the base's names.
        own: name -> the fine-tuned model's own name.
        coded: compared and coded, in the shape that the base has.
        dense, head: kept as they are.
        skipped: left as in the base.
        left_out: tensors of the base that the fine-tuned model, of another class, does not have.
        rows: of coded tensors, rows that the fine-tuned model has beyond the base's (an enlarged vocabulary).
        cut: of coded tensors, rows that the fine-tuned model has, fewer than the base (a smaller vocabulary).
    """

    pairing: Pairing
    after: Checkpoint
    own: dict[str, str]
    coded: dict[str, TensorInfo] = field(default_factory=dict)
    dense: list[str] = field(default_factory=list)
    head: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)
    cut: dict[str, int] = field(default_factory=dict)

    def other_class(self) -> dict[str, Any]:
        """What an export needs to know of a model of another class than its base; empty for the same class."""
        made: dict[str, Any] = {}
        if not self.pairing.is_plain:
            made["prefixes"] = [self.pairing.base, self.pairing.finetuned]
        if self.left_out:
            made["left_out"] = sorted(self.left_out)
        if self.cut:
            made["cut"] = dict(sorted(self.cut.items()))
        return made

    def notes(self, before: Checkpoint) -> list[str]:
        """One line for everything that is not coded against the base: what, and how many parameters."""
        lines = [
            _note(f"kept whole ({what})", {self.own[name]: self.after.info(name).numel for name in names})
            for what, names in (("the task's head", self.head), ("not coded", self.dense))
        ]
        floating = [n for n in self.skipped if n not in before or before.info(n).dtype.is_floating_point]
        skipped = {n: (before if n in before else self.after).info(n).numel for n in floating}
        left_out = {name: before.info(name).numel for name in self.left_out}
        rows = {f"{self.own[name]} (+{count} rows)": count * _width(before, name) for name, count in self.rows.items()}
        cut = {
            f"{self.own[name]} (-{before.info(name).shape[0] - count} rows)": (before.info(name).shape[0] - count)
            * _width(before, name)
            for name, count in self.cut.items()
        }
        swapped = "" if self.head else "; check that base and fine-tuned model are not swapped"
        lines += [
            _note("kept whole (rows beyond the base's; the tokenizer is the fine-tuned model's to bring)", rows),
            _note("left out of exports (rows of the base that the fine-tuned model lacks)", cut),
            _note(f"left out of exports (parts of the base that the fine-tuned model lacks{swapped})", left_out),
            _note("left as in the base, or dropped where the base has none (on_mismatch)", skipped),
        ]
        return [line for line in lines if line]


def _note(what: str, sizes: Mapping[str, int], most: int = 6) -> str:
    """One line: what happened to which tensors, and how many parameters they have; empty if there are none."""
    if not sizes:
        return ""
    names = ", ".join(list(sizes)[:most]) + (f" and {len(sizes) - most} more" if len(sizes) > most else "")
    return f"{what}: {len(sizes)} tensor{'s' * (len(sizes) > 1)}, {sum(sizes.values()):,} parameters: {names}"


def _width(checkpoint: Checkpoint, name: str) -> int:
    """Elements of one row of a tensor."""
    return math.prod(checkpoint.info(name).shape[1:])


def plan_tensors(before: Checkpoint, finetuned: Checkpoint, settings: Settings) -> Plan:
    """Decide what becomes of each tensor; raises InputError that lists all mismatches."""
    for checkpoint in (before, finetuned):
        refuse_integer_weights(checkpoint)
    pairing = pair(before, finetuned)
    after, own = pairing.view(before, finetuned)
    plan = Plan(pairing, after, own)
    patterns = HEADS if settings.exclude is None else settings.exclude
    free = settings.exclude is None and other_class(before, finetuned, pairing)
    held = [{part for name in (*one.names, *one.tied) for part in parts(name)} for one in (before, after)]
    plan.head = [name for name in after.names if matches(own[name], patterns) or matches(name, patterns)]
    wrong: dict[str, list[str]] = {}
    misfits: list[str] = []
    stored = [name for name in before.names if not matches(name, patterns)]
    (plan.left_out if free else plan.skipped).extend(n for n in before.names if n not in after and matches(n, patterns))
    for name in stored:
        old = before.info(name)
        new = after.info(name) if name in after else None
        if new is None and not old.dtype.is_floating_point:
            plan.skipped.append(name)  # an index buffer such as position_ids, which libraries save or leave out
            continue
        if new is None and free and lacks_part(name, held[1]):
            plan.left_out.append(name)  # such as the pooler under a class for tokens, or the base's own head
            continue
        trouble = _trouble(name, old, new)
        if trouble and new is not None and settings.exclude is None and _is_vocabulary(before, after, name):
            more = new.shape[0] - old.shape[0]
            (plan.rows if more > 0 else plan.cut)[name] = more if more > 0 else new.shape[0]
            plan.coded[name] = TensorInfo(new.dtype, old.shape)
        elif trouble:
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
        elif name not in before and free and lacks_part(name, held[0]):
            plan.head.append(name)
        elif name not in before:
            wrong.setdefault("not in the base", []).append(own[name])
            misfits.append(name)
        elif not _equal(after, name, after, before.tied[name]):
            wrong.setdefault("tied in the base only", []).append(f"{name} and {before.tied[name]}")
            misfits.append(name)
    if not plan.coded and not plan.dense:
        raise InputError(
            "fine-tuned model",
            where=finetuned.source,
            got=f"no tensor in common with its base {before.source}: "
            f"there {_few(before.names)}, here {_few(finetuned.names)}",
            expected="a fine-tune of this base",
        )
    if wrong and settings.on_mismatch == "error":
        raise InputError(
            "fine-tuned model",
            where=finetuned.source,
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


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _is_vocabulary(before: Checkpoint, after: Checkpoint, name: str) -> bool:
    """Whether a tensor differs only in its rows, and both have as many as their vocabularies have tokens."""
    old, new = before.info(name), after.info(name)
    sizes = vocabulary_size(before.config), vocabulary_size(after.config)
    floating = old.dtype.is_floating_point and new.dtype.is_floating_point
    return floating and old.shape[1:] == new.shape[1:] and (*old.shape[:1], *new.shape[:1]) == sizes


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
