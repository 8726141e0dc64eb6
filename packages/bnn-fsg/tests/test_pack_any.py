"""Any small network of the operations that can be packed gives what torch gives in float64, ties included.

All numbers are small multiples of powers of two, so that nothing is ever rounded: values do lie on thresholds, and
both sides must put them on the same side.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from bnn_fsg import PackedModel, pack
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from torch import nn

from .packed_helpers import BitConv2d, Shifted, outputs


class Plain(BitConv2d):
    """Bits without means, on +1 and -1: the sums are whole, and BatchNorm behind it becomes a bound."""

    def __init__(self, *sizes, **more):
        super().__init__(*sizes, **more)
        self.low, self.high = -1.0, 1.0
        self.mean.requires_grad_(False).zero_()


class Uneven(BitConv2d):
    def __init__(self, *sizes, **more):
        super().__init__(*sizes, **more)
        self.low, self.high = -0.5, 1.5


def _conv(kind, **more):
    def make(channels, size):
        return kind(channels, 4, 3, padding=1, **more) if size > 1 else kind(channels, 4, 1)

    return make


LAYERS = {
    "conv": _conv(nn.Conv2d),
    "bits": _conv(Plain, bias=False),
    "uneven": _conv(Uneven, stride=2),
    "weights": _conv(Uneven, binary=False, dilation=1),
    "norm": lambda channels, _: nn.BatchNorm2d(channels, eps=0.0),
    "relu": lambda *_: nn.ReLU(inplace=True),
    "hardtanh": lambda *_: nn.Hardtanh(),
    "clip": lambda *_: nn.Hardtanh(-0.5, 2.0),
    "prelu": lambda channels, _: nn.PReLU(channels),
    "shifted": lambda channels, _: Shifted(channels),
    "max": lambda *_: nn.MaxPool2d(3, 1, 1),
    "average": lambda *_: nn.AvgPool2d(2, 1, 1),
}
CALLS = {
    "keep": lambda x, kept: (x, x),
    "add": lambda x, kept: (x + kept, kept),
    "add_": lambda x, kept: (x.add_(kept), kept),
    "sub": lambda x, kept: (kept - x, x),
    "join": lambda x, kept: (torch.cat([x, kept], 1), kept),
    "constants": lambda x, kept: (1.5 - x * 0.5 / torch.tensor(-2.0) + 0.25, kept),
    "pick": lambda x, kept: (F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 1, 0)), kept),
    "clamp": lambda x, kept: ((-x).clamp_(min=-1), kept),
}
BLOCKS = ["bits", "bits norm", "bits norm hardtanh", "bits norm clip bits"]  # where sums become bounds
ENDS = {
    "picture": lambda x: x,
    "mean": lambda x: x.mean((2, 3)),
    "flat": lambda x: F.relu(x.flatten(1)) - 0.5,
}


class Any(nn.Module):
    """Steps by name; one that does not fit the shapes is left out."""

    def __init__(self, steps, end, seed):
        super().__init__()
        torch.manual_seed(seed)
        self.steps, self.end, self.layers = [], end, nn.ModuleList()
        x = kept = torch.zeros(1, 3, 4, 4)
        for step in steps:
            if step in LAYERS:
                layer = LAYERS[step](x.shape[1], x.shape[2])
                for name, tensor in layer.state_dict().items():
                    if tensor.is_floating_point() and (name != "mean" or type(layer) is not Plain):
                        tensor.copy_(torch.randint(-3, 4, tensor.shape) / 2)
                    if name == "threshold":  # now and then -1, which hardtanh keeps from its bits
                        tensor.copy_(torch.randint(-2 if torch.rand(()) < 0.3 else -1, 3, tensor.shape) / 2)
                    if name == "running_var":
                        tensor.copy_(4.0 ** torch.randint(-1, 2, tensor.shape))
                self.layers.append(layer)
                self.steps.append(len(self.layers) - 1)
                x = outputs_of(layer, x)
            elif step not in ("add", "add_", "sub", "join") or (
                x.shape == kept.shape and (step != "join" or x.shape[1] < 9)
            ):
                self.steps.append(step)
                x, kept = (one.clone() for one in CALLS[step](x, kept))

    def forward(self, x):
        x = kept = x * 1
        for step in self.steps:
            if isinstance(step, int):
                x = self.layers[step](x)
            else:
                x, kept = CALLS[step](x, kept)
        return ENDS[self.end](x)


def outputs_of(layer, x):
    with torch.no_grad():
        return layer.eval()(x)


@settings(max_examples=120, deadline=None, derandomize=True, database=None)
@given(
    steps=st.lists(st.sampled_from([*BLOCKS, *BLOCKS, *LAYERS, *CALLS]), min_size=1, max_size=8),
    end=st.sampled_from(list(ENDS)),
    seed=st.integers(0, 1 << 16),
)
def test_any_network_gives_what_torch_gives(steps, end, seed):
    model = Any(" ".join(steps).split(), end, seed).eval()
    x = torch.randint(-3, 4, (3, 3, 4, 4)) / 2
    packed = pack(model, x)
    single, double = outputs(model, x), outputs(model.double(), x.double())
    if not np.array_equal(single, double):  # more digits than float32 has: a tie may go either way
        reject()
    for backend in ("c", "numpy"):
        done = PackedModel(packed.encoded, backend=backend)(x.numpy())
        np.testing.assert_allclose(done, double, rtol=1e-6, atol=1e-6)
