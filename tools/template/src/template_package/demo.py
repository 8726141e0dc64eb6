"""The main job on the embedded default."""

from __future__ import annotations

import importlib.util

from ninefold.report import Table
from ninefold.systems import DemoResult

from template_package.evaluation import error_histogram, squared_errors


def demo(seed: int) -> DemoResult:
    """Compare the method with its rivals on simulated data."""
    errors = squared_errors(200, seed)
    means = {name: float(values.mean()) for name, values in errors.items()}
    method, rival = means.pop("james-stein"), min(means.items(), key=lambda pair: pair[1])
    figures = []
    if importlib.util.find_spec("matplotlib"):
        figures = [("Squared error over simulated data sets: further left is better", error_histogram(errors))]
    return DemoResult(
        data="200 simulated data sets of 5 samples in 50 dimensions",
        method=f"James-Stein, squared error {method:.3f}",
        rival=f"{rival[0]}, squared error {rival[1]:.3f}",
        verdict=f"{100 * (1 - method / rival[1]):.0f} % less squared error than {rival[0]}",
        table=Table(["arm", "mean squared error"], [[name, float(values.mean())] for name, values in errors.items()]),
        figures=figures,
        headline=f"Squared error {method:.3f}, {100 * (1 - method / rival[1]):.0f} % less than {rival[0]}'s",
        looking_at="How far each estimate of many means at once is from the truth, over simulated data sets",
        measured="mean squared error (lower: better)",
        score=f"{method:.3f}",
        rival_score=f"{rival[0]} {rival[1]:.3f}",
        word="ahead" if method < rival[1] else "behind",
        glossary={"squared error": "squared distance between the estimate and the truth, mean over dimensions"},
    )
