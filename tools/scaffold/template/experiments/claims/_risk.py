"""The risk of the estimator, as an experiment."""

from __future__ import annotations

import numpy as np
from ninefold_lab import Budget, Claim, at_most
from template_package.evaluation import squared_errors


def _risk(budget: Budget, seed: int) -> dict[str, np.ndarray]:
    return squared_errors(int(200 * budget.minutes), seed)


BEATS_THE_SAMPLE_MEAN = Claim(
    id="template-package/beats-the-sample-mean",
    says="in 50 dimensions its squared error is below the sample mean's",
    source="James and Stein 1961, section 2",
    run=_risk,
    verdict=at_most("james-stein", "sample-mean"),
    quick=Budget(seeds=1, minutes=1),
    full=Budget(seeds=3, minutes=10),
)
