"""Which row of a batch has which tasks, and what each tensor is for them: see `_rows`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from ninefold.errors import InputError
from torch import Tensor, nn

from tswitch.bank._resident import Term, unpack
from tswitch.bank._slots import Slot, Target
from tswitch.bank._sparse import Change, Changes, SparseSigns, Tokens
from tswitch.bank._task import ResidentTask

_LENGTHS = 15  # lengths of inputs whose tables are kept
_SMALL = 1 << 18  # effective values up to this many entries (biases, norms) are kept for the length of a context


@dataclass
class RowCost:
    """What the forward passes of one context did.

    Attributes:
        forwards: forward passes of the model.
        mixtures: distinct mixtures of tasks and heads among the rows.
        decoded: parameters decoded from two-bit codes into scratch memory, over all forward passes.
        widths: outputs that each row's own head has, where heads differ in size; later columns are -inf.
    """

    forwards: int = 0
    mixtures: int = 0
    decoded: int = 0
    widths: list[int] | None = None


@dataclass(frozen=True)
class Mixture:
    """Rows that share weights and head.

    Attributes:
        rows: their numbers; a slice where they are neighbours.
        weights: task -> weight.
        head: the task whose head parameters are used, or None for the model's own.
    """

    rows: slice | Tensor
    weights: Mapping[str, float]
    head: str | None


@dataclass(frozen=True)
class Part:
    """One tensor of a module: its owner below the module, its leaf name, its slot and its full name."""

    owner: nn.Module
    leaf: str
    slot: Slot
    name: str


@dataclass
class RowPlan:
    """Who gets what: the rows of a batch, and the tasks in resident form.

    Attributes:
        count: rows of the batch, B.
        tasks: those that any row uses.
        mixtures: the distinct ones, with their rows.
        shares: task -> (rows, weights (rows,)) of those that use it.
        cost: what was done so far.
    """

    count: int
    tasks: Mapping[str, ResidentTask]
    mixtures: Sequence[Mixture]
    shares: Mapping[str, tuple[slice | Tensor, Tensor]]
    cost: RowCost
    _kept: dict[tuple[Any, ...], Tensor] = field(default_factory=dict)
    _tokens: dict[tuple[Any, ...], Tokens] = field(default_factory=dict)

    def terms(self, part: Part, weights: Mapping[str, float]) -> list[Term]:
        """What a mixture adds to a tensor; in the order of the weights, as a switch does."""
        found = ((weight, self.tasks[name].terms.get(part.slot.name)) for name, weight in weights.items())
        return [Term(term.codes, weight * term.scale) for weight, term in found if term is not None]

    def head(self, part: Part, head: str | None) -> Tensor | None:
        """The head parameter that stands in for a tensor, if the head's task has one of this name."""
        held = self.tasks[head].head if head is not None else None
        return held.get(part.name) if isinstance(held, dict) else None

    def value(self, part: Part, mixture: Mixture) -> Tensor:
        """The whole tensor as a switch to this mixture would write it; the live one where nothing is added."""
        own = self.head(part, mixture.head)
        if own is not None:
            return own
        slot, live = part.slot, part.slot.live()
        terms = self.terms(part, mixture.weights)
        dense = [
            (weight, self.tasks[name].dense[slot.name])
            for name, weight in mixture.weights.items()
            if slot.name in self.tasks[name].dense
        ]
        if not terms and not dense:
            return live
        key = slot.name, live.dtype, live.device, *mixture.weights.items()
        if key in self._kept:
            return self._kept[key]
        target = Target(slot, torch.empty(live.shape, dtype=live.dtype, device=live.device), terms, dense)
        target.write()
        self.cost.decoded += live.numel() * len(terms)
        if live.numel() <= _SMALL:
            self._kept[key] = target.live
        return target.live

    def tokens(self, positions: int, device: torch.device) -> Tokens:
        """Rows of the flattened batch (B * positions, n) for each task."""
        key = positions, None if device.type == "cpu" else device
        found = self._tokens.get(key)
        if found is None:
            found = Tokens(list(self.shares.values()), self.count, positions, device)
            self._tokens = {**dict(list(self._tokens.items())[-_LENGTHS:]), key: found}
        return found

    def changes(self, parts: Mapping[str, Part], *, transposed: bool = False) -> Changes | None:
        """What the tasks change in a linear layer's weight and bias."""
        found, live = [], next(iter(parts.values())).owner.weight.detach()  # pyright: ignore[reportCallIssue]
        shape = (live.shape[1], live.shape[0]) if transposed else tuple(live.shape)
        for place, name in enumerate(self.shares):
            task = self.tasks[name]
            weight, bias = (task.terms.get(parts[leaf].slot.name) if leaf in parts else None
                            for leaf in ("weight", "bias"))  # fmt: skip
            shift = torch.zeros(shape[0], device=live.device)
            if bias is not None:
                shift = torch.tensor(bias.scale, dtype=torch.float32) * unpack(bias.codes, shape[0]).float()
            if weight is not None:
                signs = task.signs(parts["weight"].slot.name, tuple(live.shape), transposed=transposed)
                found.append(Change(place, signs, weight.scale, shift))
            elif bias is not None:
                found.append(Change(place, SparseSigns.none(shape, live.device), 0.0, shift))
        return Changes(found) if found else None

    def of_rows(self, part: Part) -> Tensor:
        """(B, *shape) values of a small ternary tensor, one for each row, float32 or wider; (1, *shape) in the tensor's
        own dtype where all rows share one mixture.
        """
        if len(self.mixtures) == 1:
            return self.value(part, self.mixtures[0]).detach()[None]
        live = part.slot.live()
        made = live.to(torch.promote_types(live.dtype, torch.float32)).repeat(self.count, *[1] * live.dim())
        for name, (rows, shares) in self.shares.items():
            term = self.tasks[name].terms.get(part.slot.name)
            if term is not None:
                factors = (shares * term.scale).to(made.device, torch.float32).view(-1, *[1] * live.dim())
                made[rows] += factors * unpack(term.codes, live.numel()).view(live.shape)
                self.cost.decoded += live.numel()
        return made

    def note_widths(self, sizes: Sequence[int]) -> None:
        """Take note of how wide the output of each mixture's head is, where they differ."""
        if len(set(sizes)) < 2:
            return
        widths = torch.zeros(self.count, dtype=torch.int64)
        for mixture, size in zip(self.mixtures, sizes, strict=True):
            widths[mixture.rows] = size
        self.cost.widths = widths.tolist()

    def by_row(self, value: Tensor, where: str) -> Tensor:
        """(R, ...) -> (B, R / B, ...): the first dimension holds the rows, each possibly several times, as for beams.

        What is the same for all rows, (1, ...), is repeated without a copy.

        Raises:
            InputError: if the first dimension is no multiple of the number of rows.
        """
        size = value.shape[0] if value.dim() else 0
        if size == 1 and self.count > 1:
            return value.expand(self.count, *value.shape[1:]).unsqueeze(1)
        if not size or size % self.count:
            raise InputError(
                f"input of {where}", got=f"shape {tuple(value.shape)}", expected=f"{self.count} rows first, as planned"
            )
        return value.unflatten(0, (self.count, size // self.count))


def plan_rows(tasks: Mapping[str, ResidentTask], rows: Sequence[tuple[Mapping[str, float], str | None]]) -> RowPlan:
    """Group the rows of a batch, given as (weights, head's task) of each."""
    if not rows:
        raise InputError("rows", got="none", expected="a task for each row of the batch")
    groups: dict[tuple[Any, ...], list[int]] = {}
    for row, (weights, head) in enumerate(rows):
        owner = head if head is not None and isinstance(tasks[head].head, dict) else None
        groups.setdefault((owner, *weights.items()), []).append(row)
    mixtures = [Mixture(_rows(members), dict(weights), head) for (head, *weights), members in groups.items()]
    used = dict.fromkeys(name for weights, _ in rows for name in weights)
    tasks = {name: tasks[name] for name in dict.fromkeys((*used, *(mixture.head for mixture in mixtures))) if name}
    shares = {}
    for name in used:
        members = [row for row, (weights, _) in enumerate(rows) if name in weights]
        shares[name] = _rows(members), torch.tensor([rows[row][0][name] for row in members])
    return RowPlan(len(rows), tasks, mixtures, shares, RowCost(mixtures=len(mixtures)))


def _rows(members: list[int]) -> slice | Tensor:
    """Row numbers as a slice where they are neighbours: a view instead of a copy."""
    if members == list(range(members[0], members[-1] + 1)):
        return slice(members[0], members[-1] + 1)
    return torch.tensor(members)
