"""The tensors of a live model that switches may write: found by name, once for tied names, on whatever device they are.

A `Slot` keeps the tensor's pristine value from its first use on. That copy is what makes every undo exact; its cost is
the memory of the tensors that any switch touches, once for a bank, however many tasks it holds.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import torch
from ninefold.errors import InputError
from torch import Tensor, nn

from tswitch.bank._resident import BLOCK, Job, Term, digests, unpack, write_all
from tswitch.checkpoints._checkpoint import Checkpoint
from tswitch.checkpoints._given import fingerprint
from tswitch.switch._plan import statistics_share

_Content: TypeAlias = tuple[tuple[Term, ...], tuple[tuple[float, Tensor], ...]]  # terms, and what is kept whole
_BASE: _Content = (), ()
_QUANTISED_CLASSES = ("Params4bit", "Int8Params", "QTensor", "HQQLinear")
_QUANTISED_NAMES = ("qweight", "qzeros", "weight_packed", "SCB")


class Slot:
    """One tensor of the model: a parameter or buffer, under one or several names.

    Attributes:
        names: all its names; the first is used in messages.
        pristine: its base value, flat (n,) and contiguous, or None before the first `capture`.
    """

    def __init__(self, name: str, module: nn.Module, leaf: str, pristine_device: torch.device | None) -> None:
        self.names = [name]
        self._module, self._leaf = module, leaf
        self._pristine_device = pristine_device
        self.pristine: Tensor | None = None
        self._mark: tuple[Any, ...] | None = None
        self._digest: str | None = None  # of `pristine`
        self._hashed: tuple[tuple[Any, ...], str] | None = None  # a state of the live tensor, and its digest
        self._holds: _Content | None = None  # what the bank knows the live tensor to hold
        self._sums: np.ndarray | None = None  # of that, block by block, where the compiled kernel wrote or read it

    def tie(self, name: str) -> None:
        """Add another name under which the model holds the same tensor."""
        self.names.append(name)

    @property
    def name(self) -> str:
        """The first name."""
        return self.names[0]

    def live(self) -> Tensor:
        """The tensor as the model holds it now, detached, sharing its memory.

        Raises:
            InputError: if it is on the meta device and no accelerate hook keeps it in CPU memory.
        """
        module, leaf = self._module, self._leaf
        tensor = module._parameters.get(leaf)
        tensor = module._buffers.get(leaf) if tensor is None else tensor
        if tensor is None:
            raise InputError(f"tensor {self.name!r}", got="None", expected="a tensor, as when the bank was made")
        tensor = tensor.detach()
        return _offloaded(self.name, module, leaf) if tensor.device.type == "meta" else tensor

    def capture(self, live: Tensor) -> None:
        """Copy the live value, which must be the base, unless the copy at hand is still true.

        It is if the tensor was not moved, replaced or changed in place since `capture` or `written` last saw it.
        """
        mark = _mark(live)
        if self._mark == mark:
            return
        device = self._pristine_device or live.device
        self.pristine = live.contiguous().reshape(-1).to(device, copy=True)
        self._mark = mark
        self._holds, self._sums = _BASE, digests(live)
        self._digest = self._hashed[1] if self._hashed is not None and self._hashed[0] == mark else None

    def base(self) -> Tensor:
        """The pristine value, flat (n,); `capture` must have been called."""
        assert self.pristine is not None
        return self.pristine

    def written(self, live: Tensor, content: _Content, sums: np.ndarray | None) -> None:
        """Note that the bank itself has just written the live tensor, and what; `sums` are its digests, if known."""
        self._mark, self._holds, self._sums = _mark(live), content, sums

    def unknown(self) -> None:
        """Note that the bank begins to write the live tensor: until it has, nothing is known of its values."""
        self._holds = self._sums = None

    def sums(self, live: Tensor) -> np.ndarray | None:
        """Digests that the live tensor must have, to be checked as it is written; None if they are not known."""
        return self._sums if self._stands(live) else None

    def changed(self, live: Tensor) -> bool:
        """Whether somebody else wrote the live tensor since `capture` or `written`, in whatever way.

        A tensor that was moved or cast holds the same values in another form: of it nothing can be said.
        """
        if not self._stands(live) or self._holds is None:
            return False
        sums = digests(live) if self._sums is not None else None
        if sums is not None and self._sums is not None:
            return not np.array_equal(sums, self._sums)
        return not _same_bits(self.expected(live, self._holds), live)

    @property
    def content(self) -> _Content | None:
        """What the bank knows the live tensor to hold."""
        return self._holds

    def rebuilt(self, live: Tensor, content: _Content | None, kept: list[slice]) -> Tensor:
        """What the live tensor held before it was written up to the parts `kept`: there its own values, else `content`.

        What was overwritten had been found to be `content` by its digests.
        """
        assert content is not None
        made = self.expected(live, content)
        for part in kept:
            made.view(-1)[part] = live.view(-1)[part]
        return made

    def expected(self, live: Tensor, content: _Content) -> Tensor:
        """What the live tensor holds after `content` was written, made anew, in its shape."""
        terms, dense = content
        target = Target(self, torch.empty(live.shape, dtype=live.dtype, device=live.device), list(terms), list(dense))
        job = target.job()
        if job is None:
            target.write()
        else:
            write_all([job])
        return target.live

    def _stands(self, live: Tensor) -> bool:
        """Whether the live tensor is where and as the bank last saw it, its values aside."""
        return self._mark is not None and self._mark[:-1] == _mark(live)[:-1]

    def notice_write(self, live: Tensor) -> None:
        """With the base on: take notice of a write that autograd did not count, as if it had."""
        if self._mark == _mark(live) and self.changed(live):
            self.forget()

    def forget(self) -> None:
        """Forget what the base was: the live tensor holds another one."""
        self._mark = self._digest = self._hashed = self._holds = self._sums = None

    def digest(self, live: Tensor) -> str:
        """Fingerprint of the live value, which must be the base, as switches record it: of its values as float32.

        Hashed once for each state of the tensor, and once for its pristine value.
        """
        mark = _mark(live)
        if mark == self._mark:
            self._digest = self._digest or self._fingerprint(live)
            return self._digest
        if self._hashed is None or self._hashed[0] != mark:
            self._hashed = mark, self._fingerprint(live)
        return self._hashed[1]

    def _fingerprint(self, live: Tensor) -> str:
        return fingerprint(Checkpoint.of({self.name: live}), self.name)


@dataclass
class Target:
    """What to write into a slot: base + sum of terms + sum of w (value - base) over values that are kept whole.

    Attributes:
        live: the slot's live tensor, looked up once for a whole activation.
    """

    slot: Slot
    live: Tensor
    terms: list[Term] = field(default_factory=list)
    dense: list[tuple[float, Tensor]] = field(default_factory=list)

    @property
    def content(self) -> _Content:
        """What the live tensor will hold."""
        return tuple(self.terms), tuple(self.dense)

    def job(self, sums: np.ndarray | None = None) -> Job | None:
        """The write as a job on the live memory itself; None if that is not contiguous or not all is ternary.

        Args:
            sums: digests that the live tensor must have; None writes it unseen.
        """
        if self.dense or not self.live.is_contiguous():
            return None
        room = np.empty(-(-self.live.numel() // BLOCK), np.uint64) if sums is None else sums
        return Job(self.slot.base(), self.terms, self.live.view(-1), room, sums is not None)

    def write(self) -> None:
        """Write what is no job: by way of a dense tensor."""
        live, base = self.live, self.slot.base()
        if not self.dense and not self.terms:
            live.copy_(base.view(live.shape))
            return
        if not self.dense:
            out = torch.empty(live.numel(), dtype=live.dtype, device=live.device)
            write_all([Job(base, self.terms, out)])
            live.copy_(out.view(live.shape))
            return
        weight, value = max(self.dense, key=lambda pair: pair[0])
        if not live.is_floating_point() or (len(self.dense) == 1 and weight == 1 and not self.terms):
            live.copy_(value)  # integers do not mix: the heaviest task's
            return
        wide = torch.promote_types(live.dtype, torch.float32)
        base = base.to(live.device, wide).view(live.shape)
        total = base.clone()
        for term in self.terms:
            total += unpack(term.codes, live.numel()).view(live.shape) * torch.tensor(term.scale, dtype=torch.float32)
        less = statistics_share(self.slot.name, [weight for weight, _ in self.dense])
        for weight, value in self.dense:
            total += weight * less * (value.to(live.device, wide) - base)
        live.copy_(total)


def _same_bits(one: Tensor, two: Tensor) -> bool:
    """Whether two tensors of one shape and dtype are equal to the bit, NaNs included."""
    flat = [tensor.contiguous().reshape(-1).view(torch.uint8) for tensor in (one, two)]
    return torch.equal(*flat)


def _mark(tensor: Tensor) -> tuple[Any, ...]:
    """What changes when a tensor is moved, replaced, or written by anything that autograd sees."""
    version = None if tensor.is_inference() else tensor._version
    return tensor.device, tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride(), version


def find_slots(model: nn.Module, pristine_device: torch.device | None = None) -> dict[str, Slot]:
    """Slots of all parameters and buffers by name; names that share one tensor share one slot.

    Raises:
        InputError: a quantised model, or tensors that are no plain dense tensors; names the first.
    """
    refuse_quantised(model)
    slots: dict[str, Slot] = {}
    seen: dict[tuple[Any, ...], Slot] = {}
    for name, module, leaf, tensor in named_tensors(model):
        slot = Slot(name, module, leaf, pristine_device)
        key: tuple[Any, ...] = (id(tensor),)
        with contextlib.suppress(InputError):  # without values here: an error only for who asks for them
            live = slot.live()
            key = (*_mark(live)[:-1], live.numel() or id(tensor))
        slots[name] = seen.setdefault(key, slot)
        if seen[key] is not slot:
            seen[key].tie(name)
    return slots


def refuse_quantised(model: nn.Module) -> None:
    """Raise InputError if the model's weights are packed integers: a switch adds to floating-point weights."""
    expected = "floating-point weights; load the model without quantisation"
    config = getattr(model, "config", None)
    method = getattr(model, "quantization_method", None) or getattr(config, "quantization_config", None)
    if getattr(model, "is_quantized", False) or method:
        raise InputError("model", got=f"a quantised {type(model).__name__} ({method})", expected=expected)
    for name, _, leaf, tensor in named_tensors(model):
        kind = type(tensor.data).__name__ if type(tensor) is nn.Parameter else type(tensor).__name__
        if leaf in _QUANTISED_NAMES or kind in _QUANTISED_CLASSES:
            raise InputError(f"tensor {name!r}", got=f"{kind} of {tensor.dtype}", expected=expected)
        if kind not in ("Tensor", "Parameter", "Buffer"):
            raise InputError(f"tensor {name!r}", got=f"a {kind}", expected="a plain dense tensor")


def named_tensors(model: nn.Module) -> Iterator[tuple[str, nn.Module, str, Tensor]]:
    """(full name, module, leaf name, tensor) of every parameter and buffer, tied ones under each name."""
    for prefix, module in model.named_modules(remove_duplicate=False):
        for leaf, tensor in [*module._parameters.items(), *module._buffers.items()]:
            if tensor is not None:
                yield (f"{prefix}.{leaf}" if prefix else leaf), module, leaf, tensor


def _offloaded(name: str, module: nn.Module, leaf: str) -> Tensor:
    """The CPU tensor from which an accelerate hook loads a weight that is on the meta device between forwards."""
    hook = getattr(module, "_hf_hook", None)
    for one in getattr(hook, "hooks", (hook,)):
        weights = getattr(one, "weights_map", None)
        if weights is not None and leaf in weights:
            first, second = weights[leaf], weights[leaf]
            if first.data_ptr() == second.data_ptr():  # weights on disk are read anew each time: not ours to change
                return first.detach()
            raise InputError(
                f"tensor {name!r}",
                got="a weight that accelerate keeps on disk",
                expected="weights in memory",
                hint="widen max_memory in the device_map",
            )
    raise InputError(f"tensor {name!r}", got="a meta tensor without values", expected="a loaded weight")
