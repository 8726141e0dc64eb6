"""Draws the claim on 1 bit and int8 from its outcome, and writes the README's sentence from it. In this order:

    uv run ninefold claims bnn-fsg --full --only one-bit-at-twice -o packages/bnn-fsg/experiments/results
    uv run python packages/bnn-fsg/experiments/benchmarks/frontier_picture.py
    uv run python tools/scoreboard.py

The first trains twelve networks, about eleven minutes of one core, and keeps each in the cache, by a key of the code
that trains: a changed runtime or packing trains nothing again, and measures times, bytes and accuracies anew. A test
holds the sentence against the outcome.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from ninefold.report import figure, save_figure
from ninefold_lab import load_scores

RESULTS = Path(__file__).parent.parent / "results"
README = RESULTS.parent.parent / "README.md"
STATEMENT = "one-bit-at-twice-the-width-beats-int8"
KINDS = ("1 bit", "int8")
WIDTHS = (8, 16)
_BLOCK = re.compile(r"(<!-- frontier:begin .*? -->\n\n).*?(\n\n<!-- frontier:end -->)", re.DOTALL)
_NOT_RUN = "At two widths, trained alike: [1 bit compared with int8](docs/results.md#claims)."


def outcome() -> Path | None:
    """The claim's outcome, if there is one."""
    return next(iter(sorted(RESULTS.glob(f"{STATEMENT}.full.*.json"))), None)


def means(path: Path, arm: str) -> np.ndarray:
    """(seeds,) mean of an arm."""
    return np.array([np.mean([group.mean() for group in one[arm].values()]) for one in load_scores(path)])


def block(path: Path | None) -> str:
    """What the README says of an outcome: 1 bit at the larger width compared with int8 at the smaller."""
    if path is None:
        return _NOT_RUN
    keys = ("right", "KB", "microseconds")
    ours, theirs = ({key: means(path, f"{arm}: {key}").mean() for key in keys} for arm in ARMS)
    words = {"right": "accuracy", "KB": "bytes", "microseconds": "time"}
    ahead = {key: ours[key] > theirs[key] if key == "right" else ours[key] < theirs[key] for key in keys}
    leads = [
        " and ".join(words[key] for key in keys if ahead[key] == is_ours) or "nothing" for is_ours in (True, False)
    ]
    figures = [
        f"{one['right']:.1f} % right, {one['KB']:.0f} KB, {one['microseconds']:.0f} microseconds"
        for one in (ours, theirs)
    ]
    picture = f"![Accuracy of 1-bit and int8 networks by bytes and by time](experiments/results/{PICTURE})"
    return (
        f"Trained alike, a ResNet-8 with 1-bit weights and inputs at width 16 ({figures[0]} a picture) leads int8 in XNNPACK at\n"
        f"width 8 ({figures[1]}) in {leads[0]}; int8 leads in {leads[1]}: [claims](docs/results.md#claims).\n\n{picture}"
    )


ARMS = (f"1 bit, width {WIDTHS[1]}", f"int8, width {WIDTHS[0]}")
PICTURE = "frontier.png"


def written(text: str, path: Path | None) -> str:
    """The README's text with the block of an outcome."""
    assert _BLOCK.search(text), "the README has lost its markers"
    return _BLOCK.sub(lambda found: found[1] + block(path) + found[2], text)


def main() -> None:
    path = outcome()
    if path is not None:
        draw(path)
    README.write_text(written(README.read_text(encoding="utf-8"), path), encoding="utf-8")


def draw(path: Path) -> None:
    """The picture beside the outcome."""
    picture, axes = figure(columns=2)
    for place, (key, words) in enumerate((("KB", "file, KB"), ("microseconds", "one picture, microseconds"))):
        for kind in KINDS:
            right = [means(path, f"{kind}, width {width}: right") for width in WIDTHS]
            cost = [means(path, f"{kind}, width {width}: {key}").mean() for width in WIDTHS]
            middle = [one.mean() for one in right]
            reach = [[one.mean() - one.min() for one in right], [one.max() - one.mean() for one in right]]
            axes[place].errorbar(cost, middle, yerr=reach, marker="o", capsize=3, label=kind)
            for width, x, y in zip(WIDTHS, cost, middle, strict=True):
                axes[place].annotate(f"{width}", (x, y), textcoords="offset points", xytext=(5, 5), fontsize=8)
        axes[place].set_xlim(left=0)
        axes[place].set_xlabel(words)
    axes[0].set_ylabel("test pictures right, %")
    axes[0].legend()
    save_figure(picture, RESULTS / PICTURE)


if __name__ == "__main__":
    main()
