"""The weights that the package brings: what they are, what they draw, and that a source is told from drawn pictures."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from ninefold.files import digest_file
from semcom.datasets import Captioned, thumbnails
from semcom.models import BUILT_IN, built_in_path, load_judge
from semcom.multimodal import MMSemCom, choose, link_folder
from semcom.phy import Channel

PARTS = ("features", "clip", "diffusion")


@pytest.fixture(scope="module")
def link():
    return MMSemCom.from_pretrained("mm-32")


@pytest.fixture(scope="module")
def data() -> Captioned:
    return thumbnails().taken(np.arange(0, 36, 2))


@pytest.fixture(scope="module")
def evidence(link, data):
    """Eight candidates of each picture at 20 dB, the seventh of which is the picture itself."""
    drawn = link.generator

    def with_truth(request):
        made = drawn(request)
        made[:, 6] = data.images
        return made

    sent = link.transmit(data.images, data.captions, 20.0)
    received = Channel().apply(sent.symbols, 20.0, np.random.default_rng(0))
    link.generator = with_truth
    try:
        return link.receive(received, 20.0).evidence
    finally:
        link.generator = drawn


def test_weights_are_those_of_the_recipes_and_stay_small():
    folder = link_folder("mm-32")
    recipes = json.loads((folder.parent / "recipes.json").read_text(encoding="utf-8"))
    files = {f"mm-32/{part}": folder / f"{part}.safetensors" for part in PARTS}
    files |= {name: built_in_path(name) for name in BUILT_IN}
    assert set(recipes) == set(files)
    for name, file in files.items():
        recipe = recipes[name]
        assert recipe["file"] == digest_file(file), name
        ours = ("semcom train ", "uv run python packages/semcom/experiments/")
        assert all(line.startswith(ours) for line in recipe["commands"]), name
        assert recipe["data"], name
        assert "licence" in recipe, name
    total = sum(file.stat().st_size for file in folder.parent.rglob("*") if file.is_file())
    assert total <= 16_000_000  # 5.3 MB of it the joint coder of whole pictures


def test_link_rival_and_judge_fit_each_other(link):
    assert link.features.coder.symbols(32, 32) == link.report.symbols == 128  # the rival: the coder with all of them
    assert load_judge("judge").config.classes == 10


def test_true_picture_among_eight_is_chosen_by_image_and_by_the_default_rule(evidence):
    for rule in ("image", "multimodal"):
        assert (choose(evidence, rule).index == 6).mean() >= 0.95, rule


def test_candidates_differ_and_are_nearer_to_the_source_than_to_others(link, data):
    sent = link.transmit(data.images, data.captions, 5.0)
    received = Channel().apply(sent.symbols, 5.0, np.random.default_rng(0))
    found = link.receive(received, 5.0, num_candidates=2, seed=1)
    one, two = found.evidence.candidates[:, 0].astype(float), found.evidence.candidates[:, 1].astype(float)
    assert (np.abs(one - two).mean(axis=(1, 2, 3)) > 1).all()
    error = ((one[:, None] - data.images[None]) ** 2).mean(axis=(2, 3, 4))
    assert (error.argmin(axis=1) == np.arange(len(one))).mean() > 0.9


def test_captions_swapped_between_pictures_change_no_bit_of_the_choice_by_image(link, data, evidence):
    fixed = evidence.candidates
    drawn, link.generator = link.generator, lambda request: fixed[: len(request.rows)]
    try:
        answers = []
        for captions in (data.captions, data.captions[::-1]):
            sent = link.transmit(data.images, captions, 20.0)
            received = Channel().apply(sent.symbols, 20.0, np.random.default_rng(1))
            answers.append(link.receive(received, 20.0).evidence)
    finally:
        link.generator = drawn
    np.testing.assert_array_equal(answers[0].image_misfit, answers[1].image_misfit)
    np.testing.assert_array_equal(choose(answers[0], "image").index, choose(answers[1], "image").index)
    assert not np.array_equal(answers[0].text_error, answers[1].text_error)
    bare = replace(answers[0], text_error=np.zeros_like(answers[0].text_error))
    np.testing.assert_array_equal(choose(bare, "likelihood").index, choose(bare, "image").index)
