"""What a report says of a prompt, and its pictures."""

from __future__ import annotations

import pytest
import torch
from tokenprune import FTPConfig, TokenPruner
from tokenprune.pruner._report import pareto

SCHEDULE = (0.0, 0.25, 0.6, 0.4)


def test_report_counts_what_was_kept(model, ids):
    report = TokenPruner(model, FTPConfig(router="static"), SCHEDULE).report(ids[:1])
    assert report.kept[:, 0].tolist() == [24, 18, 10, 15]
    assert report.gates.sum(1).tolist() == [24, 18, 10, 15]
    assert report.sparsity == pytest.approx(1 - 67 / 96)
    per_token = 2 * (64 * 64 * 2 + 64 * 32 * 2 + 3 * 64 * 128)
    flops = sum(per_token * n + 2 * n * n * 64 for n in (24, 18, 10, 15))
    assert report.cost.flops == pytest.approx(flops)
    assert report.dense.flops == pytest.approx(4 * (per_token * 24 + 2 * 24 * 24 * 64))
    assert report.cost.kv_bytes == 67 * 2 * 2 * 16 * 4
    (axes,) = report.gate_map().axes
    assert all(float(tick).is_integer() for tick in axes.get_yticks())


def test_report_takes_a_tokenizers_batch(model, ids):
    from transformers import BatchEncoding

    pruner, mask = TokenPruner(model, FTPConfig(router="static"), SCHEDULE), torch.ones_like(ids)
    mask[1, :9] = 0
    batch = BatchEncoding({"input_ids": ids, "attention_mask": mask})
    assert (pruner.report(batch).kept == pruner.report(ids, mask).kept).all()
    assert pruner.report({"input_ids": ids}).lengths == [24] * 3


def test_names_in_the_pareto_picture_do_not_cover_each_other():
    from matplotlib.text import Text

    rows = [("dense", 1.0, 4.79), ("ftp", 0.715, 4.81), ("truncation", 0.711, 4.80), ("random", 0.711, 6.35),
            ("hidden-state", 0.711, 6.37), ("skipgpt", 0.711, 6.31), ("llm-streamline", 0.714, 5.86),
            ("laco", 0.714, 13.07)]  # fmt: skip
    made = pareto(rows, "NLL")
    made.canvas.draw()
    boxes = {text.get_text(): Text.get_window_extent(text) for text in made.axes[0].texts}
    assert set(boxes) == {name for name, _, _ in rows}
    for name, box in boxes.items():
        assert not [other for other, beside in boxes.items() if other != name and box.overlaps(beside)], name
