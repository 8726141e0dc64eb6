"""Means over tasks of what `bench_seeded.py` measured.

    python packages/tswitch/experiments/benchmarks/seeded_means.py >> FILE

Prints a line for each way of coding: over all tasks, and without those whose test rows some settings were chosen on.
"megabytes" is what twelve fine-tunes of MiniLM take at that size.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from ninefold.measure import emit

CHOSEN_ON = ("clinc150/travel", "snips")
PARAMETERS, TASKS = 22_713_728, 12  # of MiniLM
_KEYS = ("size", "density", "divergence", "accuracy", "of the model")


def means(left_out: tuple[str, ...] = ()) -> dict[str, dict[str, float]]:
    """Way of coding -> means over tasks, the largest divergence of a task ("worst"), and megabytes of twelve tasks."""
    (path,) = (Path(__file__).parents[1] / "results").glob("bench-seeded.*.jsonl")
    found = [one for one in map(json.loads, path.read_text().splitlines()) if "draw" in one]
    made = {}
    for way in dict.fromkeys(one["way"] for one in found):
        held = [one for one in found if one["way"] == way and one["task"] not in left_out]
        made[way] = {key: float(np.mean([one[key] for one in held])) for key in _KEYS}
        made[way]["worst"] = max(one["divergence"] for one in held)
        made[way]["megabytes"] = made[way]["size"] / 100 * 4 * PARAMETERS * TASKS / 1e6
    return made


def main() -> None:
    for left_out in ((), CHOSEN_ON):
        for way, values in means(left_out).items():
            emit(bench="seeded", task=f"mean of {TASKS - len(left_out)}", way=way, **values)


if __name__ == "__main__":
    main()
