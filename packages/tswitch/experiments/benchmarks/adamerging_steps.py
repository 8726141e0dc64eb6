"""AdaMerging stopped early: the rival of the claims runs its published 500 steps, which lower its entropy and ruin it.

Prints for the twelve tasks' models of one seed, at a few learning rates and numbers of steps, the entropy of the last
steps and accuracy on validation and on test rows; and those of Task Arithmetic, from whose scale it starts. About ten
minutes of one core; the models are those of the claims, and are kept.

    OMP_NUM_THREADS=1 NINEFOLD_DATA=... python packages/tswitch/experiments/benchmarks/adamerging_steps.py [seed]
"""

from __future__ import annotations

import sys

import numpy as np
from ninefold.measure import emit
from tswitch.baselines import Method, TaskArithmetic
from tswitch.datasets import OPEN12
from tswitch.evaluation._evaluate import macro
from tswitch.evaluation._rivals import learn_coefficients, score, tune
from tswitch.evaluation._suite import bench

VALIDATION, TEST = 40, 120  # rows of a task, as in the claims

if __name__ == "__main__":
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    models = bench(OPEN12, seed)
    arithmetic = tune(models, "task arithmetic", VALIDATION)
    assert isinstance(arithmetic, TaskArithmetic)

    def measured(method: Method) -> dict[str, float]:
        """Accuracy in per cent on validation and on test rows."""
        validation, test = (
            macro(score(models, method, split, rows)[0]) for split, rows in (("validation", VALIDATION), ("test", TEST))
        )
        return {"validation": round(validation, 2), "test": round(test, 2)}

    for scale in sorted({0.02, 0.03, arithmetic.scale, 0.07}):  # the claims' grid ends at 0.05
        emit(
            method="task arithmetic",
            scale=scale,
            chosen=scale == arithmetic.scale,
            **measured(TaskArithmetic(scale=scale)),
        )
    for rate in (1e-4, 3e-4, 1e-3):
        for steps in (50, 200):
            method, losses = learn_coefficients(models, arithmetic.scale, rows=TEST, rate=rate, steps=steps)
            entropy = {"first": round(losses[0], 3), "last": round(float(np.mean(losses[-10:])), 3)}
            emit(method="AdaMerging", rate=rate, steps=steps, **entropy, **measured(method))
