"""A packed squeeze-excite network and a packed U-Net against themselves in float32: ratios, one JSON line each.

    OMP_NUM_THREADS=1 python packages/bnn-fsg/experiments/benchmarks/bench_networks.py | tee packages/bnn-fsg/experiments/results/networks.jsonl

One picture of 64 x 64, one thread. `ratio` is how many times as fast as torch eager, `smaller` how many times fewer
bytes than float32 weights. Stem, head, squeeze and transposed convolution stay float, as such networks are used.
"""

from __future__ import annotations

import sys
from pathlib import Path

import bnn_fsg.evaluation._speed as speed
import torch
from bnn_fsg import binarize, pack
from bnn_fsg.runtime._native import sets
from ninefold.measure import emit

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from networks import UNet, squeeze_excite

NETWORKS = {
    "squeeze-excite": (squeeze_excite, ["0", "*.down", "*.up"]),
    "u-net": (UNet, ["stem.0", "up", "head"]),
}


def main() -> None:
    torch.set_num_threads(1)
    for name, (make, skip) in NETWORKS.items():
        torch.manual_seed(0)
        net, x = make().eval(), torch.randn(1, 3, 64, 64)
        model = binarize(make(), weights="xnor", activations="sign", skip=skip, example_input=x).eval()
        packed, given = pack(model, x), x.numpy()

        def eager(net: torch.nn.Module = net, x: torch.Tensor = x) -> None:
            with torch.inference_mode():
                net(x)

        own = speed.timed({"float32": eager, "packed": lambda packed=packed, x=given: packed(x)}, repeats=31)["packed"]
        emit(
            bench=name, against="torch eager, float32", ratio=round(own.ratio, 2), low=round(own.low, 2),
            high=round(own.high, 2), milliseconds=round(1e3 * own.seconds, 2),
            smaller=round(sum(4 * one.numel() for one in net.parameters()) / packed.nbytes, 1),
            vectors=sets()[0],
        )  # fmt: skip


if __name__ == "__main__":
    main()
