"""Captions and text over the channel: it is counted, it arrives or is absent, and strange captions are defined."""

from __future__ import annotations

import numpy as np
import pytest
from ninefold.errors import InputError
from semcom.datasets import caption, load_captioned
from semcom.multimodal import AnalogText, CaptionText, HubClip, captions_of, checked_captions, read_captions
from semcom.multimodal._captions import cut_text
from semcom.phy import Channel, power

TEXTS = ["a photo of a station wagon", "ein grüner Frosch", "蛙 " * 40, ""]


@pytest.fixture(scope="module")
def towers(tiny_parts):
    return tiny_parts[1]


def test_analog_text_takes_eight_symbols_of_exactly_unit_power(towers):
    form = AnalogText(towers)
    symbols = form.send(towers.embed_text(TEXTS), TEXTS)
    assert symbols.shape == (4, 8)
    np.testing.assert_allclose(power(symbols), 1, rtol=1e-5)


def test_analog_text_is_shrunk_by_its_noise_and_repeats_are_averaged(towers, rng):
    vectors = np.tile(towers.embed_text(TEXTS[:1]), (4000, 1))
    for times in (1, 4):
        form = AnalogText(towers, size=times)
        received = Channel().apply(form.send(vectors, [None] * 4000), 0.0, rng)
        found = form.receive(received.unbiased, np.broadcast_to(received.noise, received.symbols.shape))
        np.testing.assert_allclose(found.noise, 1 / times, rtol=1e-4)
        expected = 4 * vectors[0] / (1 + 1 / times)
        np.testing.assert_allclose(found.vectors.mean(axis=0), expected, atol=0.1)
        assert found.present.all()


def test_coded_text_arrives_or_is_absent(towers, rng):
    form = CaptionText(towers, size=40)
    texts = TEXTS[:2] * 20
    sent = form.send(towers.embed_text(texts), texts)
    assert sent.shape[1] == form.symbols
    good = Channel().apply(sent, 8.0, rng)
    found = form.receive(good.unbiased, np.broadcast_to(good.noise, sent.shape))
    assert found.present.all()
    cosine = (found.vectors * towers.embed_text(texts)).sum(axis=1) / np.linalg.norm(found.vectors, axis=1)
    assert cosine.min() > 0.99
    assert found.captions == texts
    bad = Channel().apply(sent, -10.0, rng)
    lost = form.receive(bad.unbiased, np.broadcast_to(bad.noise, sent.shape))
    assert not lost.present.any()
    assert not lost.vectors.any()
    assert lost.captions == [None] * 40


def test_long_and_foreign_captions_are_cut_after_whole_characters(towers):
    form = CaptionText(towers, size=10)
    found = form.receive(form.send(towers.embed_text(TEXTS), TEXTS), np.full((4, form.symbols), 1e-3, np.float32))
    assert found.captions == ["a photo of", "ein grüne", "蛙 蛙 ", None]
    assert cut_text("aé", 2) == "a"
    assert towers.embed_text(TEXTS).shape == (4, 16)
    np.testing.assert_allclose(np.linalg.norm(towers.embed_text(TEXTS), axis=1), 1, rtol=1e-5)


def test_captions_are_checked():
    assert checked_captions(None, 2) == [None, None]
    assert checked_captions(["  a  cat ", " \n"], 2) == ["a cat", None]
    for bad, what in (
        ("cat", "one text"),
        (["a"], "1 captions"),
        ([1, 2], "picture 0"),
        (["a", "\ud800"], "surrogate"),
    ):
        with pytest.raises(InputError, match=what):
            checked_captions(bad, 2)


def test_caption_files_name_their_faults(tmp_path):
    path = tmp_path / "captions.csv"
    path.write_bytes('\ufefffile,caption\nb.png,"a cat, asleep"\na.png,ein Frosch\n'.encode())
    table = read_captions(path)
    assert captions_of([tmp_path / "a.png", tmp_path / "c.png"], {"a.png": "x"}, path) == ["x", None]
    assert table == {"b.png": "a cat, asleep", "a.png": "ein Frosch"}
    with pytest.raises(InputError, match=r"b\.png"):
        captions_of([tmp_path / "a.png"], table, path)
    for text, what in (
        ("file,text\na,b\n", "no column 'caption'"),
        ("file,caption\n", "no row"),
        ("file,caption\na,b\na,c\n", "row 3.*second time"),
        ("file,caption\na\n", "row 2.*cut off"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=what):
            read_captions(path)
    path.write_bytes(b"file,caption\na,\xff\xfe\n")
    with pytest.raises(InputError, match="UTF-8"):
        read_captions(path)
    with pytest.raises(InputError, match="captions"):
        read_captions(tmp_path / "none.csv")


def test_embedded_pictures_have_captions_and_classes():
    found = load_captioned("embedded")
    assert len(found.images) == len(found.nouns) == len(found.labels) == 45
    assert "a photo of an astronaut" in found.captions
    assert caption("airbus", 1) == "a picture of an airbus"
    with pytest.raises(InputError, match="no captions"):
        load_captioned("kodak")


@pytest.mark.data
def test_cifar_captions_are_the_nouns_of_its_table(tmp_path):
    import csv
    import os
    from pathlib import Path

    from semcom.datasets import load

    root = Path(os.environ.get("NINEFOLD_DATA", str(tmp_path)))
    if not (root / "semcom" / "cifar10-named.csv").exists():
        pytest.skip("cifar10-named.csv is not below NINEFOLD_DATA")
    found = load_captioned("cifar10", "test")
    with (root / "semcom" / "cifar10-named.csv").open() as file:
        table = sorted(
            (row["file"], row["class"], row["noun"]) for row in csv.DictReader(file) if row["split"] == "test"
        )
    assert [found.classes[label] for label in found.labels] == [group for _, group, _ in table]
    assert found.nouns == [noun.lower() for _, _, noun in table]
    np.testing.assert_array_equal(found.images, load("cifar10", "test"))
    assert load_captioned("cifar10", "validation", 20).images.shape == (20, 32, 32, 3)


def _clip_folder(folder):
    import json

    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor, CLIPTokenizer

    folder.mkdir()
    letters = [chr(code) for code in range(97, 123)]
    words = letters + [f"{one}</w>" for one in letters] + ["<|startoftext|>", "<|endoftext|>", "ab"]
    vocabulary = folder.parent / "vocab.json"
    vocabulary.write_text(json.dumps({word: place for place, word in enumerate(words)}))
    (folder.parent / "merges.txt").write_text("#version: 0.2\na b\n")
    tokenizer = CLIPTokenizer(str(vocabulary), str(folder.parent / "merges.txt"), model_max_length=16)
    text = {"vocab_size": 64, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
            "intermediate_size": 16, "max_position_embeddings": 16, "eos_token_id": 53, "bos_token_id": 52}  # fmt: skip
    vision = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16,
              "image_size": 32, "patch_size": 16}  # fmt: skip
    CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=8)).save_pretrained(folder)
    images = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    CLIPProcessor(images, tokenizer).save_pretrained(folder)
    return folder


def test_clip_folders_of_transformers_are_text_features(tmp_path, tiny_parts, tiny_link):
    from semcom.multimodal import MMConfig, MMSemCom

    towers = HubClip.from_folder(_clip_folder(tmp_path / "clip"))
    pictures = load_captioned("embedded", limit=3)
    for found in (towers.embed_text(pictures.captions), towers.embed_images(pictures.images)):
        assert found.shape == (3, 8)
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-5)
    link = MMSemCom(tiny_parts[0], towers, tiny_link().generator, MMConfig())
    assert link.report.text_symbols == 4
    assert link.transmit(pictures.images, pictures.captions).symbols.shape == (3, 128)
    with pytest.raises(InputError, match="hub"):
        link.save_pretrained(tmp_path / "link")


def test_captions_that_are_missing_are_the_captioners(tiny_link):
    pictures = load_captioned("embedded", limit=2)
    sent = tiny_link(captioner=lambda images: ["a red plane"] * len(images)).transmit(pictures.images, ["mine", None])
    assert sent.captions == ["mine", "a red plane"]
