"""What the slow-net reads as one sequence: a weight's own history, or a whole layer's values one after the other."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bnn_fsg.fsg._slow_net import SlowNet

_CHUNK = 200  # values in a chunk, as in the author's ImageNet variant


class Layout(nn.Module):
    """(history (steps, n), layer, scale) -> (n,)."""

    def __init__(self, net: SlowNet) -> None:
        super().__init__()
        self.net = net

    def descend(self) -> None:
        """Start as an odd function of the gradients, with the sign of the newest."""
        self.net.mirror()
        agree(self, self.net.out_proj)


@torch.no_grad()
def agree(slow: nn.Module, out: nn.Linear) -> None:
    """Flip the sign of `out`, the last map of a slow-net, if it disagrees with the newest of random gradients."""
    history = torch.randn(5, 256, generator=torch.Generator().manual_seed(0)).to(out.weight.device)
    if float((slow(history, 0, 1.0) * history[-1]).sum()) < 0:
        out.weight.neg_()


class PerWeight(Layout):
    """A sequence a weight: the layer's embedding, then that weight's gradients, oldest first."""

    def forward(self, history: Tensor, layer: int, scale: float) -> Tensor:
        """See `Layout`."""
        return self.net.last(history, layer, scale)


class Flat(Layout):
    """One sequence of steps * n scalars, as the author's code has it: the outputs at its last n positions."""

    def forward(self, history: Tensor, layer: int, scale: float) -> Tensor:
        """See `Layout`."""
        return self.net.sequence(history.reshape(-1) * scale, layer)[-history.shape[1] :]


class Chunk(Layout):
    """Like flat, but a position is a zero-padded chunk of 200 values behind a linear map, and another maps back."""

    def __init__(self, net: SlowNet) -> None:
        super().__init__(net)
        self.down = nn.Linear(_CHUNK, 1)
        self.up = nn.Linear(1, _CHUNK)

    def descend(self) -> None:
        """Stay: where 200 values pass through one, there is no sign to agree on."""

    def forward(self, history: Tensor, layer: int, scale: float) -> Tensor:
        """See `Layout`."""
        flat = history.reshape(-1) * scale
        padded = nn.functional.pad(flat, (0, -len(flat) % _CHUNK))
        out = self.up(self.net.sequence(self.down(padded.view(-1, _CHUNK))[:, 0], layer)[:, None])
        return out.reshape(-1)[: len(flat)][-history.shape[1] :]


LAYOUTS: dict[str, type[Layout]] = {"per_weight": PerWeight, "flat": Flat, "chunk": Chunk}


def make_layout(name: str, layers: int, d_state: int, d_conv: int, expand: int, *, recognition: bool) -> Layout:
    """The layout called `name` around a fresh slow-net."""
    return LAYOUTS[name](SlowNet(layers, d_state, d_conv, expand, recognition=recognition))
