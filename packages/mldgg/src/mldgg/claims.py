"""What the publication claims, as experiments."""

from __future__ import annotations

import numpy as np
from ninefold.proof import Budget, Claim, at_most

from mldgg._shrink import JamesStein
from mldgg.baselines import BASELINES
from mldgg.datasets import normal_means


def squared_errors(draws: int, seed: int) -> dict[str, np.ndarray]:
    """Mean squared error of the method and each baseline on the same `draws` simulated data sets, by arm (draws,)."""
    arms = {one.name: one() for one in (JamesStein, *BASELINES.values())}
    errors = {name: np.empty(draws) for name in arms}
    for draw in range(draws):
        samples, means = normal_means(dimension=50, samples=5, seed=seed * 1_000_000 + draw)
        for name, arm in arms.items():
            errors[name][draw] = np.mean((arm.estimate(samples) - means) ** 2)
    return errors


def _risk(budget: Budget, seed: int) -> dict[str, np.ndarray]:
    return squared_errors(int(200 * budget.minutes), seed)


CLAIMS = [
    Claim(
        id="mldgg/beats-the-sample-mean",
        says="in 50 dimensions its squared error is below the sample mean's",
        source="James and Stein 1961, section 2",
        run=_risk,
        verdict=at_most("james-stein", "sample-mean"),
        quick=Budget(seeds=1, minutes=1),
        full=Budget(seeds=3, minutes=10),
    )
]
