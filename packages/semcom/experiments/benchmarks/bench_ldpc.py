"""Our decoder beside Sionna's on the same noisy blocks, in one process, and what each gets wrong: JSON lines.

uv run python packages/semcom/experiments/benchmarks/bench_ldpc.py

Sionna (no-rt, Apache-2.0) is installed into an environment of its own, beside the torch that is here; it runs its
default, sum-product, 20 iterations, on one thread.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

SIONNA = "sionna-no-rt==2.2.0"


def in_an_environment_with_sionna() -> None:
    """Run this file again where Sionna is."""
    import ninefold
    import semcom

    with tempfile.TemporaryDirectory() as folder:
        python = Path(folder) / "peer" / "bin" / "python"
        environment = {key: value for key, value in os.environ.items() if key != "VIRTUAL_ENV"}
        subprocess.run(["uv", "venv", "-q", "-p", sys.executable, Path(folder) / "peer"], env=environment, check=True)
        words = ["uv", "pip", "install", "-q", "--python", python, "--no-deps", SIONNA, "importlib_resources"]
        subprocess.run(words, env=environment, check=True)
        site = python.parent.parent / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
        ours = [Path(str(one.__file__)).parents[1] for one in (semcom, ninefold)]
        (site / "beside.pth").write_text("\n".join([sysconfig.get_path("purelib"), *map(str, ours)]) + "\n")
        subprocess.run([python, __file__], env=environment, check=True)


def main() -> None:
    import numpy as np
    import torch
    from ninefold.measure import compare, emit
    from semcom.phy import Channel, Modulation, ldpc
    from sionna.phy.fec.ldpc import LDPC5GDecoder, LDPC5GEncoder

    torch.set_num_threads(1)
    k, n, rows = 171, 342, 500
    code, modulation, rng = ldpc(k, n), Modulation("qpsk"), np.random.default_rng(0)
    decoder = LDPC5GDecoder(LDPC5GEncoder(k, n), num_iter=20, hard_out=True)

    def blocks(snr: float, count: int) -> tuple[np.ndarray, np.ndarray]:
        bits = rng.integers(0, 2, (count, k), dtype=np.uint8)
        received = Channel().apply(modulation.modulate(code.encode(bits)), snr, rng)
        return bits, modulation.llr(received.unbiased, received.noise)

    def theirs(llr: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return decoder(torch.from_numpy(-llr)).numpy()  # theirs are log P(1) / P(0)

    _, llr = blocks(3.0, rows)
    code.decode(np.tile(llr, (4, 1)))  # the compiled decoder is loaded for so many words
    calls = {"Sionna": lambda: theirs(llr), "early stop": lambda: code.decode(llr)}
    calls["all 20 iterations"] = lambda: code.decode(llr, stop=False)
    for name, timing in compare(calls, repeats=5).items():
        emit(
            benchmark=f"LDPC ({k}, {n}) at 3 dB, {name}", mbit_per_second=round(rows * k / timing.seconds / 1e6, 4),
            times_sionna=round(timing.ratio, 1), low=round(timing.low, 1), high=round(timing.high, 1),
        )  # fmt: skip
    for snr in (2.0, 2.25, 2.5):
        bits, llr = blocks(snr, 4000)
        ours = (code.decode(llr)[0] != bits).any(axis=1).mean()
        peer = (np.concatenate([theirs(part) for part in np.split(llr, 8)]) != bits).any(axis=1).mean()
        emit(benchmark=f"block error rate at {snr:g} dB", ours_min_sum=float(ours), sionna_sum_product=float(peer))


if __name__ == "__main__":
    if importlib.util.find_spec("sionna") is None:
        in_an_environment_with_sionna()
    else:
        main()
