"""Estimators that put a derivative in the sign's place; each publication's forward is a choice of `binarize`."""

from __future__ import annotations

from typing import ClassVar

from bnn_fsg.estimators._gradient import Gradient
from bnn_fsg.layers._signs import Approx, Power, Surrogate, Tanh


class STE(Gradient):
    """Straight-through: g 1[|x| <= 1].

    Examples:
        >>> import torch
        >>> from bnn_fsg import STE, binarize
        >>> from torch import nn

        >>> seed = torch.manual_seed(0)
        >>> net = nn.Sequential(
        ...     nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Hardtanh(), nn.MaxPool2d(4),
        ...     nn.Conv2d(8, 16, 3), nn.BatchNorm2d(16), nn.Flatten(), nn.Linear(16, 10),
        ... )
        >>> x = torch.rand(4, 1, 12, 12)
        >>> model = binarize(net, weights="bwn-f", skip=["0"], example_input=x)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

        >>> gradient = STE(model, optimizer)
        >>> labels = torch.tensor([0, 1, 2, 3])
        >>> losses = [float(gradient.step(lambda: nn.functional.cross_entropy(model(x), labels))) for _ in range(20)]
        >>> losses[-1] < losses[0]
        True
    """


class ApproxSign(Gradient):
    """Bi-Real Net's (2 - 2|x|) on |x| < 1."""

    name: ClassVar[str] = "approx"
    source: ClassVar[str] = "arXiv 1808.00278"

    def surrogate(self) -> Surrogate:
        return Approx()


class ReSTE(Gradient):
    """Rectified straight-through: a power function whose exponent grows over the epochs.

    Examples:
        >>> import torch
        >>> from bnn_fsg import ReSTE, binarize
        >>> from torch import nn

        >>> seed = torch.manual_seed(0)
        >>> net = nn.Sequential(
        ...     nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Hardtanh(), nn.MaxPool2d(4),
        ...     nn.Conv2d(8, 16, 3), nn.BatchNorm2d(16), nn.Flatten(), nn.Linear(16, 10),
        ... )
        >>> x = torch.rand(4, 1, 12, 12)
        >>> model = binarize(net, weights="bwn-f", skip=["0"], example_input=x)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

        >>> gradient = ReSTE(model, optimizer)
        >>> labels = torch.tensor([0, 1, 2, 3])
        >>> for epoch in range(3):
        ...     gradient.set_progress(epoch / 3)  # its exponent grows over the run
        ...     loss = gradient.step(lambda: nn.functional.cross_entropy(model(x), labels))
        >>> gradient.skipped
        0
    """

    name: ClassVar[str] = "reste"
    source: ClassVar[str] = "arXiv 2308.06689"

    def surrogate(self) -> Surrogate:
        return Power.at(self.progress)


class ErrorDecay(Gradient):
    """The error decay estimator of IR-Net and AdaBin: from a line to a step over the epochs."""

    name: ClassVar[str] = "irnet"
    source: ClassVar[str] = "arXiv 1909.10788"

    def surrogate(self) -> Surrogate:
        return Tanh.at(self.progress)
