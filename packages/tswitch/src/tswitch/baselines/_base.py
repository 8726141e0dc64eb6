"""What every rival is: a short class that says how one stretch of a tensor is merged, or packed for each task.

A method sees tensors piece by piece (`Piece`: base and task vectors of one stretch). What a rule needs to know before
that it measures in streaming passes: `prepare` over the whole model, `measure` over one tensor.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from ninefold.errors import InputError
from torch import Tensor

from tswitch.checkpoints._given import Model, OnMismatch
from tswitch.switch._tasks import Piece, TaskVectors

_PER_TASK = ("weights", "keep", "drop", "mask_scale")  # settings that may be one for all tasks, or one a task
Packed = Mapping[str, Tensor]
"""What is stored of one piece: bits in uint8, scales, dense values. What is under "merged" takes the base's place."""


@dataclass(frozen=True, kw_only=True)
class Method(ABC):
    """A way to keep K fine-tuned models in fewer bytes than K models.

    Attributes:
        name: its key in `METHODS`.
        source: the publication.
        limits: what it cannot do, or where this form departs from the publication.
        whole: whether it needs each tensor in one piece.
    """

    name: ClassVar[str]
    source: ClassVar[str]
    limits: ClassVar[str] = ""
    whole: ClassVar[bool] = False

    def check(self, count: int) -> None:
        """Refuse settings that do not fit so many tasks, before any work.

        Raises:
            InputError: naming the setting.
        """
        for name in _PER_TASK:
            if hasattr(self, name):
                per_task(getattr(self, name), count, name)

    def prepare(self, tasks: TaskVectors) -> Any:  # noqa: B027
        """Measure what the rule needs to know of the whole model, in streaming passes."""

    def measure(self, tasks: TaskVectors, name: str, prepared: Any) -> Any:
        """Measure what the rule needs to know of one tensor; by default what `prepare` found."""
        return prepared

    def takes_whole(self, name: str, shape: tuple[int, ...]) -> bool:
        """Whether it needs this tensor in one piece."""
        return self.whole

    @abstractmethod
    def pack(self, piece: Piece, measured: Any) -> Packed:
        """What the method stores of a piece beyond the base."""

    @abstractmethod
    def unpack(self, packed: Packed, size: int, task: int) -> Tensor:
        """(size,) float32: what task `task` adds to the base, from what was stored."""

    def fit(self, base: Model, models: Sequence[Model], *, on_mismatch: OnMismatch = "error") -> Fitted:
        """Apply the method in memory.

        Args:
            base, models: paths, hub ids, open checkpoints, modules or state dicts.
            on_mismatch: see `TaskVectors`.
        Returns: the K models in stored form.
        """
        tasks = TaskVectors(base, models, on_mismatch=on_mismatch)
        self.check(len(tasks))
        prepared = self.prepare(tasks)
        packed = {}
        for name in tasks.names:
            piece = tasks.whole(name)
            held = self.pack(piece, self.measure(tasks, name, prepared))
            packed[name] = {key: value.clone(memory_format=torch.contiguous_format) for key, value in held.items()}
        return Fitted(method=self, tasks=tasks, packed=packed)

    def stream(self, tasks: TaskVectors, name: str, prepared: Any, task: int) -> Iterator[tuple[Piece, Tensor]]:
        """Walk a tensor: (piece, what task `task` adds to the base there)."""
        measured = self.measure(tasks, name, prepared)
        whole = self.takes_whole(name, tasks.base.info(name).shape)
        for piece in [tasks.whole(name)] if whole else tasks.chunks(name):
            yield piece, self.unpack(self.pack(piece, measured), piece.base.numel(), task)


@dataclass(frozen=True, kw_only=True)
class Merger(Method):
    """A method whose result is one model for all tasks; a subclass fills in `merge_tensor`."""

    @abstractmethod
    def merge_tensor(self, piece: Piece, measured: Any) -> Tensor:
        """(n,) float32: what the merged model adds to the base. May overwrite the piece's task vectors."""

    def pack(self, piece: Piece, measured: Any) -> Packed:
        """The merged model replaces the base, so this is no extra storage."""
        return {"merged": self.merge_tensor(piece, measured)}

    def unpack(self, packed: Packed, size: int, task: int) -> Tensor:
        """The same for every task."""
        return packed["merged"]


@dataclass(frozen=True)
class Fitted:
    """K models in a method's stored form.

    Attributes:
        method: the method.
        tasks: the task vectors it was fitted on.
        packed: what is stored, by tensor.
    """

    method: Method
    tasks: TaskVectors
    packed: Mapping[str, Packed]
    _others: dict[int, dict[str, Tensor]] = field(default_factory=dict, repr=False)

    @property
    def nbytes(self) -> int:
        """Bytes stored beyond one model: the packed tensors as they are, and what else differs from task to task.

        A merged model takes the base's place, so for a `Merger` this is 0.
        """
        if isinstance(self.method, Merger):
            return 0
        stored = sum(t.nbytes for packed in self.packed.values() for key, t in packed.items() if key != "merged")
        return stored + sum(t.nbytes for task in range(len(self.tasks)) for t in self._other(task).values())

    def task_model(self, task: int) -> dict[str, Tensor]:
        """State dict for one task, in the base's dtypes: base + what the method stores for that task."""
        if not 0 <= task < len(self.tasks):
            raise InputError("task", got=task, expected=f"0 to {len(self.tasks) - 1}")
        weights = [0.0] * len(self.tasks)
        weights[task] = 1.0
        return self.mixture(weights) | self._other(task)

    def mixture(self, weights: Sequence[float]) -> dict[str, Tensor]:
        """State dict, on the CPU, of base + sum of weights[i] times what the method stores for task i."""
        if len(weights) != len(self.tasks):
            raise InputError("weights", got=f"{len(weights)} values", expected=f"{len(self.tasks)}, one a task")
        base = self.tasks.base
        state = {name: base.read(name).cpu().clone() for name in base.names}
        for name, packed in self.packed.items():
            tensor = state[name]
            total = tensor.float().reshape(-1)
            for task, weight in enumerate(weights):
                if weight:
                    delta = self.method.unpack(packed, tensor.numel(), task)
                    total = total + (delta if weight == 1 else weight * delta)
            state[name] = total.reshape(tensor.shape).to(tensor.dtype)
        return state | {other: state[name] for other, name in base.tied.items()}

    def _other(self, task: int) -> dict[str, Tensor]:
        """Tensors that no delta covers (integers, other shapes), where a task's differ from the base's."""
        if isinstance(self.method, Merger):
            return {name: model.read(name) for name, model in self.tasks.dense.items()}
        if task not in self._others:
            model, base = self.tasks.models[task], self.tasks.base
            names = [name for name in model.names if name not in self.packed]
            self._others[task] = {
                name: model.read(name)
                for name in names
                if name in self.tasks.dense
                or (name in self.tasks.copied and differs(base.read(name), model.read(name)))
            }
        return self._others[task]


def differs(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors differ in shape or in any value."""
    return a.shape != b.shape or not torch.equal(a.cpu(), b.cpu())


def per_task(value: float | Sequence[float], count: int, what: str) -> list[float]:
    """One number for every task, from one for all or a sequence of them."""
    values = [float(value)] * count if isinstance(value, int | float) else [float(v) for v in value]
    if len(values) != count:
        raise InputError(what, got=f"{len(values)} values", expected=f"one, or {count}: one a task")
    if not all(map(math.isfinite, values)):
        raise InputError(what, got=", ".join(f"{value:g}" for value in values), expected="finite numbers")
    return values


def share(value: float | Sequence[float], what: str, *, zero: bool = True, one: bool = True) -> None:
    """Refuse a share (or any of a sequence of shares) outside [0, 1]; `zero` and `one` say whether the ends count."""
    for number in [value] if isinstance(value, int | float) else value:
        if not 0 <= number <= 1 or (number == 0 and not zero) or (number == 1 and not one):
            kind = f"a share in {'[' if zero else '('}0, 1{']' if one else ')'}"
            raise InputError(what, got=number, expected=f"{kind}, not a percentage")
