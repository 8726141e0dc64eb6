"""What two threads bring, beside what this machine can bring: two one-threaded runs side by side, on data of their own.

    OMP_NUM_THREADS=1 python packages/bnn-fsg/experiments/benchmarks/bench_threads.py

One JSON line each. `ratio`, with its 95 % interval, is how many times as fast two runs are done as by one thread one
after the other; all three ways are taken in turn.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any

import bnn_fsg.evaluation._speed as speed
import numpy as np
import products
import torch
from bnn_fsg import PackedModel, adabin_resnet20, pack
from ninefold.measure import emit


def show(what: str, make: Callable[[int], Callable[[], Any]], rounds: int = 61) -> None:
    """`make` gives what one run does, by its number of threads."""
    one, other, two = make(1), make(1), make(2)

    def at_once() -> None:
        beside = threading.Thread(target=other)
        beside.start()
        one()
        beside.join()

    arms = {"one thread": lambda: (one(), other()), "two one-threaded runs at once": at_once,
            "two threads": lambda: (two(), two())}  # fmt: skip
    for name, pair in list(speed.timed(arms, repeats=rounds).items())[1:]:
        emit(
            bench=what, arm=name, against="one thread", ratio=round(pair.ratio, 2), low=round(pair.low, 2),
            high=round(pair.high, 2), microseconds=round(5e5 * pair.seconds, 1),
        )  # fmt: skip


def main() -> None:
    torch.set_num_threads(1)
    show(
        "product 1024 x 4608 x 512",
        lambda threads: products.product_arms(1024, 4608, 512, (), threads=threads)["packed"],
    )
    show(
        "3x3 convolution with sign and pack, 256 channels, 56 x 56",
        lambda threads: products.convolution_arms(256, 56, threads=threads)["packed"],
    )
    packed = pack(adabin_resnet20(), torch.zeros(1, 3, 32, 32))
    for batch in (1, 64):
        x = np.random.default_rng(0).standard_normal((batch, 3, 32, 32)).astype(np.float32)

        def make(threads: int, x: np.ndarray = x) -> Callable[[], Any]:
            model = PackedModel(packed.encoded, threads=threads)
            return lambda: model(x)

        show(f"AdaBin ResNet-20, batch {batch}", make)
    emit(bench="other work while timing", load=round(os.getloadavg()[0], 1), day=time.strftime("%Y-%m-%d"))


if __name__ == "__main__":
    main()
