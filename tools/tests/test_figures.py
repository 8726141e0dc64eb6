"""Figures of READMEs equal stored results; and the check that says so sees a wrong one."""

from __future__ import annotations

import figures
import pytest
from workspace import packages

STORED = {name: figures.stored(package) for name, package in packages().items()}
READMES = {name: (package.folder / "README.md").read_text(encoding="utf-8") for name, package in packages().items()}


@pytest.mark.parametrize("name", READMES)
def test_each_figure_of_a_readme_is_in_its_results(name):
    for clause in figures.clauses(READMES[name]):
        file, missing = figures.source(clause, STORED[name])
        assert missing == [], f"{clause!r}: {file} is nearest; `uv run python tools/check/figures.py` lists all"


def test_figures_of_a_row_come_from_one_file():
    files = {"a.json": figures._rounded([0.123, 45.6]), "b.json": figures._rounded([7.89])}
    assert figures.source("| ours | 12.3 % | 45.6 dB | 33.3 |", files) == ("a.json", [])  # the last is a difference
    assert figures.source("| ours | 12.3 % | 7.9 dB |", files) == ("a.json", ["7.9"])
    assert figures.source("12.4 %", files)[1] == ["12.4"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("it has 12.3 % of 4,567.8 (-.5 dB), 3 times", [["12.3", "4567.8", ".5", "3"]]),
        ("| 1.5 | 2.5 |\n| 3.5 | 4 |", [["1.5", "2.5"], ["3.5"]]),
        ("arXiv 2412.00054, CC BY 4.0, version 0.3, `alpha=0.6`, 1.2-fold, ten seeds, with 30 % skipped", []),
        ("First 1.5 dB. Then 2.5 dB; 3.5 dB", [["1.5"], ["2.5"], ["3.5"]]),
    ],
)
def test_figures_and_clauses(text, found):
    assert [figures.figures(clause) for clause in figures.clauses(text)] == found


def test_half_of_all_wrong_digits_are_seen():
    seen, tried = 0, 0
    for name, readme in READMES.items():
        for clause in figures.clauses(readme):
            for figure in set(figures.figures(clause)):
                digits = len(figure.partition(".")[2])
                for shift in (-7, -3, 3, 7):
                    wrong = f"{abs(float(figure) + shift * 10**-digits):.{digits}f}"
                    changed = clause.replace(figure, wrong if figure[0] != "." else wrong.lstrip("0"), 1)
                    seen += bool(figures.source(changed, STORED[name])[1])
                    tried += 1
    assert seen >= tried / 2, f"{seen} of {tried}"
