"""Training of the coder of whole pictures: crops, many ratios, a moving average that survives a kill."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ninefold.errors import InputError
from ninefold.run import Run
from ninefold_testing import digests
from semcom.datasets import load_whole
from semcom.models import JsccConfig, PictureCoder, PictureConfig
from semcom.training import JsccRecipe, PictureRecipe, train_jscc, train_picture
from semcom.training._picture import draw_crops

TINY = PictureConfig(channels=4, width=8, stages=1, context=8, blocks=1)


def recipe(**settings):
    schedule = {"steps": 8, "batch": 8, "lr": 3e-3, "save_every": 4, "average": 0.9}
    return PictureRecipe(**schedule, crops=(16, 32), channels=(2, 4), bfloat16=False, **settings)


def trained(folder, **settings):
    torch.manual_seed(0)
    with Run(folder, {}) as run:
        return train_picture(load_whole("embedded"), PictureCoder(TINY), recipe(**settings), run), run.metrics()


def test_killed_training_gives_the_same_averaged_weights(tmp_path, monkeypatch):
    from semcom.training import _loop

    whole, _ = trained(tmp_path / "whole")
    saved = _loop._save

    def save_and_die(*words):
        saved(*words)
        raise KeyboardInterrupt

    monkeypatch.setattr(_loop, "_save", save_and_die)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "cut")
    monkeypatch.undo()
    again, _ = trained(tmp_path / "cut")
    assert digests(tmp_path / "cut") == digests(tmp_path / "whole")
    for one, two in zip(whole.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(one, two)
    torch.manual_seed(0)
    start = PictureCoder(TINY)
    assert any(not torch.equal(one, two) for one, two in zip(start.parameters(), whole.parameters(), strict=True))


@pytest.mark.parametrize("channel", ["rayleigh:block=16,csi=pilot", "tdl-c", "mimo:block=8"])
def test_training_goes_through_fading_channels(channel, tmp_path):
    _, lines = trained(tmp_path / "whole", channel=channel)
    assert np.isfinite(lines[-1]["loss"])
    data = np.stack([picture[:32, :32] for picture in load_whole("embedded")])
    with Run(tmp_path / "tiles", {}) as run:
        words = (
            JsccConfig(channels=4, width=8),
            JsccRecipe(steps=8, batch=8, lr=3e-3, save_every=4, channel=channel),
            run,
        )
        train_jscc(data, *words)
        assert np.isfinite(run.metrics()[-1]["loss"])


def test_crops_are_parts_of_the_pictures_and_small_ones_are_refused(tmp_path):
    picture = torch.arange(40 * 50 * 3, dtype=torch.int64).remainder(251).to(torch.uint8).reshape(40, 50, 3)
    crops = draw_crops([picture], 6, 40, torch.Generator().manual_seed(0))
    rows = [row.permute(1, 2, 0).mul(255).round().to(torch.uint8) for row in crops]
    views = [picture[:, left : left + 40] for left in range(11)]
    views += [view.flip(1) for view in views]
    assert all(any(torch.equal(row, view) for view in views) for row in rows)
    with Run(tmp_path / "run", {}) as run, pytest.raises(InputError, match="none large enough"):
        train_picture([np.zeros((20, 90, 3), np.uint8)], PictureCoder(TINY), recipe(), run)
