"""Local text against recall at equal operations: the README's second picture, from a committed outcome.

    python packages/tokenprune/experiments/benchmarks/draw_front.py PICTURE

Reads the outcome of `keeps-early-facts-without-training` beside it (test templates, S = 0.30): for each arm its
divergence from the dense model on windows of text, and how much more a needle and an early name, the mean of both, cost
under it than under the dense model. Bars are the standard deviations over seeds.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from ninefold.report import figure, save_figure

RESULTS = Path(__file__).parent.parent / "results"
NAMES = {"observation": "tokenprune as it comes", "scores of one block": "the same, scores of one block alone",
         "fastkv": "FastKV", "gemfilter": "GemFilter",
         "pyramidinfer": "PyramidInfer", "shortgpt": "ShortGPT"}  # fmt: skip
PLACES = {"observation": (-22, 9), "scores of one block": (4, -14)}  # of the names beside two marks that are close
TEXT, FACTS = (0.1, 0.2, 0.5, 1, 2), (0, 0.25, 0.5, 1, 2, 5, 10)  # ticks


def main() -> None:
    (path,) = RESULTS.glob("keeps-early-facts-without-training.full.*.json")
    arms = json.loads(path.read_text(encoding="utf-8"))["arms"]
    made, axes = figure()
    for at, name in enumerate(one.removeprefix("operations of ") for one in arms if one.startswith("operations of ")):
        if name == "dense":
            continue
        text, kinds = arms[f"text KL, {name}"], [arms[f"{kind}, {name}"] for kind in ("needle", "name")]
        lost = [
            one["mean"] - arms[f"{kind}, dense"]["mean"] for one, kind in zip(kinds, ("needle", "name"), strict=True)
        ]
        spread = sum(one["sd"] for one in kinds) / 2
        axes.errorbar(text["mean"], sum(lost) / 2, xerr=text["sd"], yerr=spread, marker="osD^vP"[at % 6], capsize=2)
        axes.annotate(NAMES.get(name, name), (text["mean"], sum(lost) / 2), xytext=PLACES.get(name, (6, 6)),
                      textcoords="offset points", fontsize=8)  # fmt: skip
    axes.set_xscale("log")
    axes.set_xticks(TEXT, [f"{one:g}" for one in TEXT])
    axes.minorticks_off()
    axes.set_xlim(0.08, 2.6)
    axes.set_yscale("symlog", linthresh=0.5)
    axes.set_yticks(FACTS, [f"{one:g}" for one in FACTS])
    axes.set_ylim(-0.2, 12)
    axes.set_xlabel("Text: divergence from the dense model, nats a token")
    axes.set_ylabel("Early facts: loss above dense, nats a token")
    save_figure(made, Path(sys.argv[1]), "tokenprune")


if __name__ == "__main__":
    main()
