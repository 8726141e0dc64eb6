"""The main job on the embedded default."""

from __future__ import annotations

import numpy as np
from ninefold.report import Table
from ninefold.systems import DemoResult


def demo(seed: int) -> DemoResult:
    """Run a network of random signs packed, and compare size and outputs with float32."""
    import torch
    from torch import nn

    from bnn_fsg import binarize, pack
    from bnn_fsg._speed import model_arms, timed

    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Linear(64, 512), nn.BatchNorm1d(512), nn.Linear(512, 512), nn.BatchNorm1d(512), nn.Linear(512, 10)
    )
    x = torch.randn(8, 64)
    model = binarize(net, weights="bwn", activations="sign", example_input=x).eval()
    packed = pack(model, x)
    with torch.no_grad():
        error = float(np.abs(model(x).numpy() - packed(x.numpy())).max())
    times = timed(model_arms(packed, 64, ["float32"], seed), repeats=5)
    floats = 4 * sum(one.numel() for one in net.parameters())
    table = Table(["arm", "seconds for 64", "bytes"])
    table.rows = [
        ["float32", times["torch float32"].seconds, floats],
        ["packed", times["packed"].seconds, packed.nbytes],
    ]
    return DemoResult(
        data="random inputs and a network of random weights (no training yet)",
        method=f"packed, {packed.nbytes / 1024:.1f} KB",
        rival=f"float32, {floats / 1024:.1f} KB",
        verdict=f"{times['packed'].ratio:.1f} times as fast as torch, largest difference {error:.1e}",
        table=table,
        figures=[],
    )
