"""Figures of a README and where they come from: the outcomes and benchmarks that the package's experiments committed.

A figure is a number with decimals, or with one of the units %, dB, points, times, in the README's text outside code.
The figures of one row of a table, or of one clause of a sentence, come from one file of results together: a stored
number rounds to each of them, or two of them differ by it.
Publications, versions and sizes of downloads are no results.

    uv run python tools/check/figures.py   # the rows and clauses of each README that no file of results gives
"""

from __future__ import annotations

import itertools
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1]))  # tools/, for `workspace`

from workspace import Package, packages

_NO_RESULT = re.compile(
    r"^```.*?^```|`[^`]*`|<!-- download:begin.*?download:end -->|\(?\b\d{4}\.\d{4,5}\)?|\bCC BY[- ](?:SA )?\d\.\d"
    r"|(?:version|Python|RecTools|myFM|ERNIE) \d[\d.]*|\b\d\.\d-fold"
    r"|\b95 % (?=interval)|\b(?:[Ww]ith|at) \d+ %",
    re.MULTILINE | re.DOTALL,
)
_FIGURE = re.compile(r"(?<![\w.,/])[-+−]?(\d+(?:,\d{3})*\.\d+|\.\d+|\d+(?= ?(?:%|dB\b|points?\b|times\b)))(?![\w/])")
_CLAUSE = re.compile(r"(?<=[.;:])\s")


def figures(text: str) -> list[str]:
    """The figures in a text, in order."""
    return [found[1].replace(",", "") for found in _FIGURE.finditer(text)]


def clauses(readme: str) -> Iterator[str]:
    """The rows of tables and clauses of sentences that hold figures."""
    for block in _NO_RESULT.sub(" ", readme).split("\n\n"):
        parts = block.split("\n") if block.lstrip().startswith("|") else _CLAUSE.split(block.replace("\n", " "))
        yield from (" ".join(part.split()) for part in parts if figures(part))


def stored(package: Package) -> dict[str, set[tuple[int, float]]]:
    """By file of results: what its numbers are when rounded, as (decimals, value)."""
    results = package.folder / "experiments" / "results"
    files = [file for file in results.rglob("*.json*") if file.suffix in (".json", ".jsonl")]
    return {file.name: _rounded(list(_values(file))) for file in files}


def _values(file: Path) -> Iterator[float]:
    for line in file.read_text(encoding="utf-8").splitlines() if file.suffix == ".jsonl" else [file.read_text("utf-8")]:
        found = json.loads(line)
        if isinstance(found, dict) and "comparisons" in found:
            yield from _numbers([found["arms"], found["says"]])
            for one in found["comparisons"]:
                margin = re.search(r" ([+-]) ([\d.e-]+)$", one["bar"])
                beyond = float(margin[1] + margin[2]) if margin else 0.0
                values = [one[key] for key in ("estimate", "low", "high") if one[key] is not None]
                yield from (sign * value + beyond for value in values for sign in (1, -1))
                yield from _numbers([one["bar"], values])
        else:
            yield from _numbers(found)


def _rounded(values: list[float]) -> set[tuple[int, float]]:
    """As they are, shares in percent, counts in millions and billions; a half rounds up or down."""
    found = set()
    for value in map(abs, values):
        for scale in (1.0, *([100.0] if value <= 1 else []), *([1e-6, 1e-9] if value >= 1e5 else [])):
            near = (value * scale * (1 - 1e-9), value * scale * (1 + 1e-9))
            found |= {(places, round(one, places)) for one in near for places in range(5)}
    return found


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _numbers(one)
    elif isinstance(value, str):
        yield from (float(one) for one in re.findall(r"(?<![\w.])-?\d*\.?\d+(?!\w)", value))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield float(value)


def source(clause: str, files: dict[str, set[tuple[int, float]]]) -> tuple[str, list[str]]:
    """(the file that gives most figures of a clause, those that it does not give)."""
    wanted = {figure: (len(figure.partition(".")[2]), float(figure)) for figure in figures(clause)}
    values = [float(figure) for figure in wanted]
    gaps = _rounded([one - other for one, other in itertools.combinations(values, 2)])
    missing = {
        name: [figure for figure, one in wanted.items() if one not in known | gaps] for name, known in files.items()
    }
    best = min(missing, key=lambda name: len(missing[name]), default="")
    return best, missing.get(best, list(wanted))


def main() -> None:
    for name, package in packages().items():
        files = stored(package)
        for clause in clauses((package.folder / "README.md").read_text(encoding="utf-8")):
            file, missing = source(clause, files)
            if missing:
                print(f"{name}: {', '.join(missing)} not in {file} nor another: {clause[:200]}")


if __name__ == "__main__":
    main()
