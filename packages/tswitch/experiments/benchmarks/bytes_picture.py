"""Draw the bytes of twelve fine-tuned models and of what stands for them, from the stored outcomes.

    python packages/tswitch/experiments/benchmarks/bytes_picture.py

Writes `results/bytes.png`.
"""

from __future__ import annotations

import json
from pathlib import Path

from ninefold.report import BLUE, GREY, ORANGE, figure
from ninefold_lab.experiments import folder_of, register

register("tswitch", folder_of("tswitch") or Path())

from tswitch_experiments.benchmarks.seeded_means import PARAMETERS, TASKS, means  # noqa: E402

RESULTS = Path(__file__).parents[1] / "results"


def megabytes() -> dict[str, float]:
    """Megabytes of all twelve tasks by what stores them."""
    merging = scores("beats-merging-on-twelve-tasks")
    fitted = scores("fitted-knobs-stay-true-below-half-a-per-cent")
    models = 4 * PARAMETERS * TASKS / 1e6
    return {
        "models": models,
        "EMR": merging["EMR: MB"],
        "BitDelta": merging["BitDelta, every tensor: MB"],
        "T-Switch 0.6": merging["T-Switch 0.6: MB"],
        "T-Switch 0.97, fitted": models * fitted["fitted 0.97: % of float32"] / 100,
        "tswitch, default": means()["seeded 0.5%"]["megabytes"],
        "tswitch, 0.1 %": means()["seeded 0.1%"]["megabytes"],
    }


def scores(claim: str) -> dict[str, float]:
    """Mean over seeds of each arm of an outcome."""
    (path,) = RESULTS.glob(f"{claim}.full.*.json")
    return {name: float(value["mean"]) for name, value in json.loads(path.read_text())["arms"].items()}


def main() -> None:
    found = megabytes()
    made, axes = figure(5, 2.8)
    bars = axes.barh(list(found), list(found.values()), color=[GREY, *4 * [ORANGE], BLUE, BLUE])
    axes.bar_label(
        bars, [f"{value:,.0f} MB" if value > 10 else f"{value:.1f} MB" for value in found.values()], padding=3
    )
    axes.invert_yaxis()
    axes.set(xlim=(0, 1450), xticks=[])
    axes.tick_params(labelsize=12)
    axes.grid(visible=False)
    for text in axes.texts:
        text.set_fontsize(12)
    for side in ("top", "right", "bottom"):
        axes.spines[side].set_visible(False)
    made.savefig(RESULTS / "bytes.png", dpi=160)


if __name__ == "__main__":
    main()
