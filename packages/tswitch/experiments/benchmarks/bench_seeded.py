"""Divergence over bytes of the seeded and the ternary code: MiniLM on twelve tasks, real folders, 200 test rows a task.

    python packages/tswitch/experiments/benchmarks/bench_seeded.py [--seeds 0] [--draws 0] [--fitted] [--done FILE]

"size" is the folder without `head.safetensors`, in per cent of the float32 encoder; "divergence" is that of the
answers from the fine-tuned model's, in nats; accuracies are in per cent. A line that stands in FILE is not made again.
Models are fine-tuned where the cache has none.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import torch
from ninefold.measure import emit
from ninefold_lab.experiments import folder_of, register
from tswitch import FitConfig, Switch, compress, fit_knobs, minilm_folder
from tswitch.datasets import OPEN12
from tswitch.evaluation._evaluate import divergence

register("tswitch", folder_of("tswitch") or Path())

from tswitch_experiments.models._fitted import Trial  # noqa: E402
from tswitch_experiments.models._suite import bench  # noqa: E402

TASKS = ("trec", *OPEN12[1:])
WAYS: dict[str, dict[str, Any]] = {
    **{f"seeded {size}": {"size": size} for size in ("0.05%", "0.1%", "0.2%", "0.5%", "1%")},
    **{f"ternary {alpha}": {"alpha": alpha} for alpha in (0.97, 0.9, 0.6)},
}
FITTED = {"seeded 0.05% fitted": {"size": "0.05%"}, "seeded 0.1% fitted": {"size": "0.1%"},
          "ternary 0.97 fitted": {"alpha": 0.97}}  # fmt: skip
ROWS = 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--draws", type=int, nargs="+", default=[0])
    parser.add_argument("--fitted", action="store_true")
    parser.add_argument("--done", type=Path)
    parser.add_argument("--tasks", nargs="+", default=list(TASKS))
    options = parser.parse_args()
    lines = options.done.read_text().splitlines() if options.done and options.done.is_file() else []
    held = [json.loads(line) for line in lines if line.startswith("{")]
    done = {tuple(one.get(key) for key in ("task", "seed", "way", "draw")) for one in held}
    torch.set_num_threads(1)
    for seed in options.seeds:
        for task in options.tasks:
            ways = FITTED if options.fitted else WAYS
            wanted = [
                (way, given, draw) for way, given in ways.items() for draw in options.draws
                if (task, seed, way, draw) not in done and (draw == options.draws[0] or "size" in given)
            ]  # fmt: skip
            if wanted:
                trial = Trial(bench([task], seed), ROWS, seed)
                for way, given, draw in wanted:
                    emit(bench="seeded", task=task, seed=seed, way=way, draw=draw, **measured(trial, task, given, draw,
                         fitted=options.fitted))  # fmt: skip


def measured(trial: Trial, task: str, given: dict[str, Any], draw: int, *, fitted: bool) -> dict[str, float]:
    base, given = minilm_folder(), given | ({"seed": draw} if "size" in given else {})
    with tempfile.TemporaryDirectory() as temporary:
        switch = compress(base, trial.models.folders[task], Path(temporary) / "switch", **given)
        if fitted:
            model = trial.live(task)
            found = fit_knobs(switch, base, model, trial.batches(task, model), FitConfig(seed=trial.seed))
            found.save_pretrained(Path(temporary) / "fitted")
            switch = Switch.from_pretrained(Path(temporary) / "fitted")
        assert switch.path is not None
        size = sum(file.stat().st_size for file in switch.path.iterdir() if file.name != "head.safetensors")
        state = dict(trial.models.base)
        for name in switch.names:
            state[name] = state[name] + switch.dequantise(name)
    trial.models.load(state)
    logits = trial.models.logits(task, "test", ROWS)
    reference = trial.reference(task)
    return {
        "size": 100 * size / (4 * switch.parameters), "density": 100 * switch.density,
        "divergence": float(divergence(reference, logits).mean()),
        "accuracy": float(trial.right(task, logits).mean()), "of the model": float(trial.right(task, reference).mean()),
    }  # fmt: skip


if __name__ == "__main__":
    main()
