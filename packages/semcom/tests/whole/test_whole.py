"""Links for whole pictures: sizes, power, what the receiver may know, and rivals against closed forms."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from ninefold.errors import InputError
from PIL import Image
from semcom.baselines import BlockDct, SoftCast
from semcom.datasets import embedded_photographs
from semcom.evaluation import psnr
from semcom.models import JsccCoder, JsccConfig, PictureCoder, PictureConfig, _bands, load_jscc
from semcom.phy import Channel, Received, choose_mcs, complex_noise, mcs_table, torch_noise_equivalent
from semcom.whole import (
    CODECS,
    ChosenLink,
    Codec,
    CodecLink,
    CoderLink,
    JointLink,
    Ladder,
    LayerDesign,
    LayeredLink,
    as_over_awgn,
    carry_picture,
)

SIZES = [(1, 1), (17, 40), (96, 128)]


@pytest.fixture(scope="module")
def tiny():
    torch.manual_seed(0)
    return PictureCoder(PictureConfig(channels=8, width=8, stages=1, context=8, blocks=1)).eval()


@pytest.fixture(scope="module")
def photograph():
    large = Image.fromarray(embedded_photographs()["coffee"]).resize((256, 192), Image.Resampling.BICUBIC)
    return np.asarray(large)


def links(tiny):
    joint = JointLink(tiny)
    yield from (joint, CodecLink("jpeg", 1 / 12), BlockDct(1 / 12), SoftCast(1 / 12), LayeredLink(1 / 12))
    yield ChosenLink(joint, CodecLink("jpeg", 1 / 12))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("snr", [-8.0, 6.0, 40.0])
def test_any_size_and_snr_gives_counted_unit_power_symbols_and_a_picture(size, snr, tiny, rng):
    picture = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    for link in links(tiny):
        sent = link.send(picture, snr)
        assert sent.shape == (link.symbols(*size),), link.name
        assert np.mean(np.abs(sent) ** 2) == pytest.approx(1, rel=3 / np.sqrt(len(sent))), (
            link.name
        )  # QAM of few symbols
        drawn = carry_picture(link, picture, Channel(), snr, rng)
        assert (drawn.shape, drawn.dtype) == (picture.shape, np.uint8), link.name


def test_bandwidth_ratio_is_kept(tiny):
    for link in links(tiny):
        assert link.symbols(96, 128) == 96 * 128 * 3 // 12, link.name


def test_padding_alone_makes_more_symbols_of_the_joint_coder(tiny):
    assert JointLink(tiny).symbols(1, 1) == 16 * 16 * 3 // 12


def test_receiver_survives_an_erased_recording(tiny):
    for link in links(tiny):
        total = link.symbols(32, 32)
        nothing = Received(np.zeros((1, total), np.complex64), np.full((1, total), 1e12, np.float32))
        assert link.recover(nothing, 32, 32, 6.0).shape == (32, 32, 3)


def test_codec_fits_and_falls_off_its_cliff(photograph, rng):
    link = CodecLink("webp", 1 / 6)
    above = carry_picture(link, photograph, Channel(), 6.0, rng)
    assert psnr(above[None], photograph[None])[0] > 28
    below = carry_picture(link, photograph, Channel(), 2.0, rng, assumed_db=6.0)
    assert (below == 128).all()


def test_rates_of_the_table_rise_with_the_snr_and_stay_below_capacity():
    table = mcs_table()
    assert len(table) == 43
    for row in table:
        assert all(row.efficiency < np.log2(1 + 10 ** (snr / 10)) for snr in row.thresholds)
    robust = [row for row in table if row.modulation == "qpsk"]
    assert [row.snr_db for row in robust] == sorted(row.snr_db for row in robust)
    assert choose_mcs(-30.0) == table[0]
    assert choose_mcs(5.0).efficiency == max(row.efficiency for row in table if row.snr_db <= 5.0)


@pytest.mark.parametrize("name", ["4", "12", "20", "2/23", "3/2"])
def test_a_rate_works_at_its_threshold(name, rng):
    row = next(one for one in mcs_table() if one.name == name)
    block = row.transport(20_000)
    bits = rng.integers(0, 2, (8, block.bits), dtype=np.uint8)
    received = Channel().apply(block.send(bits), row.snr_db, rng)
    assert block.receive(received.unbiased, received.noise)[1].all()


def test_ladder_gives_the_largest_version_that_fits(photograph):
    codec = CodecLink("jpeg", 1 / 12).codec
    ladder = Ladder(codec, photograph)
    sizes = [len(ladder.best(most) or b"") for most in (10, 1500, 3000, 9000)]
    assert sizes[0] == 4  # the mean colour
    assert 1200 < sizes[1] <= 1500 < sizes[2] <= 3000 < sizes[3] <= 9000
    shown = codec.decode(ladder.best(9000), *photograph.shape[:2])
    assert psnr(shown[None], photograph[None])[0] > 30


def test_linear_links_improve_by_the_snr_and_softcast_adapts(photograph, rng):
    for link in (BlockDct(1 / 6), SoftCast(1 / 6)):
        scores = [psnr(carry_picture(link, photograph, Channel(), snr, rng)[None], photograph[None])[0]
                  for snr in (0.0, 8.0, 16.0)]  # fmt: skip
        assert scores[0] > 18
        assert np.all(np.diff(scores) > 1.5)


def test_softcast_without_noise_and_with_room_for_all_chunks_is_exact(rng):
    picture = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    drawn = carry_picture(SoftCast(0.7), picture, Channel(), 60.0, rng)
    assert np.abs(drawn.astype(int) - picture).max() <= 3


def test_chosen_link_sends_what_is_better_and_says_which(tiny, photograph, rng):
    joint, codec = JointLink(tiny), CodecLink("jpeg", 1 / 12)
    link = ChosenLink(joint, codec)
    assert not link.prefers_joint(photograph, 8.0)  # the coder is untrained
    drawn = carry_picture(link, photograph, Channel(), 8.0, rng)
    assert psnr(drawn[None], photograph[None])[0] > 20
    forced = ChosenLink(joint, codec, margin_db=-1000)
    assert forced.prefers_joint(photograph, 8.0)
    drawn, alone = (carry_picture(one, photograph, Channel(), 60.0, rng).astype(int) for one in (forced, joint))
    assert np.abs(drawn - alone)[:-16].mean() < 2  # but for the symbols that the flag took


@pytest.mark.parametrize("size", [(224, 160), (33, 500), (496, 16)])
def test_bands_of_a_large_picture_give_what_the_whole_picture_gives(size, tiny, rng, monkeypatch):
    picture = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    with torch.no_grad():  # an untrained context adds nothing: rows beyond the bands would not be missed
        for one in (tiny.encoder_context, tiny.decoder_context):
            for layer in (one.out, *(block.second for block in (*one.before, one.deep))):
                layer.weight.normal_(std=0.1)
    link = JointLink(tiny)
    link._half = False  # float32 on every machine
    sent = link.send(picture, 10.0)
    received = Channel().apply(sent[None], 10.0, rng)
    whole = link.recover(received, *size, 10.0)
    monkeypatch.setattr(_bands, "WHOLE", 0)
    monkeypatch.setattr(_bands, "_BAND", 1)  # eight rows at every stride
    np.testing.assert_allclose(link.send(picture, 10.0), sent, atol=2e-5)
    assert np.abs(link.recover(received, *size, 10.0).astype(int) - whole).max() <= 1


@pytest.mark.parametrize(("size", "last"), [((1024, 1040), True), ((32, 48), False)])
def test_coder_gets_large_pictures_with_channels_last_in_strides_that_say_so(size, last, tiny, monkeypatch):
    found = []

    def encode(images, _snr, channels):  # torch reads the layout from strides, that of the batch among them
        found.append(images.stride())
        return torch.ones(1, channels, images.shape[2] // 4, images.shape[3] // 4)

    monkeypatch.setattr(tiny, "encode", encode)
    JointLink(tiny).send(np.zeros((*size, 3), np.uint8), 6.0)
    values = 3 * size[0] * size[1]
    assert found == [(values, 1, 3 * size[1], 3) if last else (values, values // 3, size[1], 1)]


def test_coder_begins_as_the_tile_coder_it_is_made_of():
    torch.manual_seed(1)
    tiles = JsccCoder(JsccConfig(channels=4, width=16, stages=1)).eval()
    whole = PictureCoder.from_tiles(tiles, PictureConfig(channels=8, width=16, stages=1, context=8, blocks=1)).eval()
    images, snr = torch.rand(2, 3, 32, 32), torch.tensor([3.0, 9.0])
    with torch.inference_mode():
        theirs, ours = tiles.encode(images, snr), whole.encode(images, snr, 4)
        torch.testing.assert_close(ours.flatten(1), theirs)
        torch.testing.assert_close(whole.decode(ours, snr), tiles.decode(theirs, snr, 32, 32))


@pytest.mark.parametrize("ratio", [0.0, 1 / 13, 1 / 96, 0.5])
def test_ratios_that_the_coder_has_not_are_refused(ratio, tiny):
    with pytest.raises(InputError, match=r"ratio|channels"):
        JointLink(tiny, ratio)


@pytest.mark.parametrize("name", CODECS)
def test_few_bytes_are_spent_on_a_smaller_picture_not_on_a_mean_colour(name, photograph):
    """At these sizes the codec's own lowest quality does not fit: half size does (11 and 20 dB on dead leaves)."""
    mean = np.broadcast_to(photograph.mean((0, 1)), photograph.shape).astype(np.uint8)
    codec, flat = Codec(name), psnr(mean[None], photograph[None])[0]
    for most in (200, 300):
        data = Ladder(codec, photograph).best(most)
        assert len(data) <= most
        assert data[0] != 255
        drawn = codec.decode(data, *photograph.shape[:2])
        assert psnr(drawn[None], photograph[None])[0] > flat + 2


@pytest.mark.parametrize("size", [(1, 1), (1, 90), (7, 5), (33, 47)])
@pytest.mark.parametrize("name", CODECS)
def test_smaller_versions_come_back_at_any_size(name, size, rng):
    picture, codec = np.full((*size, 3), 90, np.uint8), Codec(name)
    for most in (4, 12, 40, 100, 400):
        data = Ladder(codec, picture).best(most)
        assert data is None or len(data) <= most
        drawn = codec.decode(data or b"", *size)
        assert drawn.shape == picture.shape
        if data is not None:
            assert np.abs(drawn.astype(int) - 90).max() < 30


def test_rivals_are_coded_for_squared_error(photograph):
    """JPEG 2000 without its colour transform lost 3.9 dB, AVIF with libavif's default tune .2 dB."""
    codec = Codec("jpeg2000")
    drawn = codec.decode(Ladder(codec, photograph).best(6000), *photograph.shape[:2])
    plain = io.BytesIO()
    how = {"no_jp2": True, "irreversible": True, "quality_mode": "rates", "quality_layers": [photograph.size / 6000]}
    Image.fromarray(photograph).save(plain, "JPEG2000", mct=0, **how)
    other = np.asarray(Image.open(plain).convert("RGB"))
    assert psnr(drawn[None], photograph[None])[0] > psnr(other[None], photograph[None])[0] + 1.5


def test_best_is_the_better_of_avif_and_heif_with_one_byte_more(photograph):
    pytest.importorskip("pillow_heif")
    data = {name: Ladder(Codec(name), photograph).best(2500) for name in ("best", "avif", "heif")}
    score = {name: psnr(Codec(name).decode(one, 192, 256)[None], photograph[None])[0] for name, one in data.items()}
    assert len(data["best"]) <= 2500
    assert score["best"] > max(score["avif"], score["heif"]) - 0.1


def test_two_layers_have_two_qualities_and_no_cliff_between(photograph, rng):
    link = LayeredLink(1 / 6, LayerDesign(0.0, 7.5, 0.8))
    scores = [psnr(carry_picture(link, photograph, Channel(), snr, rng)[None], photograph[None])[0]
              for snr in (-4.0, 0.2, 4.0, 7.7, 12.0)]  # fmt: skip
    assert scores[0] < 15 < 20 < scores[1]
    assert scores[1] == scores[2] < scores[3] - 1
    assert scores[3] == scores[4]


@pytest.mark.parametrize("words", [(5.0, 5.0, 0.8), (0.0, 5.0, 0.5), (0.0, 5.0, 1.0)])
def test_layers_that_cannot_be_are_refused(words):
    with pytest.raises(InputError, match="layers"):
        LayerDesign(*words)


@pytest.mark.parametrize("name", CODECS)
def test_codecs_are_rebuilt_from_what_is_sent(name, photograph):
    codec, ladder, scores = Codec(name), Ladder(Codec(name), photograph), []
    for most in (2500, 6000):
        data = ladder.best(most)
        assert data is not None
        assert len(data) <= most
        scores.append(psnr(codec.decode(data, 192, 256)[None], photograph[None])[0])
    assert 20 < scores[0] < scores[1]
    flat = codec.decode(ladder.best(4), 192, 256)  # no version fits
    np.testing.assert_allclose(flat, np.broadcast_to(photograph.mean((0, 1)), flat.shape), atol=0.51)
    assert ladder.best(3) is None
    assert codec.decode(b"\x10\x00\x09nonsense!", 192, 256).shape == (192, 256, 3)
    assert (codec.decode(b"\x10", 192, 256) == 128).all()


def test_jpeg_scan_ends_by_itself_whatever_follows(photograph):
    data = Ladder(Codec("jpeg"), photograph).best(1500)
    drawn = Codec("jpeg").decode(data, 192, 256)
    np.testing.assert_array_equal(Codec("jpeg").decode(data.ljust(1600, b"\0"), 192, 256), drawn)
    assert (Codec("jpeg").decode(bytes(60), 192, 256) == 128).all()  # nothing fitted


@pytest.mark.parametrize("spec", ["awgn", "rayleigh:image", "rayleigh:block=64", "rayleigh:symbol", "ofdm"])
def test_decoders_are_given_what_their_training_gave_them(spec, rng):
    channel, symbols = Channel.from_spec(spec), complex_noise((3, 640), rng)
    received = channel.apply(symbols, 7.0, np.random.default_rng(1))
    reals, snr = as_over_awgn(received)
    noise = torch.from_numpy(np.array(np.broadcast_to(received.noise, symbols.shape)))
    wanted, effective = torch_noise_equivalent(torch.from_numpy(received.symbols), noise)
    np.testing.assert_allclose(reals, wanted.clamp(-20, 20), atol=2e-5)
    np.testing.assert_allclose(snr, effective, atol=1e-4)


@pytest.mark.parametrize("name", ["adjscc-c8", "deepjscc-c8"])
def test_coders_of_one_ratio_do_not_trust_faded_symbols_as_others(name, photograph):
    """Read as if all symbols were as good, they lose a decibel and more in fast fading."""
    link, channel = CoderLink(load_jscc(name)), Channel.from_spec("rayleigh:symbol")
    sent = link.send(photograph, 10.0)[None]
    received = channel.apply(sent, 10.0, np.random.default_rng(0))
    alike = Received(received.unbiased, np.full((1, 1), 1e-9, np.float32))
    drawn = [link.recover(one, 192, 256, 10.0) for one in (received, alike)]
    weighed, trusted = (psnr(one[None], photograph[None])[0] for one in drawn)
    assert weighed > trusted + 1


@pytest.mark.parametrize("name", ["adjscc-c8", "deepjscc-c8"])
def test_coders_of_one_ratio_send_pictures_of_any_multiple_of_four(name, photograph, rng):
    link = CoderLink(load_jscc(name))
    assert link.symbols(192, 256) == 192 * 256 * 3 // 12
    assert psnr(carry_picture(link, photograph, Channel(), 8.0, rng)[None], photograph[None])[0] > 20
    with pytest.raises(InputError, match="multiples of 4"):
        link.send(photograph[:33], 8.0)
