"""The link: what is counted, what the receiver may know, and that it chooses what was sent."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from ninefold.errors import ArtifactError, InputError
from semcom.datasets import load_captioned
from semcom.links import Recording
from semcom.models import load_jscc, load_mae
from semcom.multimodal import MMConfig, MMSemCom, ResidualDiffusion, mm_link_of, play_pictures, record_pictures
from semcom.paper import CarrierImageLink, record
from semcom.phy import Channel, PilotPattern, power


@pytest.fixture(scope="module")
def data():
    return load_captioned("embedded", limit=6)


COLOURS = {"red": (1, 0, 0, 0), "blue": (0, 1, 0, 0)}


class Colours:
    """Text features that look at the mean colour, and know its names: a stand-in with perfect sight."""

    dim = 4

    def embed_text(self, captions):
        return np.array([COLOURS.get(text, (0, 0, 1, 0)) for text in captions], np.float32)

    def embed_images(self, images, max_batch=256):
        mean = images.astype(np.float32).mean(axis=(1, 2))
        vectors = np.stack([mean[:, 0], mean[:, 2], np.full(len(mean), 1e-3), np.zeros(len(mean))], axis=1)
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_all_symbols_are_counted_and_have_unit_power(tiny_link, data):
    link = tiny_link()
    sent = link.transmit(data.images, data.captions, 5.0)
    assert sent.symbols.shape == (6, 128)
    assert (sent.report.latent_symbols, sent.report.text_symbols, sent.report.symbols) == (120, 8, 128)
    assert sent.report.bandwidth_ratio == pytest.approx(1 / 24)
    np.testing.assert_allclose(power(sent.symbols), 1, rtol=1e-4)
    coded = tiny_link(MMConfig(text="caption", text_size=8))
    assert coded.report.symbols == 128
    assert coded.report.latent_symbols == 128 - coded.text.symbols
    with pytest.raises(InputError, match="room for a picture"):
        tiny_link(MMConfig(symbols=8))
    with pytest.raises(InputError, match="coder's own"):
        tiny_link(MMConfig(symbols=400))


def test_true_picture_among_eight_is_chosen_at_20_db(tiny_parts):
    pictures = load_captioned("embedded")
    rng = np.random.default_rng(5)
    place = rng.integers(0, 8, len(pictures.images))

    def candidates(request):
        noise = rng.normal(0, 12, (len(request.rows), 8, 32, 32, 3))
        made = np.clip(pictures.images[request.rows][:, None] + noise, 0, 255).round().astype(np.uint8)
        made[np.arange(len(made)), place[request.rows]] = pictures.images[request.rows]
        return made

    link = MMSemCom(load_jscc("adjscc-c8"), tiny_parts[1], candidates, MMConfig(symbols=128))
    sent = link.transmit(pictures.images, pictures.captions, 20.0)
    received = Channel().apply(sent.symbols, 20.0, np.random.default_rng(0))
    for rule in ("image", "multimodal"):
        found = link.receive(received, 20.0, select=rule)
        assert (found.index == place).mean() >= 0.95, rule


def test_swapped_captions_fool_text_alone_and_leave_image_alone(tiny_parts):
    shades = np.random.default_rng(0).integers(150, 250, 12)
    red, blue = np.zeros((2, 12, 32, 32, 3), np.uint8)
    red[..., 0], blue[..., 2] = shades[:, None, None], shades[:, None, None]
    pair = np.stack([red, blue], axis=1)
    link = MMSemCom(tiny_parts[0], Colours(), lambda request: pair[request.rows], MMConfig(symbols=64))
    answers = {}
    for words in ("red", "blue"):
        sent = link.transmit(red, [words] * 12, 10.0)
        received = Channel().apply(sent.symbols, 10.0, np.random.default_rng(1))
        answers[words] = {
            rule: link.receive(received, 10.0, num_candidates=2, select=rule).index for rule in ("text", "image")
        }
    assert (answers["red"]["text"] == 0).mean() >= 0.9
    assert (answers["blue"]["text"] == 0).mean() <= 0.1
    np.testing.assert_array_equal(answers["red"]["image"], answers["blue"]["image"])


def test_candidates_do_not_depend_on_their_batch(tiny_parts, tiny_link, data):
    whole, parts = tiny_link(max_batch=64), tiny_link(max_batch=3)
    sent = whole.transmit(data.images, data.captions, 3.0)
    received = Channel().apply(sent.symbols, 3.0, np.random.default_rng(0))
    one = whole.receive(received, 3.0, num_candidates=4, seed=9)
    two = parts.receive(received, 3.0, num_candidates=4, seed=9)
    assert np.abs(one.evidence.candidates.astype(int) - two.evidence.candidates).max() <= 1
    alone = whole.receive(received, 3.0, num_candidates=1, seed=9, select="first")
    assert np.abs(alone.images.astype(int) - one.evidence.candidates[:, 0]).max() <= 1
    other = whole.receive(received, 3.0, num_candidates=4, seed=10)
    assert not np.array_equal(other.evidence.candidates, one.evidence.candidates)
    coarse = whole.receive(received, 3.0, num_candidates=0)
    np.testing.assert_array_equal(coarse.images, one.coarse)


def test_bfloat16_draws_nearly_the_same_candidates(tiny_parts, tiny_link, data):
    sent = tiny_link().transmit(data.images, data.captions, 3.0)
    received = Channel().apply(sent.symbols, 3.0, np.random.default_rng(0))
    made = [
        tiny_link(generator=ResidualDiffusion(tiny_parts[2], steps=2, bfloat16=bfloat16))
        .receive(received, 3.0, num_candidates=2)
        .evidence.candidates.astype(float)
        for bfloat16 in (False, True)
    ]
    assert 0 < np.abs(made[0] - made[1]).mean() < 3


def test_text_conditions_the_candidates_only_through_the_channel(tiny_link, data):
    link = tiny_link(MMConfig(text="caption", text_size=8, symbols=200))
    assert link.report.symbols == 200
    sent = link.transmit(data.images, ["a cat"] * 6, 8.0)
    assert (
        link.receive(Channel().apply(sent.symbols, 8.0, np.random.default_rng(0)), 8.0).text.captions == ["a cat"] * 6
    )
    received = Channel().apply(sent.symbols, -12.0, np.random.default_rng(0))
    lost = link.receive(received, -12.0, num_candidates=2)
    assert not lost.text.present.any()
    assert not lost.evidence.text_error.any()
    assert np.isfinite(lost.evidence.image_misfit).all()


@pytest.mark.parametrize("spec", ["awgn", "rayleigh:image", "rayleigh:block=16,csi=pilot", "ofdm", "erasure:p=0.9"])
@pytest.mark.parametrize("snr", [-np.inf, 0.0, np.inf])
def test_pictures_come_out_whatever_the_channel_does(spec, snr, tiny_link, data):
    link = tiny_link()
    sent = link.transmit(data.images[:2], data.captions[:2], snr)
    received = Channel.from_spec(spec).apply(sent.symbols, snr, np.random.default_rng(0))
    found = link.receive(received, snr, num_candidates=2)
    assert found.images.shape == (2, 32, 32, 3)
    for values in (found.evidence.image_error, found.evidence.image_misfit, found.evidence.text_error):
        assert np.isfinite(values).all()


def test_missing_captions_send_the_pictures_own_vector(tiny_link, data, tiny_parts):
    link = tiny_link()
    sent = link.transmit(data.images, [None, "", "a cat", None, None, None], np.inf)
    received = Channel().apply(sent.symbols, np.inf, np.random.default_rng(0))
    vectors = link.receive(received, np.inf, num_candidates=0).text.vectors
    np.testing.assert_allclose(vectors[:2] / 4, tiny_parts[1].embed_images(data.images[:2]), atol=1e-4)
    np.testing.assert_allclose(vectors[2] / 4, tiny_parts[1].embed_text(["a cat"])[0], atol=1e-4)


def test_link_is_saved_and_loaded(tiny_link, data, tmp_path):
    link = tiny_link()
    link.save_pretrained(tmp_path / "link")
    again = MMSemCom.from_pretrained(tmp_path / "link", sampler={"steps": 2})
    assert again.model_hash == link.model_hash
    sent, other = (one.transmit(data.images, data.captions, 6.0) for one in (link, again))
    np.testing.assert_array_equal(sent.symbols, other.symbols)
    received = Channel().apply(sent.symbols, 6.0, np.random.default_rng(2))
    one, two = (x.receive(received, 6.0, num_candidates=2) for x in (link, again))
    np.testing.assert_array_equal(one.images, two.images)
    file = tmp_path / "link" / "clip.safetensors"
    file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(ArtifactError, match=r"clip\.safetensors"):
        MMSemCom.from_pretrained(tmp_path / "link")
    with pytest.raises(InputError, match=r"mm-32.*train features"):
        MMSemCom.from_pretrained(tmp_path / "none")


@pytest.fixture
def air(tiny_link, data, tmp_path):
    """(link, folder of a recording of pictures of odd sizes)."""
    link = tiny_link()
    link.save_pretrained(tmp_path / "link")
    pictures = [np.tile(data.images[0], (2, 2, 1))[:50, :40], data.images[1]]
    recording, sent = record_pictures(link, pictures, ["a cat", None], PilotPattern(32, 2), snr_db=8.0)
    assert sent.report.pilot_symbols == 8
    recording.symbols = Channel().distort(recording.symbols, 8.0, np.random.default_rng(0))
    recording.save(tmp_path / "air")
    return link, tmp_path / "air"


def test_caption_written_into_the_header_changes_nothing(air):
    link, folder = air
    before = play_pictures(link, Recording.load(folder), folder, num_candidates=2)
    assert [picture.shape for picture in before.pictures] == [(50, 40, 3), (32, 32, 3)]
    file = folder / "symbols.sigmf-meta"
    header = json.loads(file.read_text())
    assert "cat" not in file.read_text()
    header["global"]["semcom:about"]["captions"] = ["a dog", "a ship"]
    header["global"]["core:description"] = "a dog"
    file.write_text(json.dumps(header))
    after = play_pictures(link, Recording.load(folder), folder, num_candidates=2)
    for one, two in zip(before.pictures, after.pictures, strict=True):
        np.testing.assert_array_equal(one, two)
    assert before.tiles == after.tiles


def test_foreign_damaged_and_short_recordings_are_refused(air, tiny_link, tiny_parts, tmp_path):
    link, folder = air
    recording = Recording.load(folder)
    assert mm_link_of(recording, folder, tmp_path / "link").model_hash == link.model_hash
    with pytest.raises(ArtifactError, match="hash"):
        play_pictures(link, replace(recording, model="0" * 64), folder)
    with pytest.raises(ArtifactError, match="truncated"):
        play_pictures(link, replace(recording, symbols=recording.symbols[:, :-7]), folder)
    with pytest.raises(ArtifactError, match="rows"):
        play_pictures(link, replace(recording, symbols=np.tile(recording.symbols, (1, 2))), folder)
    with pytest.raises(ArtifactError, match="design SNR"):
        play_pictures(link, replace(recording, link={"system": "mm"}), folder)
    for bad in ({**recording.link, "symbols": "many"}, {**recording.link, "magic": 1}):
        with pytest.raises(ArtifactError, match="makes no sense"):
            mm_link_of(replace(recording, link=bad), folder, tmp_path / "link")
    other, _ = record(CarrierImageLink(load_mae("mae-32p4")), [np.zeros((32, 96, 3), np.uint8)], b"")
    with pytest.raises(ArtifactError, match="carrier send"):
        mm_link_of(other, folder, tmp_path / "link")
    symbols = recording.symbols.copy()
    symbols[0, 5] = np.nan
    with pytest.raises(InputError, match="NaN"):
        play_pictures(link, replace(recording, symbols=symbols), folder)


def test_bad_arguments_are_named(tiny_link, data):
    link = tiny_link()
    received = Channel().apply(link.transmit(data.images).symbols, 5.0, np.random.default_rng(0))
    with pytest.raises(InputError, match="num_candidates"):
        link.receive(received, num_candidates=-1)
    with pytest.raises(InputError, match="oracle"):
        link.receive(received, num_candidates=2, select="oracle")
    with pytest.raises(InputError, match="127 a picture"):
        link.receive(replace(received, symbols=received.symbols[:, :127]), num_candidates=1)
    with pytest.raises(InputError, match=r"generator.*shape"):
        tiny_link(generator=lambda r: np.zeros((6, 3, 32, 32, 3), np.uint8)).receive(received, num_candidates=2)
    with pytest.raises(InputError, match="32 x 32"):
        link.transmit(np.zeros((1, 16, 16, 3), np.uint8))
    with pytest.raises(InputError, match="captions"):
        link.transmit(data.images, ["a"])
    with pytest.raises(InputError, match="text"):
        MMConfig(text="smoke")
    with pytest.raises(InputError, match="max_batch"):
        tiny_link(max_batch=0)
