"""Compression: ratios against sorting selections on the same tensors, rate of the whole pass, memory, bytes on disk.

    python packages/tswitch/experiments/benchmarks/bench_compress.py [--millions 100] [--gigabytes 1]

Each line is one JSON object. Checkpoints are made in a temporary folder, so they come from the page cache.
"""

import argparse
import math
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from ninefold.measure import compare, emit
from ninefold_testing import peak_rss_anon
from safetensors.torch import load_file, save_file
from tswitch import compress
from tswitch.switch._select import RadixSelect
from tswitch.switch._ternary import set_ranks

ALPHA = 0.6


def author_style(tau):
    """Thresholds as in the authors' published script: top-k of the positive and of the negative entries."""
    sides = (tau[tau > 0], -tau[tau < 0])
    return [torch.topk(side, int(side.numel() * (1 - ALPHA) + 1e-9)).values[-1] for side in sides]


def argsort_style(tau):
    """Selection as magnitude pruning commonly does it: sort the indices of each sign's entries."""
    sides = (tau[tau > 0], -tau[tau < 0])
    return [side[side.argsort(descending=True)[int(side.numel() * (1 - ALPHA) + 1e-9) - 1]] for side in sides]


def radix(tau):
    """Ours: two counting passes."""
    select = RadixSelect()
    select.count(tau.numpy())
    set_ranks(select, ALPHA, "tau")
    select.refine(tau.numpy())
    return select.thresholds()


def selection(millions):
    tau = torch.randn(millions * 1_000_000, generator=torch.Generator().manual_seed(0))
    assert [float(value) for value in author_style(tau)] == list(radix(tau))
    arms = {
        "argsort": lambda: argsort_style(tau),
        "author_topk": lambda: author_style(tau),
        "radix": lambda: radix(tau),
    }
    timings = compare(arms, repeats=3)
    for name, timing in timings.items():
        emit(
            bench="selection",
            arm=name,
            parameters=tau.numel(),
            million_per_s=round(tau.numel() / timing.seconds / 1e6, 1),
            radix_is_times_faster=round(timing.seconds / timings["radix"].seconds, 2),
        )


def models(folder, millions):
    """Base and fine-tuned checkpoint of float32 tensors of 4 million entries each."""
    generator = torch.Generator().manual_seed(0)
    base = {f"layer.{i}.weight": torch.randn(4096, 1024, generator=generator) * 0.02 for i in range(millions // 4)}
    tuned = {name: value + torch.randn(value.shape, generator=generator) * 1e-3 for name, value in base.items()}
    for name, state in (("base", base), ("tuned", tuned)):
        (folder / name).mkdir()
        save_file(state, folder / name / "model.safetensors")


def compress_by(thresholds_of, folder):
    """The same job around another selection: difference, mask, norm, and a file of packed masks and signs."""
    base, tuned = (load_file(folder / name / "model.safetensors") for name in ("base", "tuned"))
    with (folder / "packed").open("wb") as file:
        for name, old in base.items():
            tau = (tuned[name] - old).reshape(-1)
            positive, negative = thresholds_of(tau)
            mask = (tau >= positive) | (tau <= -negative)
            kept = tau[mask]
            file.write(np.float32(kept.norm() / math.sqrt(kept.numel())).tobytes())
            file.write(np.packbits(mask.numpy()).tobytes() + np.packbits((kept < 0).numpy()).tobytes())


def whole_pass(folder, millions):
    models(folder, millions)
    arms = {
        "argsort": lambda: compress_by(argsort_style, folder),
        "author_topk": lambda: compress_by(author_style, folder),
        "compress": lambda: compress(folder / "base", folder / "tuned", folder / "out", alpha=ALPHA, force=True),
    }
    timings = compare(arms, repeats=3)
    switch = arms["compress"]()
    entropy = -(1 - ALPHA) * math.log2(1 - ALPHA) - ALPHA * math.log2(ALPHA) + 1 - ALPHA
    for name, timing in timings.items():
        emit(
            bench="whole pass",
            arm=name,
            parameters=switch.parameters,
            million_per_s=round(switch.parameters / timing.seconds / 1e6, 1),
            compress_is_times_faster=round(timing.seconds / timings["compress"].seconds, 2),
        )
    for name in switch.names:  # loads what decodes
        switch.packed(name)
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        for name in switch.names:
            switch.packed(name)
        seconds.append(time.perf_counter() - start)
    emit(bench="decode", alpha=ALPHA, million_per_s=round(switch.parameters / min(seconds) / 1e6, 1))
    emit(bench="disk", alpha=ALPHA, bits_per_param=round(switch.bits_per_param, 4), entropy_bits=round(entropy, 4))


def memory(folder, gigabytes):
    """Peak anonymous memory for one bfloat16 tensor of so many gigabytes."""
    size = int(gigabytes * 5e8)
    values = torch.arange(size, dtype=torch.int32).mul_(-1640531527).bitwise_right_shift_(16).to(torch.bfloat16)
    for name, value in (("tuned", values), ("base", torch.zeros_like(values))):
        (folder / name).mkdir()
        save_file({"weight": value}, folder / name / "model.safetensors")
    del values, value
    with peak_rss_anon() as peak:
        compress(folder / "base", folder / "tuned", folder / "out", alpha=ALPHA)
    emit(bench="memory", gigabytes_in_one_tensor=gigabytes, anonymous_mb_above_start=round(peak.above / 1e6, 1))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--millions", type=int, default=100)
    parser.add_argument("--gigabytes", type=float, default=1)
    asked = parser.parse_args()
    selection(min(asked.millions, 24))
    for bench, size in ((whole_pass, asked.millions), (memory, asked.gigabytes)):
        with tempfile.TemporaryDirectory() as temporary:
            bench(Path(temporary), size)


if __name__ == "__main__":
    main()
