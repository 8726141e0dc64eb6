"""The README's sentence on 1 bit and int8 is what the stored outcome says."""

from __future__ import annotations

import numpy as np
from bnn_fsg_experiments.benchmarks import frontier_picture as picture


def test_readme_follows_the_outcome():
    text = picture.README.read_text(encoding="utf-8")
    assert picture.written(text, picture.outcome()) == text, "run experiments/benchmarks/frontier_picture.py"


def test_sentence_names_who_leads_in_what(monkeypatch, tmp_path):
    kinds = {
        "1 bit, width 16: right": 57.2, "1 bit, width 16: KB": 41.0, "1 bit, width 16: microseconds": 31.0,
        "int8, width 8: right": 61.9, "int8, width 8: KB": 30.0, "int8, width 8: microseconds": 60.0,
    }  # fmt: skip
    monkeypatch.setattr(
        picture, "load_scores", lambda _: [{arm: {"all": np.array([value])} for arm, value in kinds.items()}]
    )
    said = picture.block(tmp_path)
    assert "leads int8 in XNNPACK at\nwidth 8" in said
    assert "in time; int8 leads in accuracy and bytes" in said
    assert "57.2 % right, 41 KB, 31 microseconds" in said
