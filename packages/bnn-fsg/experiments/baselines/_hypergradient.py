"""Control: straight-through with a learning rate that follows the correlation of successive gradients."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from bnn_fsg.estimators._gradient import Gradient
from ninefold.errors import InputError
from torch import Tensor, nn


class HypergradientSTE(Gradient):
    """lr <- lr (1 + beta cos(g_t, g_(t-1))), the multiplicative rule of Baydin et al. (ICLR 2018, equation 8).

    The collapsed fast-net of FSG is close to this: its one number follows the same correlation.

    Args:
        model, optimizer, max_skips: see `Gradient`.
        beta: size of the lr's own steps.
    """

    name: ClassVar[str] = "ste-hypergradient"
    source: ClassVar[str] = "arXiv 1703.04782"

    def __init__(
        self, model: nn.Module, optimizer: torch.optim.Optimizer, *, beta: float = 0.05, max_skips: int = 10
    ) -> None:
        if not 0 < beta < 1:
            raise InputError("beta", got=beta, expected="a share between 0 and 1")
        super().__init__(model, optimizer, max_skips=max_skips)
        self.beta = beta
        self._before: list[Tensor] = []

    def _update(self) -> None:
        now = [layer.weight.grad.detach().clone() for layer in self.layers]
        if self._before:
            dot = sum(float((a * b).sum()) for a, b in zip(now, self._before, strict=True))
            size = torch.linalg.vector_norm(torch.stack([one.norm() for one in now]))
            size *= torch.linalg.vector_norm(torch.stack([one.norm() for one in self._before]))
            for group in self.optimizer.param_groups:
                group["lr"] *= 1 + self.beta * dot / max(float(size), 1e-30)
        self._before = now
        super()._update()

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "before": list(self._before)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self._before = self._moved(state["before"])
