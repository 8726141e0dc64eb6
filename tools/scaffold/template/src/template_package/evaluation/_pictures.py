"""Pictures of an evaluation."""

from __future__ import annotations

from typing import Any

import numpy as np
from ninefold.report import BLUE, GREEN, ORANGE, figure


def error_histogram(errors: dict[str, np.ndarray]) -> Any:
    """A matplotlib figure: the distribution of squared errors over data sets, by arm."""
    made, axes = figure()
    for (name, values), color in zip(errors.items(), (BLUE, ORANGE, GREEN), strict=True):
        axes.hist(values, bins=30, alpha=0.7, label=name, color=color)
    axes.set_xlabel("Mean squared error of one data set")
    axes.set_ylabel("Data sets")
    axes.legend()
    return made
