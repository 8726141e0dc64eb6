"""One task of a bank: a switch checked against a live model, and laid out as it is switched on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from ninefold.errors import ArtifactError, InputError
from torch import Tensor, nn

from tswitch.bank._resident import Term, invalid_codes
from tswitch.bank._slots import Slot, Target
from tswitch.bank._sparse import SparseSigns
from tswitch.checkpoints._checkpoint import Checkpoint
from tswitch.checkpoints._given import fingerprint
from tswitch.switch._switch import Switch

Head = Mapping[str, Tensor] | Callable[[Any], Any]
"""A task's head: tensors that take the place of the model's parameters of those names, or a callable on its output."""


@dataclass
class ResidentTask:
    """A task in memory; keys are names of slots.

    Attributes:
        terms: two-bit codes on the slot's device, and lambda.
        dense: fine-tuned values that are kept whole: scalars, BatchNorm buffers.
        digests: fingerprints that the base must have; empty if the check was forced off.
        head: parameters to swap in by name, a callable, or None.
        sparse: signs of matrices by rows, for forward passes by row; made when first used.
        check: compares tensors that are mapped from a file with their digests; called when the task is first used.
    """

    terms: dict[str, Term]
    dense: dict[str, Tensor]
    digests: dict[str, str]
    head: Callable[[Any], Any] | dict[str, nn.Parameter] | None = None
    sparse: dict[str, SparseSigns] = field(default_factory=dict)
    check: Callable[[], object] | None = None

    def signs(self, key: str, shape: tuple[int, int], *, transposed: bool) -> SparseSigns:
        """Signs of a matrix of this shape, or of its transpose, by rows."""
        if key not in self.sparse:
            self.sparse[key] = SparseSigns.of(self.terms[key].codes, shape, transposed=transposed)
        return self.sparse[key]

    @property
    def sparse_nbytes(self) -> int:
        """Bytes of the signs by rows."""
        return sum(signs.nbytes for signs in self.sparse.values())

    @property
    def nbytes(self) -> int:
        """Bytes in memory: codes, four for each lambda, and what is kept whole, swapped heads included."""
        head = self.head.values() if isinstance(self.head, dict) else ()
        whole = sum(tensor.nbytes for tensor in (*self.dense.values(), *head))
        return sum(term.codes.nbytes + 4 for term in self.terms.values()) + whole


def read_switch(name: str, switch: Switch, model: nn.Module, slots: Mapping[str, Slot], *, force: bool) -> ResidentTask:
    """Check a switch against the model, which has its base on, then read and unpack it.

    A switch of a LoRA adapter goes into a model that peft has wrapped.

    Raises:
        InputError: listing tensors that are missing, have another shape, an integer dtype or (unless `force`) other
            values than the switch's base.
        ArtifactError: a damaged switch.
    """
    if "adapter" in switch.config:
        raise InputError(f"switch of task {name!r}", got="a LoRA adapter's", expected="a full model's",
                         hint="write it by save_adapter, and let peft switch adapters")  # fmt: skip
    shapes = {key: about.shape for key, about in switch.tensors.items()}
    shapes |= {key: tuple(value.shape) for key, value in switch.dense.items()}
    find = match(shapes, model, slots)
    found = {key: find(key) for key in shapes}
    if not all(found.values()) and not switch.pairing.is_plain:  # a live model of the fine-tuned one's class
        pairing = switch.pairing
        other = match({pairing.to_finetuned(key): shape for key, shape in shapes.items()}, model, slots)
        found, first = {key: other(pairing.to_finetuned(key)) for key in shapes}, found
        found, find = (found, lambda key: other(pairing.to_finetuned(key))) if all(found.values()) else (first, find)
    _refuse(f"model for task {name!r}", "no tensors", [key for key, slot in found.items() if slot is None])
    here = {key: slot for key, slot in found.items() if slot is not None}
    lives = {key: slot.live() for key, slot in here.items()}
    grown = {key: live for key, live in lives.items() if _has_rows(switch, key, live)}
    wrong = [
        f"{key} {tuple(live.shape)} for {shapes[key]}"
        for key, live in lives.items()
        if tuple(live.shape) != shapes[key] and key not in grown
    ]
    short = [f"{key} {tuple(lives[key].shape)}" for key in switch.rows if key in lives and key not in grown]
    if short:
        got = f"no room in {_listed(short)} for the rows that the switch adds"
        raise InputError(f"model for task {name!r}", got=got, expected="a model with room for all rows",
                         hint="enlarge it first: model.resize_token_embeddings(...)")  # fmt: skip
    _refuse(f"model for task {name!r}", "other shapes:", wrong)
    integers = [f"{key} ({lives[key].dtype})" for key in switch.tensors if not lives[key].is_floating_point()]
    _refuse(f"model for task {name!r}", "integer tensors", integers)

    task = ResidentTask({}, {}, {})
    if not force:
        for key, digest in switch.base_digests.items():
            slot = find(key)
            if slot is not None and key in grown:
                _check_rows(name, key, grown[key], switch)
            elif slot is not None:
                task.digests[slot.name] = digest
        check_base(name, task, [(slots[key], slots[key].live()) for key in task.digests], switch.config.get("base"))
    for key, about in switch.tensors.items():
        if key in grown:  # kept whole, since there is no code for a row that the base does not have
            old = lives[key][: about.shape[0]].float().cpu() + switch.dequantise(key)
            whole = torch.cat([old, switch.rows[key].float()])
            task.dense[here[key].name] = whole.to(lives[key].device, lives[key].dtype)
            continue
        codes, slot = switch.packed(key), here[key]
        if invalid_codes(codes):
            raise ArtifactError(switch.path or "switch", f"is damaged: tensor {key!r} has codes that mean nothing")
        same = task.terms.get(slot.name)
        if same is not None and (same.scale != about.scale or not torch.equal(same.codes.cpu(), codes)):
            raise InputError(
                f"tensor {key!r} of task {name!r}",
                got=f"another difference than under its other name (the model ties {', '.join(slot.names)})",
                expected="one difference for one tensor",
            )
        task.terms[slot.name] = Term(codes.to(lives[key].device), about.scale)
    for key, value in switch.dense.items():
        task.dense[here[key].name] = value.to(lives[key].device)
    for key in (*task.terms, *task.dense):
        slots[key].capture(slots[key].live())
    return task


def _has_rows(switch: Switch, key: str, live: Tensor) -> bool:
    """Whether a live tensor has been given room for the rows that the switch adds."""
    if key not in switch.rows or key not in switch.tensors:
        return False
    shape = switch.tensors[key].shape
    return tuple(live.shape) == (shape[0] + len(switch.rows[key]), *shape[1:])


def _check_rows(name: str, key: str, live: Tensor, switch: Switch) -> None:
    """Refuse an enlarged tensor whose first rows are not the base's."""
    first = Checkpoint.of({key: live[: switch.tensors[key].shape[0]].contiguous()})
    if fingerprint(first, key) != switch.base_digests[key]:
        raise InputError(f"base of task {name!r}", got=f"other values in {key}", expected="the base that its switch "
                         "was made from, with rows added", hint="force=True applies it all the same")  # fmt: skip


def keep_hot(tasks: Mapping[str, ResidentTask], hot: dict[str, None], names: Collection[str], budget: int) -> list[str]:
    """Note in `hot` that tasks are in use as sparse rows; drop those of others, the one used longest ago first, as long
    as all take more than `budget` bytes. Returns the names of those dropped.
    """
    for name in names:
        hot.pop(name, None)
        hot[name] = None
    total, dropped = sum(tasks[name].sparse_nbytes for name in hot), []
    for name in [name for name in hot if name not in names]:
        if total <= budget:
            break
        total -= tasks[name].sparse_nbytes
        tasks[name].sparse.clear()
        del hot[name]
        dropped.append(name)
    return dropped


def check_base(name: str, task: ResidentTask, held: Iterable[tuple[Slot, Tensor]], base: str | None = None) -> None:
    """Raise InputError, listing slots whose live tensors, with the base on, are not the base of the task's switch."""
    other = [slot.name for slot, live in held if task.digests.get(slot.name) not in (None, slot.digest(live))]
    if other:
        raise InputError(
            f"base of task {name!r}",
            got=f"other values in {_listed(other)}",
            expected=f"the base that its switch was made from{f' ({base})' if base else ''}",
            hint="a base loaded in another precision differs too; force=True applies it all the same",
        )


def planned(
    weights: Mapping[str, float], tasks: Mapping[str, ResidentTask], slots: Mapping[str, Slot], *, based: bool
) -> list[Target]:
    """What to write where. Checks everything that can be wrong, and takes in a base that changed meanwhile.

    Args:
        weights: those of the tasks to switch on; the others of `tasks` do not count.
        tasks, slots: of the bank, by name.
        based: the base is on: if the caller changed it, it is either refused or the base from now on.
    """
    targets: dict[str, Target] = {}

    def target(key: str) -> Target:
        if key not in targets:
            targets[key] = Target(slots[key], slots[key].live())
        return targets[key]

    for name, weight in weights.items():
        task = tasks[name]
        if task.check is not None:
            task.check()
            task.check = None
        for key, term in task.terms.items():
            goal = target(key)
            if term.codes.device != goal.live.device:
                task.terms[key] = term = Term(term.codes.to(goal.live.device), term.scale)
            goal.terms.append(Term(term.codes, weight * term.scale))  # added in the order of the weights
        for key, value in task.dense.items():
            target(key).dense.append((weight, value))
    if based:
        for name in weights:
            check_base(name, tasks[name], [(goal.slot, goal.live) for goal in targets.values()])
        for goal in targets.values():
            goal.slot.capture(goal.live)
    return list(targets.values())


def read_head(name: str, model: nn.Module, task: ResidentTask, head: Head, *, own: bool, copy: bool = True) -> Any:
    """A task's head, checked: parameters by name, or the callable. `own`: it is the switch's, not given by the caller.

    Raises:
        InputError: tensors whose names the model lacks, whose sizes other than the first differ, or which the switch
            itself changes.
    """
    if callable(head):
        return head
    parameters = dict(model.named_parameters(remove_duplicate=False))
    missing = [key for key in head if key not in parameters]
    if own and len(missing) == len(head):
        return None  # the model ends before the head: the caller's to apply
    _refuse(f"model for the head of task {name!r}", "no parameters", missing)
    _refuse(
        f"head of task {name!r}", "tensors that the switch changes too:", [key for key in head if key in task.terms]
    )
    held: dict[str, nn.Parameter] = {}
    for key, value in head.items():
        mine = parameters[key]
        if mine.device.type == "meta":
            raise InputError(
                f"head tensor {key!r}", got="an offloaded parameter", expected="one that stays on a device"
            )
        if value.dim() != mine.dim() or value.shape[1:] != mine.shape[1:]:
            raise InputError(
                f"head tensor {key!r} of task {name!r}",
                got=f"shape {tuple(value.shape)}",
                expected=f"{('any', *mine.shape[1:])}, as in the model",
            )
        held[key] = nn.Parameter(value.detach().to(mine.device, mine.dtype, copy=copy), requires_grad=False)
    return held


def owner(model: nn.Module, name: str) -> tuple[nn.Module, str, nn.Parameter]:
    """(module, leaf name, parameter) of a parameter by its full name."""
    path, _, leaf = name.rpartition(".")
    module = model.get_submodule(path)
    parameter = module._parameters[leaf]
    assert parameter is not None
    return module, leaf, parameter


def match(names: Iterable[str], model: nn.Module, slots: Mapping[str, Slot]) -> Callable[[str], Slot | None]:
    """How a switch's names are found in the model: as they are, or below the one module that holds them all, or without
    the prefix that transformers gives to an encoder under a head."""
    names = list(names)
    if not all(name in slots for name in names):
        below = {slot.removesuffix(names[0]) for slot in slots if slot.endswith(f".{names[0]}")}
        whole = [prefix for prefix in below if all(prefix + name in slots for name in names)]
        if len(whole) == 1:
            return lambda name: slots.get(whole[0] + name)
        prefix = f"{getattr(model, 'base_model_prefix', '')}."
        if all(name.removeprefix(prefix) in slots for name in names):
            return lambda name: slots.get(name.removeprefix(prefix))
        parts = {tuple(id(slots[prefix + name]) for name in names): prefix for prefix in sorted(whole)}
        if len(parts) > 1:  # two encoders of one kind; one that is reachable by two names is the same part
            names_of_parts = _listed([part.removesuffix(".") for part in parts.values()])
            raise InputError(
                "model",
                got=f"{len(parts)} parts that hold all tensors of the switch: {names_of_parts}",
                expected="one of them: which one is meant is ambiguous",
                hint="make the bank of that part, SwitchBank(model.<part>)",
            )
        if parts:
            (only,) = parts.values()
            return lambda name: slots.get(only + name)
    return slots.get


def _refuse(what: str, problem: str, names: Sequence[str]) -> None:
    if names:
        hint = "names are relative to the module that the bank was given, or to one part of it"
        raise InputError(what, got=f"{problem} {_listed(names)}", expected="the tensors of the switch", hint=hint)


def _listed(names: Sequence[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def swap_head(model: nn.Module, before: list[tuple[nn.Module, str, nn.Parameter]], head: Any) -> None:
    """Put a task's head parameters instead of the model's own, which `before` keeps; first put back those it holds."""
    while before:
        module, leaf, own = before[-1]
        module._parameters[leaf] = own
        before.pop()
    if not isinstance(head, dict):
        return
    for name, tensor in head.items():
        module, leaf, own = owner(model, name)
        before.append((module, leaf, own))
        if (tensor.device, tensor.dtype) != (own.device, own.dtype):
            head[name] = tensor = nn.Parameter(tensor.to(own.device, own.dtype), own.requires_grad)
        module._parameters[leaf] = tensor
