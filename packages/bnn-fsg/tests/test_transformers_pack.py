"""Vision transformers and ConvNeXt, small: 1-bit layers are trained, pack, and give what torch gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from bnn_fsg import ReSTE, binarize, pack
from torch import nn

from .packed_helpers import outputs

zoo = pytest.importorskip("torchvision.models", reason="needs torchvision")
X = torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def vit():
    sizes = {"num_layers": 2, "num_heads": 2, "hidden_dim": 32, "mlp_dim": 48}
    return zoo.VisionTransformer(image_size=32, patch_size=8, num_classes=4, **sizes)


def convnext():
    stages = [zoo.convnext.CNBlockConfig(16, 32, 1), zoo.convnext.CNBlockConfig(32, None, 1)]
    return zoo.ConvNeXt(stages, stochastic_depth_prob=0.2, num_classes=4)


@pytest.mark.parametrize("make", [vit, convnext])
def test_it_is_trained_with_1_bit_weights_and_packs(make):
    torch.manual_seed(0)
    net = make()
    patterns = [name for name in ("conv_proj", "features.0.0") if name in dict(net.named_modules())]
    for parameter in net.parameters():  # a head of zeros has no signs
        if not parameter.any():
            nn.init.normal_(parameter, 0, 0.1)
    model = binarize(net, "bwn-f", skip=patterns, example_input=X)
    gradient, labels = ReSTE(model, torch.optim.Adam(model.parameters(), lr=2e-3)), torch.arange(8) % 4
    losses = [float(gradient.step(lambda: nn.functional.cross_entropy(model(X), labels))) for _ in range(12)]
    assert min(losses[6:]) < losses[0]
    expected, packed = outputs(model.eval(), X), pack(model, X)
    np.testing.assert_allclose(packed(X.numpy()), expected, rtol=0, atol=1e-4 * np.abs(expected).max())
    assert sum(node.op == "conv_signs" for node in packed.nodes) >= 5


class Mlp(nn.Module):
    """Two linear layers over the channels of each pixel, which come last, as in ConvNeXt and Swin."""

    def __init__(self):
        super().__init__()
        self.deep, self.norm = nn.Conv2d(3, 12, 3, padding=1), nn.LayerNorm(12)
        self.wide, self.back = nn.Linear(12, 20), nn.Linear(20, 12)

    def forward(self, x):
        y = self.norm(self.deep(x).permute(0, 2, 3, 1))
        return self.back(self.wide(y)).permute(0, 3, 1, 2)


@pytest.mark.parametrize("size", [None, 7, 12])  # as many tokens as features, too
@pytest.mark.parametrize("activations", ["rsign", "adabin"])
def test_learned_thresholds_of_linear_layers_whose_channels_come_last(size, activations):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(12, 20), nn.LayerNorm(20), nn.Linear(20, 5)) if size else Mlp()
    x = torch.randn(4, size, 12) if size else X[:4, :, :9, :11]
    model = binarize(net, "xnor", activations, skip=[] if size else ["deep"], example_input=x)
    with torch.no_grad():
        for name, one in model.named_parameters():
            if name.endswith(("threshold", "beta_a")):
                one.normal_(0, 0.3)
    expected = outputs(model.eval(), x)
    np.testing.assert_allclose(pack(model, x)(x.numpy()), expected, rtol=0, atol=1e-4 * np.abs(expected).max())
