"""Which families of torchvision or timm pack with 1-bit weights and float inputs, and how near they come, as JSON lines.

    OMP_NUM_THREADS=1 python packages/bnn-fsg/experiments/benchmarks/families.py | tee packages/bnn-fsg/experiments/results/families.jsonl
    uv run --no-sync --with timm==1.0.31 python packages/bnn-fsg/experiments/benchmarks/families.py --timm | tee families-timm.jsonl

The smallest network of each family with random weights and BatchNorm statistics, on pictures of 64 x 64 (96 for
Inception, 32 for VGG, frames for videos), in evaluation. `difference` is that of the packed network from torch, in
shares of the largest output, `bits` the share of weights that are 1-bit; a family that is refused has the first reason.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torchvision.models as zoo
from bnn_fsg import binarize, pack
from bnn_fsg.evaluation._summary import summary
from ninefold.errors import InputError
from ninefold.measure import emit
from torch import Tensor, nn

BOUND = 1e-4


class Whole(nn.Module):
    """A segmentation network as one tensor of scores."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)["out"]


def segmentation(name: str) -> Whole:
    return Whole(getattr(zoo.segmentation, name)(weights=None, weights_backbone=None))


def maxvit() -> nn.Module:
    return zoo.maxvit.MaxVit(
        input_size=(64, 64), stem_channels=16, partition_size=2, block_channels=[16, 32], block_layers=[1, 1],
        head_dim=8, stochastic_depth_prob=0.2,
    )  # fmt: skip


_PLAIN = (
    "alexnet", "resnet18", "resnet50", "resnext50_32x4d", "wide_resnet50_2", "densenet121", "densenet161",
    "squeezenet1_0", "squeezenet1_1", "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large", "mnasnet0_5",
    "shufflenet_v2_x0_5", "efficientnet_b0", "efficientnet_v2_s", "regnet_x_400mf", "regnet_y_400mf",
    "convnext_tiny", "swin_t", "swin_v2_t",
)  # fmt: skip
FAMILIES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    **{name: (getattr(zoo, name), (3, 64, 64)) for name in _PLAIN},
    "vgg11": (zoo.vgg11, (3, 32, 32)),
    "vgg11_bn": (zoo.vgg11_bn, (3, 32, 32)),
    "googlenet": (lambda: zoo.googlenet(aux_logits=False, init_weights=False), (3, 64, 64)),
    "inception_v3": (lambda: zoo.inception_v3(aux_logits=False, init_weights=False), (3, 96, 96)),
    "vit_b_16": (lambda: zoo.vit_b_16(image_size=64), (3, 64, 64)),
    "maxvit, small": (maxvit, (3, 64, 64)),
    "fcn_resnet50": (lambda: segmentation("fcn_resnet50"), (3, 64, 64)),
    "deeplabv3_mobilenet_v3_large": (lambda: segmentation("deeplabv3_mobilenet_v3_large"), (3, 64, 64)),
    "lraspp_mobilenet_v3_large": (lambda: segmentation("lraspp_mobilenet_v3_large"), (3, 64, 64)),
    "s3d": (zoo.video.s3d, (3, 16, 224, 224)),
    "r3d_18": (zoo.video.r3d_18, (3, 8, 32, 32)),
    "r2plus1d_18": (zoo.video.r2plus1d_18, (3, 8, 32, 32)),
    "mvit_v1_b": (zoo.video.mvit_v1_b, (3, 16, 224, 224)),
}
TIMM = (
    "resnet10t", "seresnext26t_32x4d", "regnety_002", "mobilenetv2_050", "mobilenetv3_small_050", "ghostnet_050",
    "efficientnet_lite0", "repvgg_a0", "convnext_atto", "edgenext_xx_small", "mixer_s32_224", "vit_tiny_patch16_224",
    "deit_tiny_patch16_224", "tf_efficientnet_lite0",
)  # fmt: skip


def of_timm() -> dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]]:
    """Small networks of timm's families, from their configs; pictures of 64 x 64."""
    import timm  # in an environment of its own

    def made(name: str) -> nn.Module:
        more = {"img_size": 64} if name.startswith(("mixer", "vit", "deit")) else {}
        return timm.create_model(name, pretrained=False, **more)

    return {name: (lambda name=name: made(name), (3, 64, 64)) for name in TIMM}


def check(make: Callable[[], nn.Module], shape: tuple[int, ...]) -> dict[str, Any]:
    """{difference} of a family, or {refused}."""
    torch.manual_seed(0)
    network, x = make(), torch.randn(2, *shape)
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    for parameter in network.parameters():  # a head of zeros has no signs, and a bias of zeros shows nothing
        if not parameter.any():
            torch.nn.init.normal_(parameter, 0, 0.1)
    try:
        model = binarize(network, "xnor").eval()
        packed = pack(model, x[:1])
    except InputError as error:
        return {"refused": str(error).split(";")[0][:200]}
    with torch.no_grad():
        expected = model(x).numpy()
    difference = float(f"{np.abs(packed(x.numpy()) - expected).max() / np.abs(expected).max():.2g}")
    sizes = {kind: sum(row.weights for row in summary(packed) if row.bits == kind) for kind in ("1/32", "32/32")}
    return {"difference": difference, "bits": round(sizes["1/32"] / sum(sizes.values()), 3)}


def main() -> None:
    torch.set_num_threads(1)
    families = of_timm() if "--timm" in sys.argv else FAMILIES
    names = [one for one in sys.argv[1:] if one != "--timm"] or families
    found = {name: check(*families[name]) for name in names}
    for name, one in found.items():
        emit(bench="family", name=name, packs=one.get("difference", 1) <= BOUND, **one)
    good = sum(one.get("difference", 1) <= BOUND for one in found.values())
    emit(bench="families", packs=good, refused=sum("refused" in one for one in found.values()), of=len(found))


if __name__ == "__main__":
    main()
