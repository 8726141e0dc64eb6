"""State other than gradients that a forward pass changes, as it was before, for steps that are skipped."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class Before:
    """Buffers (BatchNorm's statistics) and torch's generators as they were before a step's first forward pass.

    It is a hook of the model: whatever loop calls the model in training mode, the first call of a step is seen. A copy
    of the model, and a pickled one, has a hook that does nothing.
    """

    def __init__(self, model: nn.Module | None = None) -> None:
        self._model = model
        self._buffers: dict[str, Tensor] = {}
        self._generators: list[Tensor] | None = None
        if model is not None:
            model.register_forward_pre_hook(self)

    def __reduce__(self) -> Any:
        return Before, ()

    def __call__(self, module: nn.Module, _: Any) -> None:
        """Remember, if this is the first forward pass in training since the last step."""
        if module is self._model and module.training and self._generators is None:
            self._buffers = {name: one.detach().clone() for name, one in module.named_buffers()}
            self._generators = [torch.get_rng_state()]
            if torch.cuda.is_available() and torch.cuda.is_initialized():
                self._generators += torch.cuda.get_rng_state_all()

    def spoilt(self) -> str | None:
        """Name of a buffer that was finite and is not any more."""
        if self._model is None:
            return None
        for name, now in self._model.named_buffers():
            was = self._buffers.get(name)
            if was is not None and now.is_floating_point() and not now.isfinite().all() and was.isfinite().all():
                return name
        return None

    @torch.no_grad()
    def restore(self) -> None:
        """Put back what was remembered."""
        if self._model is None or self._generators is None:
            return
        for name, now in self._model.named_buffers():
            if name in self._buffers:
                now.copy_(self._buffers[name])
        torch.set_rng_state(self._generators[0])
        if len(self._generators) > 1:
            torch.cuda.set_rng_state_all(self._generators[1:])

    def forget(self) -> None:
        """The step is over."""
        self._buffers, self._generators = {}, None
