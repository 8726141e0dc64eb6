"""FSG: gradients of 1-bit weights from a fast-net and a slow-net that are learned through the forward pass.

G = alpha * slow + (1 - alpha) * k * fast (paper: a weighted sum; alpha = 0.9 in the author's code). fast = g MLP(W~),
with g = dL/dW^ of the last step and W~ of the last W_meta; slow comes from the last `history` gradients of the layer.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from ninefold.errors import InputError
from torch import Tensor, nn

from bnn_fsg.estimators._distributed import broadcast
from bnn_fsg.estimators._learned import Learned
from bnn_fsg.fsg._fast_net import FastNet
from bnn_fsg.fsg._slow_net import SlowGradient, SlowNet

PRESETS: dict[str, tuple[tuple[int, int, int], str | None, str]] = {  # sizes of the slow-net, history_norm, start
    "published": ((16, 8, 100), None, "standard"),
    "compact": ((4, 4, 8), "rms", "downhill"),
}


class FSG(Learned):
    """Fast-Slow Gradient (arXiv 2412.11777).

    Args:
        model, optimizer, max_skips: see `Gradient`.
        history: gradients kept of each layer (L).
        alpha: weight of the slow gradient, in [0, 1].
        preset: sizes of the slow-net (d_state, d_conv, expand) and defaults of `history_norm` and `start`:
            "published" (16, 8, 100: 6,400 parameters; gradients as they are, Mamba's own start), or "compact" (4, 4, 8:
            192 parameters; normalised, downhill).
        update: what the optimiser gets: "sum" (G, as published) or "fast_only" (k * fast, as in the author's code,
            where the slow gradient acts in W_meta alone).
        history_norm: "rms" divides the history by the layer's RMS and multiplies the output by it; None does not.
        start: of the hypernets. "standard": torch's and Mamba's initialisation, after which half of all draws climb,
            and much of slow does not see a gradient's sign. "downhill" (ours): the same draws, but the fast-net's
            factor is positive, the slow-net odd (`SlowNet.mirror`) and of the sign that agrees with the newest
            gradient.
        fast_lr, slow_lr: of the hypernets' Adam.
        recognition: False leaves the layer recognition embedding out.

    Examples:
        >>> import torch
        >>> from bnn_fsg import FSG, binarize
        >>> from torch import nn

        >>> seed = torch.manual_seed(0)
        >>> net = nn.Sequential(
        ...     nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Hardtanh(), nn.MaxPool2d(4),
        ...     nn.Conv2d(8, 16, 3), nn.BatchNorm2d(16), nn.Flatten(), nn.Linear(16, 10),
        ... )
        >>> x = torch.rand(4, 1, 12, 12)
        >>> model = binarize(net, weights="bwn-f", skip=["0"], example_input=x)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

        >>> gradient = FSG(model, optimizer, history=3)
        >>> labels = torch.tensor([0, 1, 2, 3])
        >>> losses = [float(gradient.step(lambda: nn.functional.cross_entropy(model(x), labels))) for _ in range(3)]
        >>> len(losses), gradient.skipped
        (3, 0)
    """

    name: ClassVar[str] = "fsg"
    source: ClassVar[str] = "arXiv 2412.11777"

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        *,
        history: int = 5,
        alpha: float = 0.9,
        preset: str = "compact",
        update: str = "sum",
        history_norm: str | None = "preset",
        start: str | None = None,
        fast_lr: float = 1e-2,
        slow_lr: float = 1e-3,
        recognition: bool = True,
        max_skips: int = 10,
    ) -> None:
        if preset not in PRESETS:
            raise InputError("preset", got=repr(preset), expected=f"one of {', '.join(PRESETS)}")
        sizes, norm, first = PRESETS[preset]
        self.update = update
        self.history_norm = norm if history_norm == "preset" else history_norm
        self.start = start or first
        _one_of("start", self.start, ["standard", "downhill"])
        _one_of("update", self.update, ["sum", "fast_only"])
        _one_of("history_norm", self.history_norm, ["rms", None])
        if not 0 <= alpha <= 1:
            raise InputError("alpha", got=alpha, expected="a share in [0, 1]")
        super().__init__(model, optimizer, history=history, max_skips=max_skips)
        self.alpha = alpha
        device = self.layers[0].weight.device
        self.fast = FastNet().to(device)
        net = SlowNet(len(self.layers), *sizes, recognition=recognition)
        self.slow = SlowGradient(net).to(device)
        if self.start == "downhill":
            self.fast.descend()
            self.slow.descend()
        for net in (self.fast, self.slow):
            broadcast(net)
        self._hypernets: dict[str, tuple[nn.Module, torch.optim.Optimizer]] = {
            "fast": (self.fast, torch.optim.Adam(self.fast.parameters(), lr=fast_lr)),
            "slow": (self.slow, torch.optim.Adam(self.slow.parameters(), lr=slow_lr)),
        }

    def direction(self, index: int) -> Tensor:
        total = (1 - self.alpha) * self.fast_gradient(index)
        return total + self.alpha * self.slow_gradient(index) if self.alpha else total

    def plain_gradient(self, index: int) -> Tensor:
        """k g, shaped like the weight: k of W, g of the last step; what a straight-through estimator has."""
        weight = self.layers[index].weight.detach()
        return self.layers[index].quantizer.calibration(weight) * self.queues[index].newest().view_as(weight)

    def fast_gradient(self, index: int) -> Tensor:
        """k g MLP(W~), W~ of the last W_meta; see `plain_gradient`."""
        return (self.plain_gradient(index) * self.latents[index]) * self.fast.factor()  # keeps one product, not three

    def slow_gradient(self, index: int) -> Tensor:
        """The slow-net's output, shaped like the weight."""
        queue = self.queues[index]
        rms = queue.rms() if self.history_norm == "rms" else 1.0
        out = self.slow(queue.chronological(), index, 1 / rms)
        return (out * rms).view_as(self.layers[index].weight)

    def refined(self, index: int, direction: Tensor) -> Tensor:
        return direction if self.update == "sum" else self.fast_gradient(index).detach()

    def hypernets(self) -> dict[str, tuple[nn.Module, torch.optim.Optimizer]]:
        return self._hypernets


def _one_of(what: str, value: Any, allowed: list[Any]) -> None:
    if value not in allowed:
        raise InputError(what, got=repr(value), expected=f"one of {', '.join(map(str, allowed))}")
