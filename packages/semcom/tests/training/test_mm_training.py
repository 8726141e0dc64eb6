"""Training of the second system: each part learns, noise is the link's, a killed run resumes to the same weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from ninefold.errors import InputError
from ninefold.run import Run
from ninefold_testing import digests
from semcom.datasets import load_captioned
from semcom.models import JsccCoder, JsccConfig, JudgeConfig
from semcom.multimodal import (
    ClipConfig,
    MMRecipe,
    SmallClip,
    UnetConfig,
    _training,
    train_clip,
    train_diffusion,
    train_features,
)
from semcom.multimodal._features import sent_places
from semcom.training import _loop
from semcom_experiments.judged import train_judge

STEPS = {"steps": 24, "batch": 16, "lr": 3e-3, "save_every": 8}
CLIP = ClipConfig(width=8, text_width=16, depth=1, heads=2)


@pytest.fixture(scope="module")
def data():
    return load_captioned("embedded")


@pytest.mark.parametrize("loss", ["mse", "log"])
def test_features_learn_with_fewer_symbols_than_the_coder_has(loss, data, tmp_path):
    with Run(tmp_path / "run", {}) as run:
        train_features(data.images, JsccConfig(channels=4, width=16), MMRecipe(**STEPS, loss=loss), run)
        first, _, last = run.metrics()
    assert last["psnr"] > first["psnr"] + 0.5
    with Run(tmp_path / "other", {}) as run, pytest.raises(InputError, match="coder's own"):
        train_features(data.images, JsccConfig(channels=4, width=16), MMRecipe(**STEPS, symbols=129), run)


def test_any_number_of_symbols_is_spread_over_the_picture_channel_by_channel():
    coder = JsccCoder(JsccConfig(channels=4, width=16))
    for symbols in (1, 8, 24, 32, 50, 128):
        places = sent_places(coder, symbols, (32, 32))
        assert len(set(places.tolist())) == 2 * symbols
        channel, row = places // 64, places % 64 // 8
        assert channel.max() == (symbols - 1) // 32  # later channels are begun when the earlier ones are full
        last = np.bincount(row[channel == channel.max()] // 2, minlength=4)
        assert last.max() - last.min() <= 4
        assert set(sent_places(coder, max(1, symbols - 1), (32, 32))) <= set(places)


@pytest.mark.parametrize("bfloat16", [False, True])
def test_towers_and_judge_learn(data, tmp_path, bfloat16):
    recipe = MMRecipe(**STEPS, bfloat16=bfloat16)
    with Run(tmp_path / "clip", {}) as run:
        train_clip(data, CLIP, recipe, run)
        first, _, last = run.metrics()
    assert last["loss"] < first["loss"]
    with Run(tmp_path / "judge", {}) as run:
        train_judge(data, JudgeConfig(4, 8), recipe, run)
        first, _, last = run.metrics()
    assert last["right"] > first["right"]
    with Run(tmp_path / "other", {}) as run, pytest.raises(InputError, match="classes"):
        train_judge(data, JudgeConfig(10, 8), MMRecipe(**STEPS), run)


def test_contrast_grows_sharper_where_pictures_and_texts_agree(data, tmp_path, monkeypatch):
    def agreed(self, batch):
        return 0.4 * torch.eye(len(batch)) + 0 * sum(one.sum() for one in self.parameters())

    data = replace(data, nouns=[f"noun {place}" for place in range(len(data.nouns))])
    monkeypatch.setattr(_training, "_CLASS_SHARE", 0.0)
    monkeypatch.setattr(SmallClip, "image_vectors", agreed)
    monkeypatch.setattr(SmallClip, "text_vectors", agreed)
    with Run(tmp_path / "clip", {}) as run:
        model = train_clip(data, CLIP, MMRecipe(**STEPS), run)
    assert model.log_scale > SmallClip(CLIP).log_scale


def test_diffusion_learns_and_resumes_to_the_same_averaged_weights(data, tiny_parts, tmp_path, monkeypatch):
    coder, clip, _ = tiny_parts
    words = (data, coder, clip, UnetConfig(width=8), MMRecipe(steps=12, batch=8, lr=3e-3, save_every=4, average=0.99))
    with Run(tmp_path / "whole", {}) as run:
        whole = train_diffusion(*words, run)
        first, _, last = run.metrics()
    assert last["loss"] < first["loss"]
    saved = _loop._save

    def save_and_die(*words):
        saved(*words)
        if words[2] == 8:
            raise KeyboardInterrupt

    monkeypatch.setattr(_loop, "_save", save_and_die)
    with Run(tmp_path / "cut", {}) as run, pytest.raises(KeyboardInterrupt):
        train_diffusion(*words, run)
    monkeypatch.undo()
    with Run(tmp_path / "cut", {}) as run:
        again = train_diffusion(*words, run)
    assert digests(tmp_path / "cut") == digests(tmp_path / "whole")
    for one, two in zip(whole.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(one, two)
    with Run(tmp_path / "other", {}) as run, pytest.raises(InputError, match="text_dim"):
        train_diffusion(data, coder, clip, UnetConfig(text_dim=4, width=8), MMRecipe(**STEPS), run)


def test_recipes_refuse_nonsense():
    for words, what in (({"no_text": 1.5}, "no_text"), ({"snr_low": 30.0}, "snr_low")):
        with pytest.raises(InputError, match=what):
            MMRecipe(**STEPS, **words)
    with pytest.raises(InputError, match="even number"):
        ClipConfig(dim=15)
    with pytest.raises(InputError, match="width"):
        UnetConfig(width=9)
