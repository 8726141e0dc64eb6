"""The main job on the embedded default."""

from __future__ import annotations

import importlib.util

from ninefold.arms import Arms
from ninefold.report import Table
from ninefold.systems import DemoResult

from template_package.evaluation import error_histogram, squared_errors


def demo(seed: int) -> DemoResult:
    """Compare the method with its rivals on simulated data."""
    errors = squared_errors(200, seed)
    scores = {{"james-stein": "James-Stein"}.get(name, name): values for name, values in errors.items()}
    arms = Arms(scores=scores, ours="James-Stein", measured="mean squared error", lower=True)
    figures = []
    if importlib.util.find_spec("matplotlib"):
        figures = [("Squared error over simulated data sets: further left is better", error_histogram(errors))]
    return DemoResult(
        data="200 simulated data sets of 5 samples in 50 dimensions",
        arms=arms,
        table=Table(["arm", "mean squared error"], [[name, arms.text(name)] for name in arms.ranked()]),
        figures=figures,
        looking_at="How far each estimate of many means at once is from the truth, over simulated data sets",
        glossary={"squared error": "squared distance between the estimate and the truth, mean over dimensions"},
    )
