"""Draws the claim on 1 bit and int8 from its outcome: accuracy by bytes and by microseconds, means and seeds.

python packages/bnn-fsg/experiments/benchmarks/frontier_picture.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ninefold.report import figure, save_figure
from ninefold_lab import load_scores

RESULTS = Path(__file__).parent.parent / "results"
STATEMENT = "one-bit-at-twice-the-width-beats-int8"
KINDS = ("1 bit", "int8")
WIDTHS = (8, 16)


def means(outcome: Path, arm: str) -> np.ndarray:
    """(seeds,) mean of an arm."""
    return np.array([np.mean([group.mean() for group in one[arm].values()]) for one in load_scores(outcome)])


def main() -> None:
    (outcome,) = RESULTS.glob(f"{STATEMENT}.full.*.json")
    picture, axes = figure(columns=2)
    for place, (key, words) in enumerate((("KB", "file, KB"), ("microseconds", "one picture, microseconds"))):
        for kind in KINDS:
            right = [means(outcome, f"{kind}, width {width}: right") for width in WIDTHS]
            cost = [means(outcome, f"{kind}, width {width}: {key}").mean() for width in WIDTHS]
            middle = [one.mean() for one in right]
            reach = [[one.mean() - one.min() for one in right], [one.max() - one.mean() for one in right]]
            axes[place].errorbar(cost, middle, yerr=reach, marker="o", capsize=3, label=kind)
            for width, x, y in zip(WIDTHS, cost, middle, strict=True):
                axes[place].annotate(f"{width}", (x, y), textcoords="offset points", xytext=(5, 5), fontsize=8)
        axes[place].set_xscale("log")
        axes[place].set_xlabel(words)
    axes[0].set_ylabel("test pictures right, %")
    axes[0].legend()
    save_figure(picture, RESULTS / "frontier.png")


if __name__ == "__main__":
    main()
