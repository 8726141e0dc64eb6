"""Trains the networks of the frontier's claims into the cache, so that a claim's run only measures.

    OMP_NUM_THREADS=1 uv run python packages/bnn-fsg/experiments/benchmarks/frontier_train.py [SEED ...]

Seeds 0, 1 and 2 without an argument. A run that was killed goes on at the epoch where it was; several may run at once,
each with seeds of its own.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from ninefold_lab.experiments import register

register("bnn_fsg", Path(__file__).parent.parent)
from bnn_fsg_experiments.models._frontier_nets import KINDS, WIDTHS, trained  # noqa: E402  (importable from here on)


def main() -> None:
    for seed in [int(one) for one in sys.argv[1:]] or [0, 1, 2]:
        for width in WIDTHS:
            for kind in KINDS:
                begin = time.process_time()
                trained(kind, width, seed, "full")
                print(f"seed {seed}, {kind}, width {width}: {time.process_time() - begin:.0f} s", flush=True)


if __name__ == "__main__":
    main()
