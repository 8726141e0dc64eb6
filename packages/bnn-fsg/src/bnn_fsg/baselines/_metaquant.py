"""MetaQuant (Chen et al., NeurIPS 2019): the gradient of W from a network that is learned through the forward pass."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from bnn_fsg.estimators._distributed import broadcast
from bnn_fsg.estimators._learned import Learned
from bnn_fsg.fsg._fast_net import FastNet


class MetaQuant(Learned):
    """G = k R with R = g M(W~), its best form (MultiFC); M learns by Adam, whose lr falls with the base lr.

    Args:
        model, optimizer, max_skips: see `Gradient`.
        meta_lr: of the network's Adam.
        hidden: width of the network.

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

        >>> gradient = MetaQuant(model, optimizer)
        >>> labels = torch.tensor([0, 1, 2, 3])
        >>> losses = [float(gradient.step(lambda: nn.functional.cross_entropy(model(x), labels))) for _ in range(3)]
        >>> len(losses), gradient.skipped
        (3, 0)
    """

    name: ClassVar[str] = "multifc"
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
        """M."""
        return FastNet(hidden)

    def output(self, index: int, gradient: Tensor) -> Tensor:
        """R, shaped like `gradient` (g of the last step, shaped like the weight)."""
        return gradient * self.meta(self.latents[index])

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
