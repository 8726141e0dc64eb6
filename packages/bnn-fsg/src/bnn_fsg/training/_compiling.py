"""A network compiled by torch for training: what works element by element runs in one pass over memory, not in ten."""

from __future__ import annotations

import torch
from ninefold.errors import InputError
from torch import Tensor, nn

from bnn_fsg.estimators._gradient import Gradient
from bnn_fsg.estimators._learned import Learned


class Compiled(nn.Module):
    """A network whose forward and backward pass torch compiles when it is first called; parameters stay where they are.

    Raises, when it is called, InputError if torch cannot compile it here.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self._quick = torch.compile(model, dynamic=False)

    def forward(self, x: Tensor) -> Tensor:
        """As of the network."""
        from torch._dynamo.exc import BackendCompilerFailed

        try:
            return self._quick(x)
        except BackendCompilerFailed as error:
            reason = " ".join(str(error).split("\n\n")[0].split())
            expected = "what torch.compile can do here; on a CPU that takes a C++ compiler"
            raise InputError("compile", got=reason, expected=expected) from error


def check_still(gradient: Gradient) -> None:
    """InputError if the forward or backward pass is another one at every step, and would be compiled each time."""
    before = gradient.progress
    derivatives = []
    for share in (0.25, 0.5):
        gradient.set_progress(share)
        acts = [layer.activation for layer in gradient.layers if layer.activation is not None]
        derivatives.append([gradient.surrogate(), *(one.surrogate(share) for one in acts)])
    gradient.set_progress(before)
    if isinstance(gradient, Learned) or derivatives[0] != derivatives[1]:
        what = "one that learns" if isinstance(gradient, Learned) else "a derivative that moves over the epochs"
        expected = "an estimator and activations that stay as they are, such as ste or approx with sign or rsign"
        raise InputError("compile", got=f"{gradient.name}: {what}", expected=expected)
