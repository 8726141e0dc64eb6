"""Draws the claims on 1 bit and int8 from their outcome, and writes the sentences of docs/results.md from it. In this order:

    uv run python packages/bnn-fsg/experiments/benchmarks/frontier_train.py
    uv run ninefold claims bnn-fsg --full --only one-bit- -o packages/bnn-fsg/experiments/results
    uv run python packages/bnn-fsg/experiments/benchmarks/frontier_picture.py
    uv run python tools/docs/scoreboard.py

The first trains twenty-four networks, about twenty minutes of one core with AMX, and keeps each in the cache, by a key
of the code that trains: a changed runtime or packing trains nothing again, and measures times, bytes and accuracies
anew. A test holds the sentences against the outcome.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ninefold.report import figure, save_figure
from ninefold_lab import load_scores

RESULTS = Path(__file__).parent.parent / "results"
PAGE = RESULTS.parent.parent / "docs" / "results.md"
STATEMENT = "one-bit-at-twice-the-width-beats-int8"
KINDS = ("1 bit", "int8 in XNNPACK", "int8 in onnxruntime")
WIDTHS = (8, 16, 32, 64)
PICTURE = "frontier.png"
_BLOCK = re.compile(r"(<!-- frontier:begin .*? -->\n\n).*?(\n\n<!-- frontier:end -->)", re.DOTALL)
_NOT_RUN = "The experiment on 1 bit and int8 at four widths has not been run."
_LINE = 150  # characters of a line


@dataclass(frozen=True)
class Network:
    """A network of the outcome, means over its seeds: test pictures right in %, KB, microseconds a picture."""

    kind: str
    width: int
    right: float
    size: float
    time: float

    @property
    def figures(self) -> str:
        """As the page says it."""
        return f"width {self.width}: {self.right:.1f} % right, {self.size:.0f} KB, {self.time:.0f} microseconds"


def outcome() -> Path | None:
    """The claim's outcome, if there is one."""
    return next(iter(sorted(RESULTS.glob(f"{STATEMENT}.full.*.json"))), None)


def means(path: Path, arm: str) -> np.ndarray:
    """(seeds,) mean of an arm."""
    return np.array([np.mean([group.mean() for group in one[arm].values()]) for one in load_scores(path)])


def networks(path: Path) -> list[Network]:
    """All networks of an outcome."""
    keys = ("right", "KB", "microseconds")
    return [
        Network(kind, width, *(float(means(path, f"{kind}, width {width}: {key}").mean()) for key in keys))
        for kind in KINDS
        for width in WIDTHS
    ]


def block(path: Path | None) -> str:
    """What the page says about an outcome: where 1 bit is the right choice and where int8 is."""
    if path is None:
        return _NOT_RUN
    ours = [one for one in networks(path) if one.kind == KINDS[0]]
    theirs = [one for one in networks(path) if one.kind != KINDS[0]]
    pairs = [(one, [other for other in theirs if other.width == one.width]) for one in ours]
    gaps = [max(other.right for other in rivals) - one.right for one, rivals in pairs]
    shares = [min(other.size for other in rivals) / one.size for one, rivals in pairs]
    quicker = [f"{one.width}" for one, rivals in pairs if one.time < min(other.time for other in rivals)]
    alone = [_below(ours, theirs, "size", "KB"), _below(ours, theirs, "time", "microseconds")]
    times = f"widths {', '.join(quicker)}" if quicker else "no width"
    lines = [
        f"ResNet-8 for CIFAR-10 at widths {WIDTHS[0]} to {WIDTHS[-1]}, trained alike on few pictures.",
        f"Take **1 bit** {' and '.join(one for one in alone if one) or 'for nothing here'}.",
        f"At equal width it takes {min(shares):.1f} to {max(shares):.1f} times fewer bytes, and less time at {times}.",
        f"Take **int8** for accuracy: {min(gaps):.1f} to {max(gaps):.1f} points more at equal width.",
    ]
    best = max(ours, key=lambda one: one.right)
    level = [one for one in theirs if one.right >= best.right]
    if level:
        first = min(level, key=lambda one: (one.size, one.time))
        lines.append(
            f"The best 1-bit network ({best.figures}) is matched by the int8 one of {first.figures} in "
            f"{first.kind.removeprefix('int8 in ')}."
        )
    picture = f"![Accuracy of 1-bit and int8 networks by bytes and by time](../experiments/results/{PICTURE})"
    return f"{_wrapped(' '.join(lines))}\n\n{picture}"


def _below(ours: list[Network], theirs: list[Network], key: str, unit: str) -> str:
    """The most accurate 1-bit network that costs less than every int8 one; empty if none does."""
    limit = min(getattr(one, key) for one in theirs)
    cheaper = [one for one in ours if getattr(one, key) < limit]
    if not cheaper:
        return ""
    best = max(cheaper, key=lambda one: one.right)
    return f"below {limit:.0f} {unit} (width {best.width}: {getattr(best, key):.0f} {unit}, {best.right:.1f} % right)"


def _wrapped(text: str) -> str:
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) >= _LINE:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".lstrip()
    return "\n".join(lines)


def written(text: str, path: Path | None) -> str:
    """The page with the block of an outcome."""
    assert _BLOCK.search(text), "the page has lost its markers"
    return _BLOCK.sub(lambda found: found[1] + block(path) + found[2], text)


def main() -> None:
    path = outcome()
    if path is not None:
        draw(path)
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), path), encoding="utf-8")


def draw(path: Path) -> None:
    """The picture of an outcome: accuracy by bytes and by time, both axes of cost logarithmic."""
    picture, axes = figure(columns=2)
    above, below = {"xytext": (-5, 6), "ha": "right"}, {"xytext": (6, -11), "ha": "left"}
    panels = (  # where labels of widths stand; in bytes onnxruntime's points lie on XNNPACK's, whose labels are there
        ("KB", "file, KB", (above, below, None)),
        ("microseconds", "one picture, microseconds", (below, below, above)),
    )
    for shown, (key, words, places) in zip(axes, panels, strict=True):
        for kind, style, place in zip(KINDS, ("o-", "s--", "^:"), places, strict=True):
            right = [means(path, f"{kind}, width {width}: right") for width in WIDTHS]
            cost = [means(path, f"{kind}, width {width}: {key}").mean() for width in WIDTHS]
            middle = [one.mean() for one in right]
            reach = [[one.mean() - one.min() for one in right], [one.max() - one.mean() for one in right]]
            drawn = shown.errorbar(cost, middle, yerr=reach, fmt=style, markersize=5, capsize=3, label=kind)
            for width, x, y in zip(WIDTHS, cost, middle, strict=True):
                if place is not None:
                    color = drawn[0].get_color()
                    shown.annotate(f"{width}", (x, y), textcoords="offset points", fontsize=8, color=color, **place)
        shown.set_xscale("log")
        shown.margins(x=0.12)
        shown.set_xlabel(words)
        left, end = shown.get_xlim()
        ticks = [tick for tick in (10, 20, 50, 100, 200, 500, 1000) if left <= tick <= end]
        shown.set_xticks(ticks, [f"{tick}" for tick in ticks])
        shown.minorticks_off()
    axes[0].set_ylabel("test pictures right, %")
    axes[0].legend(fontsize=8, loc="lower right")
    axes[0].set_title("Numbers at points: width", fontsize=9)
    save_figure(picture, RESULTS / PICTURE)


if __name__ == "__main__":
    main()
