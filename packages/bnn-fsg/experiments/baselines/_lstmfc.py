"""MetaQuant's LSTMFC, a rival in the claim about FSG: a state of its own for every weight."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from bnn_fsg import MetaQuant
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

_PART = 1 << 13  # weights whose LSTM is computed (and computed anew in the backward pass) at once


class _LSTM(nn.Module):
    """M(LSTM(x)), coordinate by coordinate, one step."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(1, hidden)
        self.out = nn.Linear(hidden, 1, bias=False)

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x (n,), h and c (n, hidden) -> (n,) and the new states."""
        h, c = self.cell(x[:, None], (h, c))
        return self.out(h)[:, 0], h, c


class LSTMFC(MetaQuant):
    """R = g M(LSTM(W~)): every weight keeps a state of its own over the steps (2 * hidden numbers each)."""

    name: ClassVar[str] = "lstmfc"

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer, **options: Any) -> None:
        super().__init__(model, optimizer, **options)
        width = self.meta.cell.hidden_size  # type: ignore[union-attr]
        self.states = [layer.weight.new_zeros(2, layer.weight.numel(), width) for layer in self.layers]  # type: ignore[operator]
        self._next: dict[int, Tensor] = {}

    def make(self, hidden: int) -> nn.Module:
        return _LSTM(hidden)

    def output(self, index: int, gradient: Tensor) -> Tensor:
        flat, state = self.latents[index].reshape(-1), self.states[index]
        made, after = [], torch.empty_like(state)
        for begin in range(0, len(flat), _PART):
            part = slice(begin, begin + _PART)
            out, h, c = checkpoint(self.meta, flat[part], *state[:, part], use_reentrant=False)  # type: ignore[misc]
            made.append(out)
            after[0, part], after[1, part] = h.detach(), c.detach()
        self._next[index] = after
        return gradient * torch.cat(made).view_as(gradient)

    def _update(self) -> None:
        super()._update()
        for index, after in self._next.items():
            self.states[index] = after
        self._next = {}

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "states": list(self.states)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.states, self._next = self._moved(state["states"]), {}
