"""The sentences of docs/results.md on 1 bit and int8 are what the stored outcome says."""

from __future__ import annotations

import numpy as np
import pytest
from bnn_fsg_experiments.benchmarks import frontier_picture as picture


def test_page_follows_the_outcome():
    text = picture.PAGE.read_text(encoding="utf-8")
    assert picture.written(text, picture.outcome()) == text, "run experiments/benchmarks/frontier_picture.py"


@pytest.fixture
def scores(monkeypatch):
    """An outcome in which 1 bit costs a quarter and is 5 points behind at each width."""
    found = {}
    for kind in picture.KINDS:
        for number, width in enumerate(picture.WIDTHS):
            behind, share = (5.0, 0.25) if kind == "1 bit" else (0.0, 1.0)
            for key, value in (
                ("right", 50.0 + 4 * number - behind),
                ("KB", 40.0 * width),
                ("microseconds", 10.0 * width),
            ):
                found[f"{kind}, width {width}: {key}"] = value * (share if key != "right" else 1)
    monkeypatch.setattr(
        picture, "load_scores", lambda _: [{arm: {"all": np.array([value])} for arm, value in found.items()}]
    )
    return found


def said(tmp_path) -> str:
    return " ".join(picture.block(tmp_path).split())


def test_sentence_names_the_most_accurate_1_bit_network_below_every_int8_one(scores, tmp_path):
    text = said(tmp_path)
    assert "below 320 KB (width 16: 160 KB, 49.0 % right)" in text
    assert "and below 80 microseconds (width 16: 40 microseconds, 49.0 % right)" in text


def test_sentence_names_no_time_where_an_int8_network_is_quickest(scores, tmp_path):
    scores["int8 in XNNPACK, width 8: microseconds"] = 1.0
    text = said(tmp_path)
    assert "below 1 microseconds" not in text
    assert "4.0 to 4.0 times fewer bytes, and less time at widths 16, 32, 64." in text


def test_sentence_says_by_how_much_int8_leads_and_from_where_it_matches(scores, tmp_path):
    text = said(tmp_path)
    assert "5.0 to 5.0 points more at equal width" in text
    assert "width 64: 57.0 % right, 640 KB, 160 microseconds" in text
    assert "is matched by the int8 one of width 32: 58.0 % right, 1280 KB" in text


def test_sentence_names_no_int8_network_that_is_less_accurate(scores, tmp_path):
    for arm in scores:
        if arm.startswith("int8") and arm.endswith("right"):
            scores[arm] = 10.0
    assert "is matched by" not in said(tmp_path)
