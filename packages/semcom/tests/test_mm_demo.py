"""The demo of the second system: what it shows comes from its run, and the short fields say the same as its table."""

from __future__ import annotations

import numpy as np
import pytest
from ninefold.systems import installed
from ninefold_lab.experiments import claims_of
from semcom.datasets import thumbnails
from semcom.demo import _mm, mm_demo


def test_thumbnails_are_small_views_with_captions():
    data = thumbnails()
    assert data.images.shape == (36, 32, 32, 3)
    assert data.captions[0] == "a photo of an astronaut"
    assert np.bincount(data.labels).tolist() == [9] * 4
    assert len({image.tobytes() for image in data.images}) == 34  # a square photograph has one whole view


@pytest.fixture(scope="module")
def shown():
    saved = _mm.SNRS, _mm.EACH, _mm.CANDIDATES
    _mm.SNRS, _mm.EACH, _mm.CANDIDATES = (0.0, 10.0), 2, 3
    yield mm_demo(0)
    _mm.SNRS, _mm.EACH, _mm.CANDIDATES = saved


def test_demo_shows_every_arm_and_its_short_fields_are_the_tables(shown):
    rows = {row[0]: row for row in shown.table.rows}
    assert {
        "multimodal",
        "published",
        "random",
        "oracle",
        "mean",
        "coarse picture",
        "unsharp mask",
        "text only",
    } <= set(rows)
    assert {row[-1] for row in shown.table.rows} == {128}
    arms, name = shown.arms, shown.arms.rival
    assert np.mean(arms.scores["multimodal"]) == pytest.approx(rows["multimodal"][1], abs=0.006)
    assert np.mean(arms.scores[name]) == pytest.approx(rows[name][1], abs=0.006)
    assert rows[name][1] == max(row[1] for arm, row in rows.items() if arm not in ("multimodal", "oracle"))
    assert arms.word in ("no difference", "better" if rows["multimodal"][1] > rows[name][1] else "worse")
    assert rows["oracle"][1] >= max(rows[rule][1] for rule in ("multimodal", "published", "random", "image", "text"))
    assert rows["multimodal"][2] > rows["multimodal"][1]
    for text in (arms.measured, arms.headline(), shown.looking_at, *shown.notes):
        assert text
    assert len(shown.figures) == 3
    assert shown.figures[0][1].get_figwidth() <= 5
    assert f"{rows['unsharp mask'][1]:.1f} dB" in shown.headline
    assert {"multimodal", "published", "oracle", "coarse picture"} <= set(shown.glossary)


def test_both_systems_are_registered():
    names = {row.name: row for row in installed() if row.distribution == "semcom"}
    assert set(names) == {"semcom-carrier", "semcom-mm"}
    assert names["semcom-mm"].system.load_demo() is mm_demo
    claimed = {claim.id for claim in claims_of(names["semcom-mm"])}
    assert claimed == {
        "semcom/multimodal-choice-beats-chance",
        "semcom/generation-helps-at-low-snr",
        "semcom/generation-is-nearer-in-foreign-features",
        "semcom/one-perceptual-pass-is-nearer",
    }
