"""The demo: all heads on one encoder, far better than the prior, with its pictures; and the weights that ship."""

from __future__ import annotations

import hashlib
import re

import pytest
from fastocc.demo import demo
from fastocc.evaluation._rivals import load_rivals, save_rivals
from fastocc.models import FastOccModel, shipped_weights
from matplotlib.text import Text


@pytest.fixture
def short(monkeypatch, tmp_path):
    monkeypatch.setattr("fastocc.demo.SCENES", 2)
    monkeypatch.setattr("fastocc.demo.FRAMES", 1)
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path))
    return tmp_path


def test_demo_beats_the_prior_and_draws(short):
    result = demo(0)
    rows = {row[0]: row for row in result.table.rows}
    assert len(rows) == 5
    ours, prior = (next(row for name, row in rows.items() if key in name) for key in ("fastocc", "prior"))
    assert ours[1] > prior[1] + 3  # mIoU in %
    assert ours[3] > prior[3]  # RayIoU in %
    assert result.headline.startswith("Voxels with class names around a vehicle")
    assert "49 % of the operations" in result.headline
    assert len(result.figures) == 3
    caption, first = result.figures[0]
    assert "six camera images" in caption
    assert first.get_figwidth() <= 5
    assert min(one.get_fontsize() for one in first.findobj(Text) if one.get_text()) >= 12
    assert "const D" in (short / "fastocc" / "demo" / "viewer.html").read_text()


def test_shipped_files_are_small_and_are_those_of_the_recipe():
    folder = shipped_weights().parent
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix == ".safetensors")
    assert sum(path.stat().st_size for path in files) < 6e6
    recipe = (folder / "RECIPE.md").read_text()
    for path in files:
        assert hashlib.sha256(path.read_bytes()).hexdigest() in recipe, path.name
    assert len(re.findall(r"\b[0-9a-f]{64}\b", recipe)) == len(files)


def test_rivals_come_back_from_their_file(tmp_path):
    config = FastOccModel.from_pretrained(shipped_weights()).config
    heads = load_rivals(config)
    assert set(heads) == {"bevnet", "c2h", "fastocc", "prior"}
    save_rivals(tmp_path / "r.safetensors", heads, {})
    again = load_rivals(config, tmp_path / "r.safetensors")
    for name, head in heads.items():
        for key, value in head.state_dict().items():
            assert value.equal(again[name].state_dict()[key]), (name, key)
