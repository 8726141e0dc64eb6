"""MetaQuant (Chen et al., NeurIPS 2019): the gradient of W from a network that is learned through the forward pass."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from ninefold.errors import InputError
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from bnn_fsg.estimators._distributed import broadcast
from bnn_fsg.estimators._learned import Learned
from bnn_fsg.fsg._fast_net import FastNet

_PART = 1 << 13  # weights whose LSTM is computed (and computed anew in the backward pass) at once


class _MetaQuant(Learned):
    """Common part of both: G = k * R, where R is the network's output; Adam, whose lr falls with the base lr.

    Args:
        model, optimizer, max_skips: see `Gradient`.
        meta_lr: of the network's Adam.
        hidden: width of the network.
    """

    source: ClassVar[str] = "NeurIPS 2019, MetaQuant"

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        *,
        meta_lr: float = 1e-3,
        hidden: int = 100,
        max_skips: int = 10,
    ) -> None:
        super().__init__(model, optimizer, history=1, max_skips=max_skips)
        self.meta_lr, self._first_lr = meta_lr, self.lr(0)
        self.meta = self.make(hidden).to(self.layers[0].weight.device)
        broadcast(self.meta)
        self._meta_optimizer = torch.optim.Adam(self.meta.parameters(), lr=meta_lr)

    def make(self, hidden: int) -> nn.Module:
        """The network."""
        return FastNet(hidden)

    def output(self, index: int, gradient: Tensor) -> Tensor:
        """R, shaped like `gradient` (g of the last step, shaped like the weight)."""
        raise NotImplementedError

    def direction(self, index: int) -> Tensor:
        layer = self.layers[index]
        weight = layer.weight.detach()
        return layer.quantizer.calibration(weight) * self.output(index, self.queues[index].newest().view_as(weight))

    def hypernets(self) -> dict[str, tuple[nn.Module, torch.optim.Optimizer]]:
        return {"meta": (self.meta, self._meta_optimizer)}

    def _update(self) -> None:
        for group in self._meta_optimizer.param_groups:
            group["lr"] = self.meta_lr * self.lr(0) / self._first_lr
        super()._update()

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "first_lr": self._first_lr}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self._first_lr = state["first_lr"]


class MultiFC(_MetaQuant):
    """R = g M(W~)."""

    name: ClassVar[str] = "multifc"

    def output(self, index: int, gradient: Tensor) -> Tensor:
        return gradient * self.meta(self.latents[index])


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


class LSTMFC(_MetaQuant):
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


_VARIANTS: dict[str, type[_MetaQuant]] = {one.name: one for one in (MultiFC, LSTMFC)}


def MetaQuant(  # noqa: N802  (it makes an estimator, as the classes beside it do)
    model: nn.Module, optimizer: torch.optim.Optimizer, variant: str = "multifc", **options: Any
) -> Learned:
    """MetaQuant with one of its networks.

    Args:
        model, optimizer: see `Gradient`.
        variant: multifc or lstmfc; its name is the estimator's.
        options: meta_lr, hidden and max_skips, see `_MetaQuant`.

    Examples:
        >>> import torch
        >>> from bnn_fsg import MetaQuant, binarize
        >>> from torch import nn

        >>> seed = torch.manual_seed(0)
        >>> net = nn.Sequential(
        ...     nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Hardtanh(), nn.MaxPool2d(4),
        ...     nn.Conv2d(8, 16, 3), nn.BatchNorm2d(16), nn.Flatten(), nn.Linear(16, 10),
        ... )
        >>> x = torch.rand(4, 1, 12, 12)
        >>> model = binarize(net, weights="bwn-f", skip=["0"], example_input=x)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

        >>> gradient = MetaQuant(model, optimizer, variant="lstmfc")
        >>> labels = torch.tensor([0, 1, 2, 3])
        >>> losses = [float(gradient.step(lambda: nn.functional.cross_entropy(model(x), labels))) for _ in range(3)]
        >>> len(losses), gradient.skipped
        (3, 0)
    """
    if variant not in _VARIANTS:
        raise InputError("variant", got=repr(variant), expected=f"one of {', '.join(_VARIANTS)}")
    return _VARIANTS[variant](model, optimizer, **options)
