"""Pictures: bars by graph and shots, weights of real and injected edges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from ninefold.report import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, figure

if TYPE_CHECKING:
    from mldgg.evaluation._evaluate import Evaluation

_COLORS = (BLUE, ORANGE, GREEN, RED, PURPLE, GREY)
_HATCHES = ("", "//", "..", "xx", "--", "oo")


def accuracy_bars(result: Evaluation, shots: int) -> Any:
    """Bars by graph, one colour and hatch a method; whiskers are the range over seeds."""
    some = [one for one in result.scores if one.shots == shots]
    tasks = list(dict.fromkeys(one.task for one in some))
    methods = list(dict.fromkeys(one.method for one in some))
    made, axes = figure(max(6.4, 1.1 * len(tasks) * max(len(methods) / 4, 1)), 3.8)
    width = 0.8 / len(methods)
    for place, method in enumerate(methods):
        values = [[one.value for one in some if (one.method, one.task) == (method, task)] for task in tasks]
        means = np.array([np.mean(one) for one in values])
        spread = np.array([[mean - min(one), max(one) - mean] for mean, one in zip(means, values, strict=True)]).T
        at = np.arange(len(tasks)) + (place - (len(methods) - 1) / 2) * width
        style = {"color": _COLORS[place % 6], "hatch": _HATCHES[(place + place // 6) % 6], "edgecolor": "white"}
        axes.bar(at, means, width, yerr=spread, label=method, error_kw={"lw": 0.8}, **style)
    axes.set_xticks(range(len(tasks)), tasks)
    axes.set_ylabel(f"{some[0].metric}, %")
    axes.set_ylim(0, 100)
    axes.legend(fontsize=8, ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.1))
    return made


def edge_histogram(weights: np.ndarray, injected: np.ndarray | None = None) -> Any:
    """Histogram of learned edge weights; real and injected edges apart if it is known which is which."""
    made, axes = figure()
    bins = np.linspace(0, max(float(weights.max(initial=0)), 1e-6), 31)
    if injected is None:
        axes.hist(weights, bins, color=BLUE)
    else:
        axes.hist(weights[~injected], bins, color=BLUE, alpha=0.8, label="edges of the graph")
        axes.hist(weights[injected], bins, color=ORANGE, histtype="step", lw=1.8, label="injected edges")
        axes.legend()
    axes.set_xlabel("learned weight")
    axes.set_ylabel("edges")
    return made
