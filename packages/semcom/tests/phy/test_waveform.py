"""Symbols as samples: found again at any start, frequency, phase and gain, with little loss, or refused."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from ninefold.errors import ArtifactError, InputError
from semcom.baselines import BlockDct
from semcom.carrier import BesideLink
from semcom.links import Recording, load_waveform, save_waveform
from semcom.phy import PilotPattern, Received, Waveform, complex_noise, noise_variance


def recorded(samples, rng, *, snr_db, offset=0.005, bits=8, lead=30_000):
    """What a receiver's file holds: an unknown start and end, a fractional delay, an offset of frequency, 8 bits."""
    shift = np.exp(-2j * np.pi * np.fft.fftfreq(len(samples) + 64) * rng.uniform())
    delayed = np.fft.ifft(np.fft.fft(np.pad(samples, 32)) * shift)
    turned = delayed * np.exp(2j * np.pi * (offset * np.arange(len(delayed)) + rng.uniform()))
    whole = np.concatenate([np.zeros(rng.integers(1, lead)), turned, np.zeros(rng.integers(100, 3000))])
    whole = whole + np.sqrt(noise_variance(snr_db)) * complex_noise((1, len(whole)), rng)[0]
    scaled = whole * (0.25 * 2 ** (bits - 1) / np.sqrt(np.mean(np.abs(whole) ** 2) / 2))
    top = 2 ** (bits - 1) - 1
    return np.clip(np.round(scaled.real), -top, top) + 1j * np.clip(np.round(scaled.imag), -top, top)


def test_loss_is_below_half_a_decibel_and_every_payload_whole_or_refused():
    """40 recordings: unknown start, 5 kHz at 1 Msample/s, 8 bits; the loss is that of the symbols' error."""
    rng, waveform, link = np.random.default_rng(0), Waveform(), BesideLink(BlockDct(1 / 12))
    picture, payload = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8), rng.bytes(300)
    symbols = link.send([picture], payload)[0]
    whole, lost = 0, []
    for trial in range(40):
        snr = (2.0, 4.0, 6.0, 10.0)[trial % 4]
        heard = recorded(waveform.modulate(symbols), rng, snr_db=snr, offset=0.005 * (-1) ** (trial // 4))
        found, noise = waveform.demodulate(heard, len(symbols))
        gain = np.vdot(symbols, found) / np.vdot(symbols, symbols)
        lost.append(snr - 10 * np.log10(np.abs(gain) ** 2 / np.mean(np.abs(found - gain * symbols) ** 2)))
        equal = Received((found / (1 + noise)).astype(np.complex64)[None], np.full((1, 1), noise, np.float32))
        got = link.receive(equal, [(48, 64)])
        assert got.payload in (None, payload)
        whole += got.payload == payload
    assert np.mean(lost) < 0.2
    assert np.max(lost) < 0.5
    assert whole >= 29  # of 30: the code needs more than 2 dB


def test_a_receiver_s_own_header_tells_the_type_and_must_agree_in_the_rate(rng, tmp_path):
    sent = Recording(complex_noise((1, 300), rng), "hash", [(1, 1)], about={"symbols": 300})
    save_waveform(sent, tmp_path / "sent", rate=2e6)
    heard = tmp_path / "heard.sigmf-data"
    heard.write_bytes((tmp_path / "sent" / "symbols.sigmf-data").read_bytes())
    for rate, kind, named in ((2e6, "cf32_le", ""), (1e6, "cf32_le", "sample rate"), (2e6, "ri8", "datatype")):
        about = {"global": {"core:datatype": kind, "core:sample_rate": rate}}
        heard.with_suffix(".sigmf-meta").write_text(json.dumps(about))
        if named:
            with pytest.raises(InputError, match=named):
                load_waveform(heard, tmp_path / "sent")
        else:
            np.testing.assert_allclose(load_waveform(heard, tmp_path / "sent").symbols, sent.symbols, atol=0.05)
    heard.with_suffix(".sigmf-meta").write_text("[]")
    with pytest.raises(ArtifactError, match="no SigMF header"):
        load_waveform(heard, tmp_path / "sent")


@pytest.mark.parametrize("offset", [0.0, 0.0085, -0.012, 1 / 64, 0.03, -0.055])
@pytest.mark.parametrize("snr", [0.0, 20.0])
def test_a_carrier_is_found_within_a_twentieth_of_the_rate(offset, snr, rng):
    """At 1 Msample/s and 433 MHz 20 ppm are 8.7 kHz, at 2.4 GHz 48 kHz."""
    waveform, symbols = Waveform(), complex_noise((1, 3000), rng)[0]
    heard = recorded(waveform.modulate(symbols), rng, snr_db=snr, offset=offset, lead=3000)
    found, _ = waveform.demodulate(heard, 3000)
    gain = np.vdot(symbols, found) / np.vdot(symbols, symbols)
    assert abs(gain) == pytest.approx(1, abs=0.15)
    assert np.mean(np.abs(found - gain * symbols) ** 2) < 1.3 * noise_variance(snr) + 0.01


def test_a_carrier_beyond_is_refused_and_no_noise_is_handed_out(rng):
    waveform, symbols = Waveform(), complex_noise((1, 3000), rng)[0]
    heard = recorded(waveform.modulate(symbols), rng, snr_db=20.0, offset=0.09, lead=3000)
    with pytest.raises(InputError, match=r"no preamble.*twentieth"):
        waveform.demodulate(heard, 3000)


@pytest.mark.parametrize("scale", [1e-30, 1e-6, 1e30])
def test_loudness_does_not_matter(scale, rng):
    waveform, symbols = Waveform(), complex_noise((1, 500), rng)[0]
    found, _ = waveform.demodulate((scale * waveform.modulate(symbols)).astype(np.complex64), 500)
    np.testing.assert_allclose(found, symbols, atol=0.05)


def test_a_long_recording_is_searched_part_by_part(rng, monkeypatch):
    waveform, symbols = Waveform(), complex_noise((1, 300), rng)[0]
    heard = recorded(waveform.modulate(symbols), rng, snr_db=10.0)
    whole, _ = waveform.demodulate(heard, 300)
    monkeypatch.setattr("semcom.phy._waveform._CHUNK", 1000)
    parts, _ = waveform.demodulate(heard, 300)
    np.testing.assert_allclose(parts, whole, atol=1e-4)


@pytest.mark.parametrize("count", [1, 7, 2048, 2049, 9000])
def test_any_number_of_symbols_comes_back(count, rng):
    waveform, symbols = Waveform(), complex_noise((1, count), rng)[0]
    samples = waveform.modulate(symbols)
    assert len(samples) == 4 * (count + waveform.overhead(count) - 1) + len(waveform.pulse)
    found, noise = waveform.demodulate(samples, count)
    np.testing.assert_allclose(found, symbols, atol=0.05)
    assert noise < 1e-3


def test_noise_and_cut_recordings_are_refused(rng):
    waveform = Waveform()
    with pytest.raises(InputError, match="no preamble"):
        waveform.demodulate(complex_noise((1, 20_000), rng)[0], 500)
    samples = waveform.modulate(complex_noise((1, 9000), rng)[0])
    with pytest.raises(InputError, match="end of the last frame"):
        waveform.demodulate(samples[:20_000], 9000)
    with pytest.raises(InputError, match="finite"):
        waveform.demodulate(np.full(9000, np.nan), 10)
    with pytest.raises(InputError, match="waveform"):
        Waveform(samples=1)


@pytest.mark.parametrize("datatype", ["cf32_be", "ci16_be", "ci8"])
def test_other_byte_orders_and_signed_bytes_are_read_as_sigmf_names_them(datatype, rng, tmp_path):
    symbols = complex_noise((1, 900), rng)
    sent = Recording(symbols, "m", [(8, 8)], about={"symbols": 900})
    save_waveform(sent, tmp_path / "wave", datatype=datatype)
    (tmp_path / "heard.raw").write_bytes((tmp_path / "wave" / "symbols.sigmf-data").read_bytes())
    for found in (load_waveform(tmp_path / "wave"), load_waveform(tmp_path / "heard.raw", tmp_path / "wave", datatype)):
        assert np.mean(np.abs(found.symbols - symbols) ** 2) < 1e-3


def test_endings_of_receivers_tell_the_type_and_what_is_wrong_is_said(rng, tmp_path):
    sent = Recording(complex_noise((1, 300), rng), "m", [(8, 8)], about={"symbols": 300})
    save_waveform(sent, tmp_path / "wave")
    sent.save(tmp_path / "sent")
    data = (tmp_path / "wave" / "symbols.sigmf-data").read_bytes()
    for name in ("RX 433.9 MHz.CF32", "rx.cfile", "rx.fc32"):
        (tmp_path / name).write_bytes(data)
        np.testing.assert_allclose(load_waveform(tmp_path / name, tmp_path / "sent").symbols, sent.symbols, atol=0.05)
    with pytest.raises(InputError, match="--like"):
        load_waveform(tmp_path / "rx.cfile")
    with pytest.raises(ArtifactError, match="holds symbols"):
        load_waveform(tmp_path / "sent")
    (tmp_path / "rx.iq").write_bytes(data)
    with pytest.raises(InputError, match=r"ending.*--type: cf32_le"):
        load_waveform(tmp_path / "rx.iq", tmp_path / "sent")
    (tmp_path / "two.sigmf-data").write_bytes(data)
    header = {"core:datatype": "cf32_le", "core:num_channels": 2}
    (tmp_path / "two.sigmf-meta").write_text(json.dumps({"global": header}))
    with pytest.raises(InputError, match="channels"):
        load_waveform(tmp_path / "two.sigmf-data", tmp_path / "sent")
    np.array([1, np.nan] * 9000, "<f4").tofile(tmp_path / "nan.cf32")
    with pytest.raises(InputError, match="NaN or infinity at sample 0"):
        load_waveform(tmp_path / "nan.cf32", tmp_path / "sent")


@pytest.mark.parametrize("datatype", ["cf32_le", "ci16_le", "cu8"])
def test_folders_and_files_of_any_name_give_the_symbols(datatype, rng, tmp_path):
    symbols = complex_noise((1, 3000), rng)
    sent = Recording(symbols, "m", [(8, 8)], {"system": "mm"}, PilotPattern(64, 2), {"symbols": 3000})
    sent.save(tmp_path / "sent")
    count = save_waveform(sent, tmp_path / "wave", datatype=datatype, rate=2e6)
    header = json.loads((tmp_path / "wave" / "symbols.sigmf-meta").read_text())["global"]
    assert (header["core:datatype"], header["core:sample_rate"]) == (datatype, 2e6)
    data = tmp_path / "wave" / "symbols.sigmf-data"
    assert data.stat().st_size == count * {"cf32_le": 8, "ci16_le": 4, "cu8": 2}[datatype]
    capture = tmp_path / f"my capture 7.{datatype.removesuffix('_le')}"
    capture.write_bytes(data.read_bytes())
    for found in (load_waveform(tmp_path / "wave"), load_waveform(capture, tmp_path / "sent")):
        assert np.mean(np.abs(found.symbols - symbols) ** 2) < (1e-3 if datatype == "cu8" else 2e-4)
        assert (found.sizes, found.link, found.pilots) == (sent.sizes, sent.link, sent.pilots)
    with pytest.raises(ArtifactError, match="waveform"):
        Recording.load(tmp_path / "wave")
    capture.write_bytes(data.read_bytes()[:-1] if datatype != "cu8" else b"")
    with pytest.raises(ArtifactError, match="truncated"):
        load_waveform(capture, tmp_path / "sent")
    np.testing.assert_allclose(load_waveform(data, tmp_path / "sent").symbols, found.symbols, atol=0.1)
    (tmp_path / "radio.bin").write_bytes(data.read_bytes())
    with pytest.raises(InputError, match="datatype"):
        load_waveform(tmp_path / "radio.bin", tmp_path / "sent")
    with pytest.raises(ArtifactError, match="not there"):
        load_waveform(tmp_path / "none.cu8", tmp_path / "sent")


FLOW = """
import sys
from gnuradio import blocks, channels, gr

class Flow(gr.top_block):
    def __init__(self, source, sink):
        super().__init__()
        air = channels.channel_model(noise_voltage=0.1, frequency_offset=0.004, epsilon=1.0, taps=[1.0])
        size = gr.sizeof_gr_complex
        self.connect(blocks.file_source(size, source), air, blocks.file_sink(size, sink))

Flow(sys.argv[1], sys.argv[2]).run()
"""


def test_a_flow_graph_of_gnu_radio_sends_and_receives(rng, tmp_path):
    pythons = ["/usr/bin/python3", sys.executable]
    able = [
        one for one in pythons if subprocess.run([one, "-c", "import gnuradio"], capture_output=True).returncode == 0
    ]
    if not able:
        pytest.skip("GNU Radio is not installed (Debian: apt-get install gnuradio)")
    symbols = complex_noise((1, 5000), rng)
    sent = Recording(symbols, "m", [(8, 8)], about={"symbols": 5000})
    save_waveform(sent, tmp_path / "wave")
    capture = tmp_path / "capture.cf32"
    words = [able[0], "-c", FLOW, tmp_path / "wave" / "symbols.sigmf-data", capture]
    subprocess.run(words, check=True, timeout=120)
    found = load_waveform(capture, tmp_path / "wave")
    assert np.mean(np.abs(found.symbols - symbols) ** 2) < 0.05


@pytest.mark.parametrize(
    ("name", "value"),
    [("semcom:about", 1.5), ("semcom:about", True), ("semcom:waveform", {"samples": 10**30}),
     ("semcom:waveform", {"preamble": 1 << 40}), ("semcom:waveform", {"sync": "x"})],
)  # fmt: skip
def test_headers_that_make_no_sense_are_refused(name, value, rng, tmp_path):
    save_waveform(Recording(complex_noise((1, 50), rng), "m", [(8, 8)]), tmp_path / "wave")
    path = tmp_path / "wave" / "symbols.sigmf-meta"
    meta = json.loads(path.read_text())
    meta["global"] |= {name: value}
    path.write_text(json.dumps(meta))
    with pytest.raises((ArtifactError, InputError)):
        load_waveform(tmp_path / "wave")
