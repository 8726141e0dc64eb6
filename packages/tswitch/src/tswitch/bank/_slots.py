"""The tensors of a live model that switches may write: found by name, once for tied names, on whatever device they are.

A `Slot` keeps the tensor's pristine value from its first use on. That copy is what makes every undo exact; its cost is
the memory of the tensors that any switch touches, once for a bank, however many tasks it holds.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import torch
from ninefold.errors import InputError
from torch import Tensor, nn

from tswitch.bank._resident import Term, write
from tswitch.checkpoints._checkpoint import Checkpoint
from tswitch.checkpoints._given import fingerprint
from tswitch.switch._plan import statistics_share

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
        self._digest = self._hashed[1] if self._hashed is not None and self._hashed[0] == mark else None

    def base(self) -> Tensor:
        """The pristine value, flat (n,); `capture` must have been called."""
        assert self.pristine is not None
        return self.pristine

    def written(self, live: Tensor) -> None:
        """Note that the bank itself has just written the live tensor."""
        self._mark = _mark(live)

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

    def write(self, out: Tensor | None = None) -> None:
        """Write the live tensor, or another one of its shape and dtype."""
        live, base = self.live if out is None else out, self.slot.base()
        weight, heaviest = max(self.dense, key=lambda pair: pair[0], default=(0.0, live))
        alone = len(self.dense) == 1 and weight == 1 and not self.terms
        if self.dense and (alone or not live.is_floating_point()):  # integers do not mix: the heaviest task's
            live.copy_(heaviest)
            return
        wide = torch.promote_types(live.dtype, torch.float32) if self.dense else live.dtype
        direct = live.is_contiguous() and not self.dense
        flat = live.view(-1) if direct else torch.empty(live.numel(), dtype=wide, device=live.device)
        write(base, self.terms, flat)
        less = statistics_share(self.slot.name, [weight for weight, _ in self.dense])
        for weight, value in self.dense:
            flat += weight * less * (value.to(live.device, wide).reshape(-1) - base.to(live.device, wide))
        if not direct:
            live.copy_(flat.view(live.shape))


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


@contextlib.contextmanager
def deferred_interrupt() -> Iterator[None]:
    """Hold SIGINT back while the body runs, then deliver it to the handler that was set before.

    Python delivers signals to the main thread only, so elsewhere there is nothing to hold back.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pending: list[tuple[int, FrameType | None]] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: pending.append((number, frame)))
    try:
        yield
    finally:
        # getsignal gave None for a handler that was not installed from Python; it cannot be put back
        signal.signal(signal.SIGINT, before if before is not None else signal.SIG_DFL)
        if pending and callable(before):
            before(*pending[0])
