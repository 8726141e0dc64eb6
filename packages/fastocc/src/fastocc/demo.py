"""The main job on the embedded default."""

from __future__ import annotations

import importlib.util

from ninefold.report import BLUE, ORANGE, Table, figure
from ninefold.systems import DemoResult

from fastocc.claims import squared_errors


def demo(seed: int) -> DemoResult:
    """Compare the method with its rivals on simulated data."""
    errors = squared_errors(200, seed)
    means = {name: float(values.mean()) for name, values in errors.items()}
    method, rival = means.pop("james-stein"), min(means.items(), key=lambda pair: pair[1])
    return DemoResult(
        data="200 simulated data sets of 5 samples in 50 dimensions",
        method=f"James-Stein, squared error {method:.3f}",
        rival=f"{rival[0]}, squared error {rival[1]:.3f}",
        verdict=f"{100 * (1 - method / rival[1]):.0f} % less squared error than {rival[0]}",
        table=Table(["arm", "mean squared error"], [[name, float(values.mean())] for name, values in errors.items()]),
        figures=_figures(errors) if importlib.util.find_spec("matplotlib") else [],
    )


def _figures(errors: dict) -> list:
    made, axes = figure()
    for (name, values), color in zip(errors.items(), (BLUE, ORANGE), strict=True):
        axes.hist(values, bins=30, alpha=0.7, label=name, color=color)
    axes.set_xlabel("mean squared error of one data set")
    axes.set_ylabel("data sets")
    axes.legend()
    return [("Squared error over simulated data sets: further left is better", made)]
