"""Each experiment gives the arms that its bars name, on the wheel's own pictures in place of the benchmark's."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from ninefold_lab import Budget
from PIL import Image
from scipy.sparse.linalg import eigsh
from semcom.datasets import embedded_photographs, load, load_captioned, load_whole
from semcom.evaluation import _whole as _baseline
from semcom.models import JsccCoder, JsccConfig, Judge, JudgeConfig, PictureCoder, PictureConfig
from semcom.phy import mcs_table
from semcom_experiments import coders, foreign, kept, masked, perceptual
from semcom_experiments.claims import (
    CLAIMS,
    MM_CLAIMS,
    _carrier,
    _coders,
    _foreign,
    _mm,
    _pictures,
    _whole,
)
from semcom_experiments.distance import LEAST_KID
from semcom_experiments.linear import LinearLink

QUICK = Budget(1, 0.1, "quick")


@pytest.fixture(scope="module")
def crops(tmp_path_factory):
    """Three crops of each side that is asked for; a mask of the latent grid needs 64 pixels."""
    place = tmp_path_factory.mktemp("crops")
    for side in (32, 64):
        (place / str(side)).mkdir()
        for name, picture in embedded_photographs().items():
            Image.fromarray(picture[:side, :side]).save(place / str(side) / f"{name}.png")
    return {side: sorted((place / str(side)).iterdir())[:3] for side in (32, 64)}


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def measured():
    """Scores by experiment, seed and cache: two claims of one experiment are judged by the same scores."""
    return {}


@pytest.fixture
def judged(monkeypatch, tmp_path_factory, measured):
    """Judges a claim by two seeds of its experiment; a run with nothing kept gives the same arms.

    Claims share two caches, as they do outside of tests: what experiments have in common is measured once in each.
    """
    folders = measured.setdefault("caches", [tmp_path_factory.mktemp(name) for name in ("first", "second")])

    def scores_of(claim, seed, place):
        monkeypatch.setenv("NINEFOLD_CACHE", str(folders[place]))
        _carrier._coder.cache_clear()
        key = (claim.run, seed, place)
        if key not in measured:
            measured[key] = claim.run(QUICK, seed)
        return measured[key]

    def judge(claim):
        scores, other, again = (scores_of(claim, seed, place) for seed, place in ((0, 0), (1, 0), (0, 1)))
        comparisons = claim.verdict([scores, other])
        assert comparisons
        assert all(np.isfinite(one.estimate) for one in comparisons)
        assert scores.keys() == again.keys()
        for arm in scores:
            np.testing.assert_array_equal(scores[arm], again[arm])

    return judge


@pytest.fixture
def on_small_pictures(crops, monkeypatch):
    """All experiments of the first system on the wheel's own pictures, with tiny coders in place of trained ones."""
    monkeypatch.setattr(_pictures, "pictures_of", lambda *_: load("embedded")[:6])
    for module, side, most in ((_whole, 32, 3), (_carrier, 64, 1), (_coders, 32, 2)):
        monkeypatch.setattr(module, "crops", lambda count, side=side, most=most: crops[side][: min(count, most)])
    rates = mcs_table()[::14]
    monkeypatch.setattr(_baseline, "mcs_table", lambda: rates)  # four fixed rates instead of all
    monkeypatch.setattr(_carrier, "photographs", lambda count: crops[64][:count])
    for module in (masked, coders, _coders):
        if hasattr(module, "load_whole"):
            monkeypatch.setattr(module, "load_whole", lambda *words: load_whole("embedded", *words[1:]))
        if hasattr(module, "load"):
            monkeypatch.setattr(module, "load", lambda *words: load("embedded", *words[1:]))
    torch.manual_seed(0)
    sizes = PictureConfig(width=8, stages=1, context=8, blocks=1)
    tiny, tiles = PictureCoder(sizes).eval(), JsccCoder(JsccConfig(width=8, stages=1)).eval()
    for module in (masked, _coders):
        monkeypatch.setattr(module, "load_picture_coder", lambda: tiny)
    for module in (coders, _coders):
        monkeypatch.setattr(module, "load_jscc", lambda _: tiles)
    monkeypatch.setattr(coders, "PictureConfig", lambda: sizes)
    _carrier._coder.cache_clear()
    yield
    _carrier._coder.cache_clear()


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id.split("/")[1])
def test_experiment_gives_every_arm_of_its_bars(claim, on_small_pictures, judged):
    judged(claim)


@pytest.fixture(scope="module")
def small_parts(tiny_parts):
    """Untrained parts on some of the wheel's own pictures."""
    from semcom.multimodal import MMSemCom, ResidualDiffusion

    link = MMSemCom(*tiny_parts[:2], ResidualDiffusion(tiny_parts[2], steps=1))
    data = load_captioned("embedded", limit=12)
    with pytest.MonkeyPatch.context() as patch:  # twelve pictures have eleven components; all 3072 take seconds
        few = partial(eigsh, k=len(data.images) - 1, v0=np.ones(data.images[0].size))
        patch.setattr(np.linalg, "eigh", few)
        linear = LinearLink(data.images, 128)
    return link, data, Judge(JudgeConfig(4, 8)).eval(), linear


@pytest.mark.parametrize("claim", MM_CLAIMS, ids=lambda claim: claim.id.split("/")[1])
def test_experiment_of_the_second_system_gives_every_arm_of_its_bars(claim, small_parts, judged, monkeypatch):
    enough = load_captioned("embedded", limit=LEAST_KID), load("embedded", limit=2 * LEAST_KID)
    monkeypatch.setattr(_mm, "_parts", lambda _: small_parts)
    monkeypatch.setattr(_foreign, "_link", lambda: small_parts[0])
    monkeypatch.setattr(_foreign, "_data", lambda *_: enough)
    monkeypatch.setattr(perceptual, "load", lambda *_: load("embedded"))
    network = np.random.default_rng(0).normal(size=(3072, 12))
    features = lambda images: images.reshape(len(images), -1) / 255 @ network  # noqa: E731
    monkeypatch.setattr(foreign, "imagenet_features", lambda: features)
    judged(claim)


def test_rows_of_the_second_system_are_kept_and_their_seconds_count_once(small_parts, monkeypatch):
    counted = []
    monkeypatch.setattr(_mm, "_parts", lambda _: small_parts)
    monkeypatch.setattr(kept, "add_seconds", counted.append)
    first = _mm._mean(QUICK, 0, (0.0,), "psnr")
    assert sum(counted) == 0  # the caller's own clock saw them
    monkeypatch.setattr(_mm, "_pictures", None)
    np.testing.assert_array_equal(_mm._mean(QUICK, 0, (0.0,), "psnr")["random"], first["random"])
    assert sum(counted) > 0


def test_claims_of_whole_pictures_measure_a_seed_once_and_a_killed_one_goes_on(on_small_pictures, monkeypatch):
    measured, measure = [], _whole.measure_baseline

    def counting(paths, task):
        if len(measured) == 2 and not dead:
            dead.append(True)
            raise KeyboardInterrupt
        measured.append((paths[0].name, task.seed))
        return measure(paths, task)

    dead = []
    monkeypatch.setattr(_whole, "measure_baseline", counting)
    with pytest.raises(KeyboardInterrupt):
        _whole.known_snr(QUICK, 0)
    for _ in range(2):
        _whole.known_snr(QUICK, 0)
    assert len(measured) == len(set(measured)) == 3


def test_rules_see_the_same_candidates_and_the_oracle_is_best(small_parts, monkeypatch):
    monkeypatch.setattr(_mm, "_parts", lambda _: small_parts)
    found = _mm._pictures(12, 0, 5.0)
    quality = {name: _mm.psnr(images, small_parts[1].images) for name, images in found.items()}
    assert all((quality["oracle"] >= quality[rule] - 1e-9).all() for rule in ("multimodal", "image", "text", "random"))
    assert {"coarse picture", "linear picture", "unsharp mask", "text only", "without text"} <= set(found)


def test_zeros_without_scrambler_keep_the_first_patches_and_other_payloads_do_not():
    bits = {
        kind: _pictures._bits_of(kind, 3, 48, np.random.default_rng(0))
        for kind in ("random", "zeros", "text", "periodic")
    }
    assert all(one.shape == (3, 48) and one.max() <= 1 for one in bits.values())
    assert not bits["zeros"].any()
    np.testing.assert_array_equal(bits["periodic"][0], bits["periodic"][1])
    assert not np.array_equal(bits["text"][0], bits["text"][1])
