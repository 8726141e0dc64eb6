"""The carrier link: forms of the mask, what the receiver gets to know, accounting, bytes over pictures."""

from __future__ import annotations

import math

import numpy as np
import pytest
from ninefold.errors import ArtifactError, InputError
from semcom.datasets import load
from semcom.models import MaeConfig, SmallMae, load_mae
from semcom.paper import FORMS, CarrierImageLink, LinkConfig, MaskCodec
from semcom.paper._sparse import FormSetting, Message
from semcom.phy import Channel, PilotPattern, Received, complex_noise, noise_variance, power

TEXT = b"a short text"


@pytest.fixture(scope="module")
def pictures():
    return load("embedded")[:12]


@pytest.fixture(scope="module")
def model():
    return load_mae("mae-32p4")


def config_of(form, **more):
    return LinkConfig(sparse=form, tap="decoder_embed" if form == "dense" else "encoder", **more)


def heard(link, symbols, snr_db):
    """What a link makes of symbols that no channel touched, at an SNR that its receiver is told."""
    return link.receive(PilotPattern().equalise(symbols, symbols.shape[1], float(noise_variance(snr_db))))


def distance(images, pictures):
    return float(np.mean((images.astype(float) - pictures) ** 2))


@pytest.mark.parametrize("form", FORMS)
def test_payload_and_masks_arrive_in_each_form_without_noise(form, model, pictures):
    link = CarrierImageLink(model, config_of(form))
    sent = link.transmit(pictures, TEXT)
    assert sent.symbols.shape == (12, sent.report.symbols)
    frame = heard(link, sent.symbols, 60)
    assert frame.crc_ok.all()
    assert frame.payload == TEXT
    np.testing.assert_array_equal(frame.mask, sent.masks)


def test_every_form_draws_the_same_picture_from_the_same_mask(model, pictures):
    images = {}
    for form in ("enum", "implicit", "dense"):
        link = CarrierImageLink(model, config_of(form))
        images[form] = heard(link, link.transmit(pictures, TEXT).symbols, math.inf).images
    for form in ("implicit", "dense"):
        assert np.abs(images[form].astype(int) - images["enum"]).max() <= 2, form


def test_the_mode_of_the_publication_carries_the_payload_too(model, pictures):
    link = CarrierImageLink(model, LinkConfig(mode="bitmap"))
    frame = heard(link, link.transmit(pictures, TEXT).symbols, 12)
    assert frame.payload is not None or not frame.crc_ok.all()
    frame = heard(link, link.transmit(pictures, TEXT).symbols, math.inf)
    assert frame.payload == TEXT


@pytest.mark.parametrize("tap", ["encoder", "decoder_embed"])
def test_mean_power_is_the_reported_energy_and_one_in_each_picture(tap, model, pictures):
    sent = CarrierImageLink(model, LinkConfig(tap=tap)).transmit(pictures, TEXT)
    assert sent.report.energy == pytest.approx(float(power(sent.symbols).mean()), abs=1e-6)
    np.testing.assert_allclose(power(sent.symbols), 1, atol=2e-3)


def test_symbols_are_counted_as_the_brief_counts_them(model):
    report = CarrierImageLink(model).report
    assert report.payload_bits == 48
    assert report.mask_symbols == 48 + 16 + 16
    assert report.latent_symbols == 17 * 64
    dense = CarrierImageLink(model, config_of("dense")).report
    assert report.symbols / dense.symbols <= 0.3
    assert CarrierImageLink(model, LinkConfig(select=16)).report.mask_symbols == report.mask_symbols + 4


def test_pictures_that_differ_in_masked_patches_alone_are_the_same_on_the_air(model, pictures):
    link = CarrierImageLink(model, LinkConfig())
    sent = link.transmit(pictures, TEXT)
    grid = sent.masks.reshape(-1, 8, 8).repeat(4, axis=1).repeat(4, axis=2)
    other = pictures.copy()
    other[grid] = 255 - other[grid]
    again = link.transmit(other, TEXT)
    assert again.symbols.tobytes() == sent.symbols.tobytes()
    shown = pictures.copy()
    shown[~grid] = 255 - shown[~grid]
    assert link.transmit(shown, TEXT).symbols.tobytes() != sent.symbols.tobytes()


def test_wrong_key_gives_no_payload(model, pictures):
    sent = CarrierImageLink(model, key="ours").transmit(pictures, TEXT)
    frame = heard(CarrierImageLink(model, key="theirs"), sent.symbols, 20)
    assert frame.payload is None
    assert "another key" in frame.reason
    assert heard(CarrierImageLink(model, key="ours"), sent.symbols, 20).payload == TEXT


def test_low_snr_gives_pictures_and_no_payload(model, pictures):
    link = CarrierImageLink(model)
    received = Channel().apply(link.transmit(pictures, TEXT).symbols, -8.0, np.random.default_rng(0))
    frame = link.receive(received)
    assert frame.payload is None
    assert frame.reason
    assert frame.images.shape == pictures.shape
    assert not frame.crc_ok.any()


@pytest.mark.parametrize("snr", [math.inf, -math.inf])
@pytest.mark.parametrize("form", FORMS)
def test_extreme_snr_gives_finite_pictures(form, snr, model, pictures):
    link = CarrierImageLink(model, config_of(form))
    received = Channel.from_spec("rayleigh:block=64").apply(
        link.send(pictures, _bits(link)), snr, np.random.default_rng(0)
    )
    assert link.recover(received).images.dtype == np.uint8


def test_gain_of_zero_gives_finite_pictures_and_no_payload(model, pictures):
    link = CarrierImageLink(model)
    received = Channel().apply(link.transmit(pictures, TEXT).symbols, 20.0, np.random.default_rng(0))
    symbols, noise = received.symbols.copy(), np.broadcast_to(received.noise, received.symbols.shape).copy()
    symbols[2], noise[2] = 0, 1e12
    frame = link.receive(Received(symbols, noise))
    assert not frame.crc_ok[2]
    assert frame.crc_ok.sum() == len(pictures) - 1
    assert frame.payload is None
    assert 2 in frame.missing
    silent = link.receive(Received(0 * symbols, np.full(symbols.shape, 1e12, np.float32)))
    assert silent.payload is None
    assert silent.images.shape == pictures.shape


def _bits(link, rows=12):
    return np.random.default_rng(0).integers(0, 2, (rows, link.report.payload_bits), dtype=np.uint8)


def test_selection_draws_better_and_carries_the_same_bits(model, pictures):
    plain, chosen = CarrierImageLink(model), CarrierImageLink(model, LinkConfig(select=8))
    errors = []
    for link in (plain, chosen):
        frame = heard(link, link.transmit(pictures, TEXT).symbols, 20)
        assert frame.payload == TEXT
        errors.append(distance(frame.images, pictures))
    assert errors[1] < 0.9 * errors[0]


def test_frames_that_are_dropped_are_named(model):
    pictures, plain = load("embedded")[:30], CarrierImageLink(model)
    sent = plain.transmit(pictures, bytes(range(60)))
    order = np.random.default_rng(0).permutation(30)
    order = np.concatenate([order[~np.isin(order, [3, 7, 8])], order[order < 3]])
    frame = heard(plain, sent.symbols[order], 20)
    assert frame.payload is None
    assert set(frame.missing) == {3, 7, 8} & set(range(sent.carrying))


def test_payload_above_capacity_is_refused_with_numbers_or_split(model, pictures):
    link = CarrierImageLink(model)
    with pytest.raises(InputError, match=r"payload: got 800 bits.*at most 4\d\d bits in 12 pictures of 48.*--split"):
        link.transmit(pictures, bytes(100))
    sent = link.transmit(pictures, bytes(range(100)), split=True)
    assert len(sent.symbols) == sent.carrying == link.splitter.pictures(100)
    assert heard(link, sent.symbols, 20).payload == bytes(range(100))


def test_bad_pictures_and_settings_are_named(model, pictures):
    link = CarrierImageLink(model)
    with pytest.raises(InputError, match="32 x 32"):
        link.transmit(np.zeros((1, 30, 32, 3), np.uint8))
    with pytest.raises(InputError, match="uint8"):
        link.transmit(pictures.astype(float))
    with pytest.raises(InputError, match="pictures: got none"):
        link.transmit(pictures[:0])
    with pytest.raises(InputError, match="select"):
        LinkConfig(select=3)
    with pytest.raises(InputError, match="sparse"):
        LinkConfig(sparse="zip")
    with pytest.raises(InputError, match="tap"):
        LinkConfig(sparse="dense")
    with pytest.raises(InputError, match="bitmap"):
        LinkConfig(sparse="implicit", mode="bitmap")
    with pytest.raises(InputError, match="setting: got 'colour'"):
        LinkConfig.from_meta({"colour": 1})
    with pytest.raises(InputError, match="symbols"):
        heard(link, link.transmit(pictures).symbols[:, :-1], 3)


def test_link_comes_back_from_its_folder(tmp_path, pictures):
    small = SmallMae(MaeConfig(32, 4, 16, 1, 1, 16, 1, 1)).eval()
    link = CarrierImageLink(small, LinkConfig(mask_ratio=0.9, select=2))
    link.save_pretrained(tmp_path / "link")
    again = CarrierImageLink.from_pretrained(tmp_path / "link")
    assert again.config == link.config
    assert again.model_hash == link.model_hash
    assert again.transmit(pictures).symbols.tobytes() == link.transmit(pictures).symbols.tobytes()
    assert CarrierImageLink.from_pretrained(tmp_path / "link", select=4).config.select == 4
    (tmp_path / "link" / "model.safetensors").write_bytes(b"")
    with pytest.raises(ArtifactError, match=r"model\.safetensors"):
        CarrierImageLink.from_pretrained(tmp_path / "link")


def test_link_that_is_replaced_while_it_is_read_comes_whole(tmp_path, monkeypatch):
    old, new = (CarrierImageLink(SmallMae(MaeConfig(32, 4, width, 1, 1, width, 1, 1)).eval()) for width in (16, 32))
    old.save_pretrained(tmp_path / "link")

    def replaced(path):
        monkeypatch.undo()
        new.save_pretrained(tmp_path / "link", force=True)
        return load_mae(path)

    monkeypatch.setattr("semcom.paper._link.load_mae", replaced)
    assert CarrierImageLink.from_pretrained(tmp_path / "link").model_hash == new.model_hash


@pytest.mark.parametrize(("snr", "expected", "margin"), [(-4.0, 0.0057, 0.012), (-5.0, 0.168, 0.065)])
def test_silent_slots_show_the_mask_as_theory_says(snr, expected, margin, rng):
    """196 slots of 384 symbols, the SNR that of the 49 active ones; the brief's set errors, constant token power."""
    codec = MaskCodec(196, 0.75)
    form = FORMS["implicit"](FormSetting(codec, 50, 768))
    noise, wrong, rows = np.float32(197 / 50 * 10 ** (-snr / 10)), [], 50
    for _ in range(6):
        bits = rng.integers(0, 2, (rows, codec.capacity_bits), dtype=np.uint8)
        masks, zeros = codec.encode(bits), np.zeros(rows, np.int64)
        tokens = rng.choice(np.array([-1, 1], np.float32), (rows, 50, 768))
        sent = form.send(Message(masks, bits, zeros, zeros, np.ones(rows)), tokens)
        heard = sent + np.sqrt(noise) * complex_noise(sent.shape, rng)
        found = form.receive(heard, np.full(sent.shape, noise, np.float32)).masks
        wrong.append((found != masks).any(axis=1))
    assert np.mean(wrong) == pytest.approx(expected, abs=margin)


def test_more_tiles_than_sequence_numbers_are_no_limit(model, monkeypatch):
    """With 16 numbers in place of 65,536: 45 tiles, 40 of which carry payload."""
    monkeypatch.setattr("semcom.paper._link.WRAP", 16)
    tiles, link = load("embedded"), CarrierImageLink(model)
    payload = bytes(range(6 * 40 - 15))
    sent = link.transmit(tiles, payload)
    assert sent.carrying == 40
    assert heard(link, sent.symbols, 20).payload == payload
