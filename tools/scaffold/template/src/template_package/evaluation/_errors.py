"""Squared errors of the method and its rivals on simulated data."""

from __future__ import annotations

import numpy as np

from template_package.baselines import BASELINES
from template_package.datasets import normal_means
from template_package.shrinkage import JamesStein


def squared_errors(draws: int, seed: int) -> dict[str, np.ndarray]:
    """Mean squared error of the method and each baseline on the same `draws` simulated data sets, by arm (draws,)."""
    arms = {one.name: one() for one in (JamesStein, *BASELINES.values())}
    errors = {name: np.empty(draws) for name in arms}
    for draw in range(draws):
        samples, means = normal_means(dimension=50, samples=5, seed=seed * 1_000_000 + draw)
        for name, arm in arms.items():
            errors[name][draw] = np.mean((arm.estimate(samples) - means) ** 2)
    return errors
