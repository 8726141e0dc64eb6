"""Figures on the README are those of the stored outcomes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tswitch_experiments.benchmarks.bytes_picture import RESULTS, megabytes, scores
from tswitch_experiments.benchmarks.seeded_means import CHOSEN_ON, means

PACKAGE = Path(__file__).parents[1]
README = (PACKAGE / "README.md").read_text(encoding="utf-8")
BARS = {"0.05%": 0.015, "0.1%": 0.005, "0.2%": 0.0015, "0.5%": 0.0005, "0.05% fitted": 0.008, "0.1% fitted": 0.003}


def test_the_readme_has_the_megabytes_of_the_outcomes():
    found = megabytes()
    assert f"{found['models']:,.0f} MB as models" in README
    assert f"{found['T-Switch 0.6']:.0f} MB as switches of the published code" in README
    assert f"{found['tswitch, default']:.1f} MB in the default code" in README


def test_the_readme_has_the_scores_of_the_outcomes():
    fitted, calibrated = (
        scores("fitted-knobs-stay-true-below-half-a-per-cent"),
        scores("fitted-switches-answer-as-calibrated-rivals"),
    )
    share = fitted["fitted 0.97: % of float32"]
    assert f"0.97: {fitted['fitted 0.97']:.2f} in {share:.2f} %".replace(" 0.40", " .40") in README
    near = f"fitted: {calibrated['fitted 0.97: divergence']:.4f}", f"{calibrated['Delta-CoMe, 0.4 %: divergence']:.4f}"
    for value in near:
        assert value.replace("0.0", ".0") in README
    merging = scores("beats-merging-on-twelve-tasks")
    assert f"{merging['T-Switch 0.6']:.2f} in {merging['T-Switch 0.6: MB']:.0f} MB" in README
    assert f"TALL masks: {merging['TALL masks']:.2f} in {merging['TALL masks: MB']:.0f} MB" in README


def test_the_readme_has_the_default_code_of_the_run():
    found = means()
    default, small, ternary = (found[way] for way in ("seeded 0.5%", "seeded 0.1%", "ternary 0.6"))
    assert f"in {default['size']:.1f} % of its size" in README
    for one in (default, small, ternary):
        words = f"{one['size']:.2f} %", f"{one['divergence']:.4f} ({one['accuracy']:.2f})"
        assert all(word.removeprefix("0") in README for word in words)
    for key in ("divergence", "size"):
        assert default[key] / ternary[key] == pytest.approx(0.25, abs=0.03)  # "about a quarter of both"


@pytest.mark.parametrize("left_out", [(), CHOSEN_ON])
def test_the_results_page_has_the_table_of_the_seeded_code_with_its_misses(left_out):
    page = (PACKAGE / "docs" / "results.md").read_text(encoding="utf-8")
    section = page.split("## The seeded code")[1].split("\n## ")[0].split("The choice of the code")[bool(left_out)]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines() if line.startswith("| ")]
    found, shown = means(left_out), {}
    for code, *cells in rows[2:]:
        way = code.replace(" (default)", "").replace(", fitted on texts", " fitted").replace(" %", "%")
        shown[way.replace(",", "").replace("alpha ", "")] = cells
    assert set(shown) == set(found)
    for way, (size, kept, divergence, bar, accuracy) in shown.items():
        one = found[way]
        assert (size, kept) == (f"{one['size']:.2f}", f"{one['density']:.2f}")
        assert accuracy == f"{one['accuracy']:.2f}"
        assert divergence == f"{one['divergence']:.4f} ({one['worst']:.4f})".replace("0.", ".")
        most = BARS.get(way.removeprefix("seeded "))
        verdict = "" if most is None else f"{most:.4f}, {'missed' if one['divergence'] > most else 'met'}"
        assert bar == verdict.removeprefix("0")


def test_stored_means_are_those_of_the_stored_lines():
    (path,) = RESULTS.glob("bench-seeded.*.jsonl")
    stored = [one for one in map(json.loads, path.read_text().splitlines()) if "draw" not in one]
    assert len(stored) == len(means()) + len(means(CHOSEN_ON))
    for one in stored:
        values = means(CHOSEN_ON if one["task"] == "mean of 10" else ())[one["way"]]
        assert {key: one[key] for key in values} == pytest.approx(values)
