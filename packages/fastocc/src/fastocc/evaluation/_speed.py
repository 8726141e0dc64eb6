"""Latency by stage, multiply-accumulates (MACs) by formula, peak memory: for heads alone and for whole models."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from ninefold.measure import compare
from torch import Tensor, nn

from fastocc.evaluation._memory import peak_bytes
from fastocc.geometry import CameraRig, GridSpec
from fastocc.heads import HeadContext, OccHead
from fastocc.lifting import DeformConv, faster_backend
from fastocc.models import FastOccConfig, FastOccModel, build_head
from fastocc.views import CameraInputs
from fastocc.voxels import DeepConv, VoxelMlp


def count_macs(module: nn.Module, *inputs: object) -> int:
    """MACs of convolutions, linear maps and deformable products in one call; interpolation and norms are left out.

    Torch's own counter misses the native deformable convolution.
    """
    total = 0

    def count(layer: nn.Module, _: object, output: Tensor) -> None:
        nonlocal total
        if isinstance(layer, (nn.Conv1d, nn.Conv2d, nn.Conv3d)):
            total += output.numel() * layer.in_channels // layer.groups * int(np.prod(layer.kernel_size))
        elif isinstance(layer, nn.Linear):
            total += output.numel() * layer.in_features
        elif isinstance(layer, (DeformConv, DeepConv)):
            total += output.numel() * layer.weight[0].numel()
        elif isinstance(layer, VoxelMlp):  # its last layer is applied height by height, not called
            total += output.numel() * layer.last.weight[0].numel()

    kinds = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear, DeformConv, DeepConv, VoxelMlp)
    handles = [layer.register_forward_hook(count) for layer in module.modules() if isinstance(layer, kinds)]
    try:
        with torch.no_grad():
            module(*inputs)
    finally:
        for handle in handles:
            handle.remove()
    return total


def head_inputs(
    head: OccHead, seed: int = 0, cameras: int = 6, size: tuple[int, int] = (96, 256)
) -> tuple[Tensor, HeadContext | None]:
    """A random BEV of the head's size, and image features at stride 8 where the head looks at them."""
    generator = torch.Generator().manual_seed(seed)
    bev = torch.randn(1, head.in_channels, *head.grid.shape[1::-1], generator=generator)
    if not head.needs_context:
        return bev, None
    rig = CameraRig.nominal(*size)
    channels = head.context_channels
    features = torch.randn(1, cameras, channels, size[0] // 8, size[1] // 8, generator=generator)
    return bev, HeadContext(features, torch.from_numpy(rig.cam2img)[None], torch.from_numpy(rig.cam2ego)[None], size)


@dataclass(frozen=True)
class Stage:
    """One stage of a model: median milliseconds over rounds, MACs, share of the total time."""

    name: str
    milliseconds: float
    macs: int


@torch.no_grad()
def time_stages(model: FastOccModel, rig: CameraRig, *, rounds: int = 5, seed: int = 0) -> list[Stage]:
    """Latency of image encoder, view transform, BEV encoder and head on one random frame, batch 1, evaluation mode.

    The view's table is computed before the clock starts, as on a vehicle whose calibration stands.
    """
    model = model.to_inference()
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (1, len(rig.cameras), 3, *model.config.image_size), generator=generator).float()
    cameras = CameraInputs(
        torch.from_numpy(rig.cam2img)[None], torch.from_numpy(rig.cam2ego)[None], model.config.image_size
    )
    features = model.images(images)
    bev = model.view(features, cameras)[0]
    encoded = model.encoder(bev)
    context = HeadContext(features, *cameras[:3]) if model.head.needs_context else None
    stages: dict[str, tuple[nn.Module, tuple[object, ...]]] = {
        "image encoder": (model.images, (images,)),
        f"view {model.config.view}": (model.view, (features, cameras)),
        "BEV encoder": (model.encoder, (bev,)),
        f"head {model.config.head}": (model.head, (encoded, context)),
    }
    return [
        Stage(
            name, 1000 * median_seconds(lambda part=part, given=given: part(*given), rounds), count_macs(part, *given)
        )
        for name, (part, given) in stages.items()
    ]


def median_seconds(call: Callable[[], object], rounds: int) -> float:
    """Median seconds of a call after one that does not count."""
    call()
    taken = []
    for _ in range(rounds):
        begin = time.perf_counter()
        call()
        taken.append(time.perf_counter() - begin)
    return float(np.median(taken))


@dataclass(frozen=True)
class HeadTiming:
    """One head: median seconds; how many times as fast as the first head, with a 95 % interval; MACs; peak bytes."""

    name: str
    seconds: float
    ratio: float
    low: float
    high: float
    macs: int
    peak: int


Engine = Callable[[OccHead, Tensor, HeadContext | None], Callable[[], object]]


@torch.no_grad()
def time_heads(
    names: Sequence[str], config: FastOccConfig, *, engine: Engine | None = None, rounds: int = 7, seed: int = 0,
    grid: GridSpec | None = None,
) -> list[HeadTiming]:  # fmt: skip
    """Time heads in turn on the same random features, in evaluation mode.

    Args:
        engine: makes a call from a head and what it is given (torch.compile, onnxruntime); None runs eager torch, with
            the faster deformable convolution of this machine.
        grid: other than the configuration's.
    Raises: InputError for an unknown head.
    """
    calls: dict[str, Callable[[], object]] = {}
    heads: dict[str, tuple[OccHead, tuple[Tensor, HeadContext | None]]] = {}
    for name in names:
        torch.manual_seed(seed)
        head = build_head(name, config, grid).eval()
        given = head_inputs(head, seed)
        heads[name] = (head, given)
        if engine is not None:
            calls[name] = engine(head, *given)
            continue
        if any(isinstance(part, DeformConv) for part in head.modules()):
            faster_backend(head, given[0])
        calls[name] = partial(head, *given)
    timings = compare(calls, repeats=rounds)
    made = []
    for name, one in timings.items():
        memory, (head, given) = peak_bytes(calls[name]), heads[name]
        made.append(HeadTiming(name, one.seconds, one.ratio, one.low, one.high, count_macs(head, *given), memory))
    return made
