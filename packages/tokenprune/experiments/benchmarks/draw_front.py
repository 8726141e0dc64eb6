"""Answers right, above the dense model, against operations: by length, every arm at its sparsities.

From `bench_long.py --summary`.

    python packages/tokenprune/experiments/benchmarks/draw_front.py SUMMARY... PICTURE

One panel for each length. A mark is an arm at one sparsity, its bar the 95 % interval over items; marks of one arm are
joined. SnapKV and PyramidKV save bytes and no operations: they stand at 1.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from ninefold.report import figure, save_figure

NAMES = {"learnt": "tokenprune, learnt", "tokenprune": "tokenprune, default", "fastkv": "FastKV", "specprefill": "SpecPrefill, its own draft",
         "gemfilter": "GemFilter", "pyramidinfer": "PyramidInfer", "snapkv": "SnapKV", "pyramidkv": "PyramidKV",
         "truncation": "truncation", "dropping": "frequent tokens dropped"}  # fmt: skip
MARKS = "*osD^vPX<>"


def panel(axes: Any, lines: list[dict[str, Any]]) -> None:
    """Of one length."""
    axes.axhline(0, color="0.6", linewidth=1)
    axes.annotate("dense", (1, 0), xytext=(-4, 4), textcoords="offset points", ha="right", fontsize=8)
    for mark, (arm, name) in zip(MARKS, NAMES.items(), strict=True):
        here = [line for line in lines if line["arm"].split()[0] == arm]
        if not here:
            continue
        right, spent = [line["right above dense"] for line in here], [line["operations"] for line in here]
        error = [[one[0] - one[1] for one in right], [one[2] - one[0] for one in right]]
        axes.errorbar(spent, [one[0] for one in right], yerr=error, marker=mark, label=name, linewidth=1, capsize=2)
    axes.set_title(f"{lines[0]['tokens']:,} tokens", fontsize=9)
    axes.set_xlabel("Operations, share of dense")
    axes.set_xlim(0.15, 1.05)
    axes.set_ylim(-0.75, 0.15)


def main() -> None:
    *sources, picture = map(Path, sys.argv[1:])
    every = [json.loads(line) for one in sources for line in one.read_text(encoding="utf-8").splitlines()]
    lines = [line for line in every if line["benchmark"] == "long prompts" and "right" in line]
    lengths = sorted({line["tokens"] for line in lines})
    made, first = figure()
    made.delaxes(first)
    for at, length in enumerate(lengths):
        axes = made.add_subplot(1, len(lengths), at + 1)
        panel(axes, [line for line in lines if line["tokens"] == length])
        if at == 0:
            axes.set_ylabel("Answers right, above dense")
            handles, names = axes.get_legend_handles_labels()
            made.legend(handles, names, loc="outside lower center", ncols=5, fontsize=8, frameon=False)
    made.set_size_inches(4.2 * len(lengths), 4.2)
    save_figure(made, picture, "tokenprune")


if __name__ == "__main__":
    main()
