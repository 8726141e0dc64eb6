"""A live model that flips between tasks, and back to its base bit for bit.

`SwitchBank` holds one model and the switches of any number of tasks in resident form (two bits a parameter).
Activating writes base + sum_i w_i lambda_i S^i into the model's own tensors, always from a pristine copy of the base
and never from their present content, so that any number of activations in any order ends where it began.

Memory: one copy of the tensors that switches touch (for a full fine-tune: the model's own size; on the CPU with
`pristine_device="cpu"`), once for the bank; and two bits a parameter for each task. A mixture of m tasks adds m times.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from ninefold.errors import InputError
from torch import nn

from tswitch.bank._row_plan import RowCost, plan_rows
from tswitch.bank._rows import AddedForward, by_row, split_rows
from tswitch.bank._slots import Target, deferred_interrupt, find_slots
from tswitch.bank._stored import open_tasks, save_tasks
from tswitch.bank._task import Head, ResidentTask, keep_hot, planned, read_head, read_switch, swap_head
from tswitch.checkpoints._writer import Written
from tswitch.switch._switch import Switch


@dataclass(frozen=True)
class _State:
    """What is switched on: task weights, and whose head."""

    weights: Mapping[str, float] = field(default_factory=dict)
    head: str | None = None


_BASE = _State()
_LARGEST = 1e6  # far beyond any use, and far from overflow in float32


class SwitchBank:
    """The switches of several tasks, resident next to one live model.

    Args:
        model: any module; its tensors keep their memory throughout. Switches may have been made from a part of it, such
            as the encoder under a classifier: their names are looked up below the one module that holds them all.
        pristine_device: where the pristine copy lies; None is the device of each tensor. "cpu" saves accelerator
            memory and makes each switch as slow as the transfer of the model.
        hot_nbytes: bytes that tasks may take as sparse rows, which `rows` and `select` add. Beyond them those of the
            task used longest ago are dropped, and made again when it is used; the tasks in use always stay.
    Raises:
        InputError: a quantised or sharded model.

    Attributes:
        model: the module.

    What others write into a tensor that a task is written into is undone with the switch.
    All methods may be called from any thread: `use` holds a lock for its whole block, and other threads wait for it.

    Examples:
        >>> import torch
        >>> from tswitch import Switch, SwitchBank

        >>> draw = torch.manual_seed(0)
        >>> model = torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.ReLU(), torch.nn.Linear(32, 4)).eval()
        >>> base = {name: one.clone() for name, one in model.state_dict().items()}
        >>> bank = SwitchBank(model)
        >>> for task in ("banking", "travel"):
        ...     tuned = {name: one + 0.1 * torch.randn(one.shape, generator=draw) for name, one in base.items()}
        ...     bank.add(task, Switch.from_checkpoints(base, tuned, alpha=0.6))

        >>> bank.tasks
        ['banking', 'travel']
        >>> x = torch.randn(1, 16, generator=draw)
        >>> plain = model(x)
        >>> with bank.use("banking"):
        ...     switched = model(x)
        >>> torch.equal(model(x), plain), torch.equal(switched, plain)  # the base is back, bit for bit
        (True, False)

        A row of each task in one pass, without writing a weight:

        >>> answers, cost = bank.answer(torch.cat([x, x]), ["banking", {"banking": 0.5, "travel": 0.5}])
        >>> torch.allclose(answers[0], switched[0], atol=1e-5)
        True
    """

    def __init__(
        self, model: nn.Module, *, pristine_device: str | torch.device | None = None, hot_nbytes: int = 1 << 30
    ) -> None:
        if isinstance(hot_nbytes, bool) or not isinstance(hot_nbytes, int) or hot_nbytes < 0:
            raise InputError("hot_nbytes", got=repr(hot_nbytes), expected="a number of bytes, 0 or more")
        self.model = model
        self.hot_nbytes = hot_nbytes
        self._hot: dict[str, None] = {}  # tasks whose signs stand as sparse rows, the one used longest ago first
        self._slots = find_slots(model, torch.device(pristine_device) if pristine_device is not None else None)
        self._tasks: dict[str, ResidentTask] = {}
        self._state = _BASE
        self._contexts: list[object] = []
        self._written: set[str] = set()  # slots that may differ from their pristine value
        self._base_heads: list[tuple[nn.Module, str, nn.Parameter]] = []
        self._by_row = False
        self._added: AddedForward | None = None  # while tasks are selected
        self._lock = threading.RLock()

    @property
    def tasks(self) -> list[str]:
        """Names of the tasks, in the order in which they were added."""
        return list(self._tasks)

    @property
    def active(self) -> Mapping[str, float]:
        """The weights that are written into the model, by task; empty is the base."""
        return MappingProxyType(dict(self._state.weights))

    @property
    def head(self) -> Callable[[Any], Any] | None:
        """The active task's callable head, or None."""
        chosen = self._added.head if self._added is not None else self._state.head
        head = self._tasks[chosen].head if chosen is not None else None
        return head if callable(head) else None

    def nbytes(self, task: str) -> int:
        """Resident bytes of one task: codes (two bits a parameter), a scale for each tensor, and what is kept whole."""
        return self._task(task).nbytes

    @property
    def hot(self) -> list[str]:
        """Tasks that are ready as sparse rows, the one used longest ago first."""
        return list(self._hot)

    @property
    def pristine_nbytes(self) -> int:
        """Bytes of the pristine copy, once for the whole bank."""
        return sum(slot.pristine.nbytes for slot in set(self._slots.values()) if slot.pristine is not None)

    def add(self, name: str, switch: Switch, *, head: Head | None = None, force: bool = False) -> None:
        """Take in a task's switch; the model itself is not changed.

        Args:
            name: the task's name in this bank.
            switch: the task's `Switch`.
            head: None takes the switch's own head tensors, if the model has parameters of their names; else tensors
                by parameter name (their first dimension may differ from the model's), or a callable that is applied to
                the model's output by `bank(...)` and by `AutoSwitch`.
            force: skip the check that the model is the base from which the switch was made.
        Raises:
            InputError: a name that is taken; tensors that the model lacks or has in another shape or an integer dtype;
                a base that differs from the switch's. Names the tensors; the bank is then as before.
        """
        with self._lock:
            if name in self._tasks:
                raise InputError(f"task {name!r}", got="a name that is in the bank", expected="a new name")
            with self.use({}):  # pristine values are those of the base
                task = read_switch(name, switch, self.model, self._slots, force=force)
                chosen = switch.head if head is None else head
                task.head = read_head(name, self.model, task, chosen, own=head is None)
                self._tasks[name] = task

    @classmethod
    def open(cls, folder: str | Path, model: nn.Module, **options: Any) -> SwitchBank:
        """A bank that `save` wrote, around a model: tasks stay mapped from their files, and are read when first used.

        Args:
            folder: of one safetensors file, or of shards and their index.
            model: with the base on that the tasks were made against; checked when a task is first used.
            options: of `SwitchBank`.
        Raises:
            ArtifactError: a file that is missing or damaged; of a task's own bytes, when it is first used.
            InputError: a model without the tensors of a task.

        Examples:
            >>> import torch
            >>> from tswitch import Switch, SwitchBank

            >>> model = torch.nn.Linear(16, 32).eval()
            >>> tuned = {name: value + 0.1 * torch.randn(value.shape) for name, value in model.state_dict().items()}
            >>> bank = SwitchBank(model)
            >>> bank.add("travel", Switch.from_checkpoints(model, tuned, alpha=0.6))
            >>> bank.save("bank").shards
            1
            >>> SwitchBank.open("bank", model).tasks
            ['travel']
        """
        bank = cls(model, **options)
        bank._tasks = open_tasks(folder, model, bank._slots)
        return bank

    def save(self, folder: str | Path, *, max_shard_size: int | str = "5GB", force: bool = False) -> Written:
        """Write all tasks in their resident form, two bits a parameter, for `open`; resumes after a kill.

        Args:
            folder: to write; it appears whole or not at all.
            max_shard_size: most bytes of a file, like "2GB".
            force: replace `folder` if it is a bank.
        Raises:
            InputError: a task whose head is a callable. ArtifactError: `folder` exists.
        """
        with self._lock:
            return save_tasks(self._tasks, folder, max_shard_size, force=force)

    def remove(self, name: str) -> None:
        """Forget a task. Raises InputError while it is switched on or a task is selected."""
        with self._lock:
            self._task(name)
            if name in self._state.weights or name == self._state.head or self._contexts or self._added:
                raise InputError(
                    f"task {name!r}", got="a task in use", expected="one that is not", hint="restore first"
                )
            del self._tasks[name]
            self._hot.pop(name, None)

    @contextlib.contextmanager
    def use(self, weights: str | Mapping[str, float], *, head: str | None = None) -> Iterator[SwitchBank]:
        """Switch on for the length of a `with` block; then what was on before is on again, whatever happened inside.

        Contexts nest: the inner one replaces the outer one until it is left. Other threads wait. Arguments and errors
        as for `activate`; `{}` is the base.
        """
        with self._lock:
            before, token = self._state, object()
            self._contexts.append(token)
            try:
                self._set(self._checked(weights, head))
                yield self
            finally:
                with deferred_interrupt():
                    in_order = self._contexts[-1] is token
                    self._contexts.remove(token)
                    self._go_back(before if in_order else _BASE)
            if not in_order:
                raise InputError("bank.use", got="blocks left in another order than entered", expected="nested blocks")

    @contextlib.contextmanager
    def rows(
        self, weights: Sequence[str | Mapping[str, float]], *, heads: Sequence[str | None] | None = None
    ) -> Iterator[RowCost]:
        """Let each row of a batch have its own task for the length of a `with` block, without writing any weight.

        Every forward pass of the model in the block, those of `generate` included, must have these rows in this order
        as its first dimension (or each several times in a row, as for beams). Results are those of `use(task)` for each
        row, up to rounding. Gradients do not flow. Outputs of heads of several sizes are filled up with -inf, and
        callable heads are not applied: `answer` takes care of both.

        Args:
            weights: for each row a task's name, or weights by name; `{}` is the base.
            heads: for each row whose head; None is the task of its largest weight.
        Yields: what the forward passes cost, counted as they run.
        Raises:
            InputError: as for `activate`; a module that cannot be computed by row, by name.
        """
        with self._lock, self.use({}):
            given = [None] * len(weights) if heads is None else list(heads)
            if len(given) != len(weights):
                raise InputError("heads", got=len(given), expected=f"{len(weights)}, one for each row")
            states = [self._checked(one, head) for one, head in zip(weights, given, strict=True)]
            names = dict.fromkeys(name for state in states for name in (*state.weights, *filter(None, [state.head])))
            # refuses a base that changed, and moves codes to its device
            planned(dict.fromkeys(names, 1.0), self._tasks, self._slots, based=not self._written)
            plan = plan_rows(self._tasks, [(state.weights, state.head) for state in states])
            token = object()
            self._contexts.append(token)
            self._by_row = True
            try:
                with by_row(self.model, self._slots, plan) as cost:
                    self._keep_hot(plan.shares)
                    yield cost
            finally:
                self._by_row = False
                self._contexts.remove(token)

    def select(self, weights: str | Mapping[str, float] | Sequence[str | Mapping[str, float]] | None) -> None:
        """Let all forward passes from now on add a task, without writing any weight; another task is a pointer.

        The kept signs of linear layers are sparse rows, added to what the untouched dense weights give; they are made
        when a task is selected for the first time. A task that was selected before is on again within microseconds. The
        base must not be written while a task is selected; `select(None)` puts the modules' own forwards back.

        Args:
            weights: a task's name, or weights by name, for batches of any size; or one of these for each row of the
                batches, as for `rows`; None is the base. The head is that of the largest weight. Callable heads are
                applied by `bank(...)`.
        Raises:
            InputError: as for `rows`; a task that is switched on by `activate` or `use`.
        """
        with self._lock:
            if weights is None:
                if self._added is not None:
                    self._added.close()
                self._added, self._by_row = None, False
                return
            each = [weights] if isinstance(weights, str | Mapping) else list(weights)
            key = tuple(one if isinstance(one, str) else tuple(one.items()) for one in each)
            if self._added is None and (self._contexts or self._state.weights):
                raise InputError("bank", got="a task that is switched on", expected="the base", hint="restore first")
            if self._added is None or key not in self._added.ready:
                states = [self._checked(one, None) for one in each]
                names = dict.fromkeys(name for state in states for name in state.weights)
                # refuses a base that changed
                planned(dict.fromkeys(names, 1.0), self._tasks, self._slots, based=not self._written)
                self._added = self._added or AddedForward(self.model, self._slots)
                plan = plan_rows(self._tasks, [(state.weights, state.head) for state in states])
                head = states[0].head if len(states) == 1 else None
                self._added.keep(key, self._added.prepared(plan), head, list(plan.shares))
                self._keep_hot(list(plan.shares))
            for name in self._added.select(key):
                self._hot.pop(name, None)
                self._hot[name] = None
            self._by_row = True

    def answer(
        self,
        inputs: torch.Tensor | Mapping[str, Any],
        weights: Sequence[str | Mapping[str, float]],
        *,
        heads: Sequence[str | None] | None = None,
    ) -> tuple[list[torch.Tensor], RowCost]:
        """One forward pass in which each input has its own task, as `rows` says.

        Args:
            inputs: the model's one positional tensor, or its keyword arguments; first dimension B.
            weights, heads: for each of the B inputs, as for `rows`.
        Returns: for each input its row of the output (of a transformers output the logits, else its first field), as
            long as its own head is wide, through the head where that is a callable; and what it cost.
        """
        with self._lock:
            with torch.no_grad(), self.rows(weights, heads=heads) as cost:
                output = self.model(**inputs) if isinstance(inputs, Mapping) else self.model(inputs)
            states = [self._checked(one, (heads or [None] * len(weights))[row]) for row, one in enumerate(weights)]
            chosen = [self._tasks[state.head].head if state.head is not None else None for state in states]
            return split_rows(output, chosen, cost.widths), cost

    def activate(self, weights: str | Mapping[str, float], *, head: str | None = None) -> None:
        """Switch the model to a task or a mixture, until the next `activate` or `restore`.

        Args:
            weights: a task's name, or weights w_i by name (within +-1e6; they need not sum to one).
            head: whose head; None is the task of the largest weight (the first of equals).
        Raises:
            InputError: unknown task or unusable weight; a base that has changed since `add`, by tensor name. Nothing is
                written unless everything has been checked.
        """
        with self._lock:
            self._set(self._checked(weights, head))

    def restore(self) -> None:
        """Put the base back: every parameter and buffer that was touched, bit for bit, and the model's own head."""
        self.activate({})

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The model's output, through the active task's head if that is a callable."""
        with self._lock:
            output = self.model(*args, **kwargs)
            return self.head(output) if self.head is not None else output

    def _task(self, name: str) -> ResidentTask:
        if name not in self._tasks:
            raise InputError(f"task {name!r}", expected=f"one of {', '.join(self._tasks) or 'none: the bank is empty'}")
        return self._tasks[name]

    def _checked(self, weights: str | Mapping[str, float], head: str | None) -> _State:
        given = {weights: 1.0} if isinstance(weights, str) else dict(weights)
        for name, weight in given.items():
            self._task(name)
            if isinstance(weight, bool) or not isinstance(weight, Real) or not abs(weight) <= _LARGEST:
                raise InputError(f"weight of task {name!r}", got=repr(weight), expected="a number within +-1e6")
        if head is not None:
            self._task(head)
        kept = {name: float(weight) for name, weight in given.items() if weight != 0}
        if head is None and kept:
            head = max(kept, key=lambda name: kept[name])
        return _State(kept, head)

    def _keep_hot(self, names: Collection[str]) -> None:
        for name in keep_hot(self._tasks, self._hot, names, self.hot_nbytes):
            if self._added is not None:
                self._added.forget(name)

    def _set(self, state: _State) -> None:
        """Go from whatever is on to `state`; on any failure go back to what was on, or else to the base."""
        if self._by_row:
            got = "a switch inside `rows` or `select`"
            raise InputError(
                "bank", got=got, expected="the base, which rows are computed from", hint="bank.select(None)"
            )
        plan, before = planned(state.weights, self._tasks, self._slots, based=not self._written), self._state
        with deferred_interrupt():
            try:
                self._write(state, plan)
            except BaseException:
                self._go_back(before)
                raise

    def _go_back(self, state: _State) -> None:
        """Return to a state that was on before; if even that fails, the base."""
        if self._state is state:
            return
        try:
            self._write(state, planned(state.weights, self._tasks, self._slots, based=not self._written))
        except BaseException:
            self._write(_BASE, [])
            raise

    def _write(self, state: _State, plan: list[Target]) -> None:
        """Write what is planned, and the base to all other tensors that a switch has written."""
        self._state = _State()  # neither the old nor the new one until all is written
        leaving: list[Target] = []
        failure: InputError | None = None
        for name in self._written - {target.slot.name for target in plan}:
            try:
                leaving.append(Target(self._slots[name], self._slots[name].live()))
            except InputError as error:  # a tensor that is no longer there; the others are written all the same
                failure = failure or error
        inference = any(target.live.is_inference() for target in (*plan, *leaving))
        with torch.inference_mode() if inference else torch.no_grad():
            head = self._tasks[state.head].head if state.head is not None else None
            swap_head(self.model, self._base_heads, head)
            for target in (*plan, *leaving):
                self._written.add(target.slot.name)
                target.write()
                target.slot.written(target.live)
            self._written -= {target.slot.name for target in leaving}
        if failure is not None:
            raise failure
        self._state = state
