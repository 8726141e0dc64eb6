"""Weights of switches from scores of tasks."""

from __future__ import annotations

import numpy as np

POWER = 8.0  # of a score in the mixture: the likeliest task alone but for near ties, as validation rows chose it


def mixtures(scores: np.ndarray, power: float = POWER) -> np.ndarray:
    """(inputs, tasks) weights in tenths: powers of the scores' positive part, so that most inputs have one switch.

    Args:
        scores: (inputs, tasks), near one for an input's own task and near zero for others.
        power: the larger, the more of the weight has the likeliest task.
    """
    rows, first = np.arange(len(scores)), scores.argmax(1)
    raised = np.maximum(scores, 0) ** power
    raised[rows, first] += 1e-12
    tenths = np.round(10 * raised / raised.sum(1, keepdims=True))
    tenths[rows, first] += 1e-6  # the first of equals is the likeliest
    return tenths / tenths.sum(1, keepdims=True)
