"""Delta forward: every row of a batch under its own task, in one forward pass that writes no weight.

The base stays in the model. While a `by_row` context is open, each module that a task touches computes its rows from

    base + sum_i w_i(row) lambda_i S^i        (paper, section 3)

where S^i is decoded from its two-bit codes a tile at a time into scratch memory (`_row_layers`): no second copy of the
weights exists at any time. Rows of one batch may differ in task, in mixture and in head; a model's `generate` works,
too, as every forward pass in the context goes the same way.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from ninefold.errors import InputError
from torch import Tensor, nn

from tswitch.bank._row_layers import ROOT, forward_of
from tswitch.bank._row_plan import Part, RowCost, RowPlan
from tswitch.bank._slots import Slot, named_tensors

_WHOLE = (nn.MultiheadAttention, nn.TransformerEncoderLayer, nn.TransformerEncoder, nn.RNNBase)
"""Modules that read their children's weights themselves: they run once for each mixture."""
_HOLDERS = (nn.ParameterDict, nn.ParameterList)  # have no forward pass of their own: the module around them reads them
_PLANS = 256  # plans that are kept ready
_NOT_BY_ROW = ("relative_attention_bias",)  # T5's: its input is a table of distances, the same for all rows
_TOKENS_FIRST = ("xlnet", "longformer", "led")  # model types that compute (tokens, rows, width) inside


class AddedForward:
    """Forward passes of a model that add what a plan says to the base that the model holds.

    The modules' forwards are replaced once, by ones that look the plan up: another plan is a pointer. `close` puts the
    modules' own back.
    """

    def __init__(self, model: nn.Module, slots: Mapping[str, Slot]) -> None:
        self.model, self.slots = model, slots
        self.ran: set[int] = set()
        self.ready: dict[Any, tuple[Mapping[int, Any], str | None, list[str]]] = {}
        self.head: str | None = None  # the task whose callable head answers
        self._now: Mapping[int, Any] = {}
        self._own: dict[int, tuple[nn.Module, Any, bool]] = {}
        self._names = {id(module): name for name, module in model.named_modules()}

    def prepared(self, plan: RowPlan) -> dict[int, Any]:
        """What `point` takes: for each module that the plan touches, how it computes.

        Raises:
            InputError: a module that a task touches and that cannot be computed by row; names it.
        """
        made: dict[int, Any] = {}
        kind = getattr(getattr(self.model, "config", None), "model_type", None)
        if kind in _TOKENS_FIRST:  # where there are as many tokens as rows, shapes alone would not show it
            raise InputError("model", got=f"a {kind}, which computes tokens first, rows second",
                             expected="a batch of one task: bank.use")  # fmt: skip
        for module, parts in _touched(self.model, self.slots, plan).values():
            name = self._names.get(id(module), "") or ROOT
            if name.rpartition(".")[2] in _NOT_BY_ROW or not getattr(module, "batch_first", True):
                raise InputError(f"module {name!r}", got="one whose input does not begin with the rows of the batch",
                                 expected="a batch of one task: bank.use")  # fmt: skip
            own = self._own[id(module)][1] if id(module) in self._own else module.forward
            made[id(module)] = forward_of(module, parts, plan, name, own)
        for module in self.model.modules():
            if id(module) in made and id(module) not in self._own:
                self._replace(module)
        return made

    def point(self, prepared: Mapping[int, Any]) -> None:
        """From now on compute by this plan."""
        self._now = prepared

    def keep(self, key: Any, prepared: Mapping[int, Any], head: str | None, tasks: list[str]) -> None:
        """Keep a plan of some tasks ready under a key; the oldest of many is forgotten."""
        self.ready[key] = prepared, head, tasks
        if len(self.ready) > _PLANS:
            del self.ready[next(iter(self.ready))]

    def forget(self, task: str) -> None:
        """Keep no plan ready that uses a task."""
        self.ready = {key: kept for key, kept in self.ready.items() if task not in kept[2]}

    def select(self, key: Any) -> list[str]:
        """Compute by a plan that is kept ready; returns its tasks."""
        self._now, self.head, tasks = self.ready[key]
        return tasks

    def _replace(self, module: nn.Module) -> None:
        own, key = module.forward, id(module)

        def forward(*args: Any, **kwargs: Any) -> Any:
            compute = self._now.get(key)
            if compute is None:
                return own(*args, **kwargs)
            self.ran.add(key)
            if not torch.is_grad_enabled():
                return compute(*args, **kwargs)
            with torch.no_grad():
                return compute(*args, **kwargs)

        self._own[key] = module, own, "forward" in module.__dict__
        module.forward = forward

    def idle(self, plan: RowPlan) -> list[str]:
        """Modules that the plan touches and that no forward pass ran; a tied tensor has several modules."""
        touched = _touched(self.model, self.slots, plan)
        served = {part.slot.name for key in self.ran if key in touched for part in touched[key][1]}
        idle = [key for key, (_, parts) in touched.items() if any(part.slot.name not in served for part in parts)]
        return sorted(self._names.get(key, "") or ROOT for key in idle)

    def close(self) -> None:
        """Put the modules' own forwards back."""
        for module, own, instance in self._own.values():
            if instance:
                module.forward = own
            else:
                del module.__dict__["forward"]
        self._own, self._now = {}, {}


@contextlib.contextmanager
def by_row(model: nn.Module, slots: Mapping[str, Slot], plan: RowPlan) -> Iterator[RowCost]:
    """Let the forward passes of `model`, which has its base on, answer each row under its own mixture.

    Raises:
        InputError: a module that a task touches and that cannot be computed by row; names it.
    """
    added = AddedForward(model, slots)
    counter = model.register_forward_pre_hook(lambda *_: _count(plan.cost))
    try:
        added.point(added.prepared(plan))
        yield plan.cost
    finally:
        counter.remove()
        added.close()
    idle = added.idle(plan) if plan.cost.forwards else []
    if idle:
        _warn(idle)


def _count(cost: RowCost) -> None:
    cost.forwards += 1


def _warn(names: list[str]) -> None:
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    warnings.warn(
        f"{', '.join(names[:8])}{more}: not run by the forward passes in this block, so what the tasks change there "
        "had no effect. If the model uses these weights without calling the module, use `bank.use` instead",
        stacklevel=4,
    )


def _touched(model: nn.Module, slots: Mapping[str, Slot], plan: RowPlan) -> dict[int, tuple[nn.Module, list[Part]]]:
    """By identity: the modules whose forward must be computed by row, and their tensors that any task changes.

    A module that holds such tensors and inner modules (a class token, a scale of the whole model) is taken whole.
    """
    heads = {name for task in plan.tasks.values() if isinstance(task.head, dict) for name in task.head}
    changed = {name for task in plan.tasks.values() for name in (*task.terms, *task.dense)}
    parts: dict[tuple[int, str], Part] = {}
    for name, module, leaf, _ in named_tensors(model):
        if slots[name].name in changed or name in heads:
            parts.setdefault((id(module), leaf), Part(module, leaf, slots[name], name))
    direct = {module for module, _ in parts}
    owner: dict[int, nn.Module] = {}
    for module in model.modules():  # outer ones first
        holders = [id(child) in direct for child in module.children() if isinstance(child, _HOLDERS)]
        if (
            isinstance(module, _WHOLE)
            or any(holders)
            or (id(module) in direct and any(True for _ in module.children()))
        ):
            for inner in module.modules():
                owner.setdefault(id(inner), module)
    found: dict[int, tuple[nn.Module, list[Part]]] = {}
    for part in parts.values():
        unit = owner.get(id(part.owner), part.owner)
        found.setdefault(id(unit), (unit, []))[1].append(part)
    return found


def split_rows(output: Any, heads: Sequence[Any], widths: Sequence[int] | None) -> list[Tensor]:
    """One tensor for each row of a model's output: cut to its head's width, or through its head if that is a callable.

    A callable head gets what it would get from a batch of its rows alone: the output with its tensors cut to them.
    """
    rows: list[Tensor | None] = [None] * len(heads)
    groups: dict[int, list[int]] = {}
    for row, head in enumerate(heads):
        if callable(head):
            groups.setdefault(id(head), []).append(row)
    for members in groups.values():
        made = heads[members[0]](_cut(output, members, len(heads)))
        for row, value in zip(members, main_tensor(made), strict=True):
            rows[row] = value
    plain = [row for row, value in enumerate(rows) if value is None]
    if plain:
        values = main_tensor(output)
        for row in plain:
            rows[row] = values[row] if widths is None else values[row][..., : widths[row]]
    return [row for row in rows if row is not None]


def main_tensor(output: Any) -> Tensor:
    """A model's or head's output as one tensor: itself, its logits, or its first field."""
    if isinstance(output, Tensor):
        return output
    logits = getattr(output, "logits", None)
    return output[0] if logits is None else logits


def _cut(output: Any, rows: list[int], count: int) -> Any:
    """An output with its tensors cut to some rows."""
    if isinstance(output, Tensor):
        return output[rows] if output.dim() and len(output) == count else output
    if isinstance(output, Mapping):  # an output of transformers is one, too
        return type(output)(**{key: _cut(value, rows, count) for key, value in output.items()})
    if isinstance(output, tuple | list):
        return type(output)(_cut(value, rows, count) for value in output)
    return output
