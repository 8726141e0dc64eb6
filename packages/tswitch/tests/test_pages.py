"""Figures on the README are those of the stored outcomes."""

from __future__ import annotations

from pathlib import Path

from tswitch_experiments.benchmarks.bytes_picture import megabytes, scores

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_the_readme_has_the_megabytes_of_the_outcomes():
    found = megabytes()
    assert f"{found['models']:,.0f} MB as models" in README
    assert f"{found['tswitch']:.0f} MB as switches" in README
    assert f"{found['tswitch, fitted']:.1f} MB as switches whose scales are fitted" in README


def test_the_readme_has_the_scores_of_the_outcomes():
    fitted, calibrated = (
        scores("fitted-knobs-stay-true-below-half-a-per-cent"),
        scores("fitted-switches-answer-as-calibrated-rivals"),
    )
    share = fitted["fitted 0.97: % of float32"]
    assert f"in {share:.1f} % of its size" in README
    assert f"0.97: {fitted['fitted 0.97']:.2f} in {share:.2f} %".replace(" 0.40", " .40") in README
    near = f"fitted: {calibrated['fitted 0.97: divergence']:.4f}", f"{calibrated['Delta-CoMe, 0.4 %: divergence']:.4f}"
    for value in near:
        assert value.replace("0.0", ".0") in README
    merging = scores("beats-merging-on-twelve-tasks")
    assert f"{merging['T-Switch 0.6']:.2f} in {merging['T-Switch 0.6: MB']:.0f} MB" in README
    assert f"TALL masks: {merging['TALL masks']:.2f} in {merging['TALL masks: MB']:.0f} MB" in README
