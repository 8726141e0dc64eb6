"""Each experiment gives the arms that its bars name, on the wheel's own pictures in place of the benchmark's."""

from __future__ import annotations

import numpy as np
import pytest
from ninefold_lab import Budget
from PIL import Image
from semcom.datasets import embedded_photographs, load, load_captioned
from semcom.models import Judge, JudgeConfig
from semcom_experiments.claims import CLAIMS, MM_CLAIMS, _mm, _pictures, _whole
from semcom_experiments.linear import LinearLink

QUICK = Budget(1, 0.1, "quick")


@pytest.fixture(scope="module")
def crops(tmp_path_factory):
    place = tmp_path_factory.mktemp("crops")
    for name, picture in embedded_photographs().items():
        Image.fromarray(picture[:64, :64]).save(place / f"{name}.png")
    return sorted(place.iterdir())[:3]


def judged(claim):
    """The experiment's arms twice, and comparisons of two seeds."""
    scores, other = (claim.run(QUICK, seed) for seed in (0, 1))
    comparisons = claim.verdict([scores, other])
    assert comparisons
    assert all(np.isfinite(one.estimate) for one in comparisons)
    again = claim.run(QUICK, 0)
    for arm in scores:
        np.testing.assert_array_equal(scores[arm], again[arm])


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id.split("/")[1])
def test_experiment_gives_every_arm_of_its_bars(claim, crops, monkeypatch):
    monkeypatch.setattr(_pictures, "pictures_of", lambda *_: load("embedded")[:6])
    monkeypatch.setattr(_whole, "crops", lambda count: crops[:count])
    judged(claim)


@pytest.fixture(scope="module")
def small_parts(tiny_parts):
    """Untrained parts on the wheel's own pictures."""
    from semcom.multimodal import MMSemCom, ResidualDiffusion

    link = MMSemCom(*tiny_parts[:2], ResidualDiffusion(tiny_parts[2], steps=1))
    data = load_captioned("embedded", limit=36)
    return link, data, Judge(JudgeConfig(4, 8)).eval(), LinearLink(data.images, 128)


@pytest.mark.parametrize("claim", MM_CLAIMS, ids=lambda claim: claim.id.split("/")[1])
def test_experiment_of_the_second_system_gives_every_arm_of_its_bars(claim, small_parts, monkeypatch, tmp_path):
    monkeypatch.setattr(_mm, "_parts", lambda _: small_parts)
    monkeypatch.setattr(_mm, "cache_path", lambda _: tmp_path)
    _mm._rows_at.cache_clear()
    judged(claim)
    _mm._rows_at.cache_clear()


def test_rows_of_the_second_system_are_kept_and_their_seconds_count_once(small_parts, monkeypatch, tmp_path):
    counted = []
    monkeypatch.setattr(_mm, "_parts", lambda _: small_parts)
    monkeypatch.setattr(_mm, "cache_path", lambda _: tmp_path)
    monkeypatch.setattr(_mm, "add_seconds", counted.append)
    _mm._rows_at.cache_clear()
    first = _mm._mean(QUICK, 0, (0.0,), "psnr")
    assert sum(counted) == pytest.approx(0)  # the caller's own clock saw them
    _mm._rows_at.cache_clear()
    monkeypatch.setattr(_mm, "_pictures", None)
    np.testing.assert_array_equal(_mm._mean(QUICK, 0, (0.0,), "psnr")["random"], first["random"])
    assert sum(counted) > 0
    _mm._rows_at.cache_clear()


def test_rules_see_the_same_candidates_and_the_oracle_is_best(small_parts, monkeypatch):
    monkeypatch.setattr(_mm, "_parts", lambda _: small_parts)
    found = _mm._pictures(36, 0, 5.0)
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
