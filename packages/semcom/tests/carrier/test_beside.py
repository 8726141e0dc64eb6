"""The default form: whole pictures and a payload beside them in one row of symbols."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from ninefold.errors import ArtifactError, InputError
from ninefold_testing import run_here
from PIL import Image
from semcom.baselines import BlockDct
from semcom.carrier import BesideLink, beside_link, beside_link_of, play_beside, record_beside
from semcom.datasets import embedded_photographs
from semcom.evaluation import psnr
from semcom.links import Recording
from semcom.phy import Channel, PilotPattern, interleaver


@pytest.fixture(scope="module")
def link():
    return beside_link()


@pytest.fixture
def linear():
    """A link that is quick, for what does not depend on the coder."""
    return BesideLink(BlockDct(1 / 12))


@pytest.fixture(scope="module")
def pictures():
    found = list(embedded_photographs().values())
    return [found[0], found[1][:17, :40], found[2][:1, :1]]


@pytest.mark.parametrize("payload", [b"", b"x", bytes(399), bytes(401), np.random.default_rng(0).bytes(3000)])
def test_pictures_and_payload_arrive(payload, linear, pictures, rng):
    received = Channel().apply(linear.send(pictures, payload), 6.0, rng)
    got = linear.receive(received, [one.shape[:2] for one in pictures])
    assert got.payload == payload
    assert [one.shape for one in got.pictures] == [one.shape for one in pictures]
    assert psnr(got.pictures[0][None], pictures[0][None])[0] > 18


def test_below_the_code_s_threshold_the_payload_is_refused_and_pictures_are_there(linear, pictures, rng):
    payload = rng.bytes(2000)
    silent = 0
    for _ in range(20):
        received = Channel().apply(linear.send(pictures, payload), float(rng.uniform(-12, 0.5)), rng)
        got = linear.receive(received, [one.shape[:2] for one in pictures])
        assert got.payload is None
        assert "check" in got.reason or "header" in got.reason
        silent += got.payload not in (None, payload)
        assert [one.shape for one in got.pictures] == [one.shape for one in pictures]
    assert silent == 0


def test_neither_side_loads_what_it_does_not_need(link, pictures, tmp_path):
    record_beside(link, pictures, b"payload").save(tmp_path / "sent")
    code = (
        "import sys; from semcom.cli import app; app(sys.argv[1:], standalone_mode=False);"
        "assert not {'numba', 'scipy', 'semcom.paper'} & set(sys.modules)"
    )
    words = ["carrier", "recv", str(tmp_path / "sent"), "-o", str(tmp_path / "got")]  # and what a sender needs
    subprocess.run([sys.executable, "-c", code, *words], check=True, stdout=subprocess.DEVNULL)
    assert (tmp_path / "got" / "payload.bin").read_bytes() == b"payload"


def test_an_interleaver_of_a_large_recording_is_not_kept():
    with_memory, without = interleaver(1000), interleaver(1 << 19)
    assert interleaver(1000) is with_memory
    assert interleaver(1 << 19) is not without
    np.testing.assert_array_equal(interleaver(1 << 19), without)


def test_symbols_are_counted(link, pictures):
    recording = record_beside(link, pictures, b"payload", PilotPattern(100, 2))
    report = recording.about["report"]
    parts = report["payload_symbols"] + report["picture_symbols"] + report["pilot_symbols"]
    assert parts == report["symbols"] == recording.symbols.size
    assert report["picture_symbols"] == sum(link.pictures.symbols(*one.shape[:2]) for one in pictures)


def test_recording_goes_through_a_file_and_a_fading_channel(link, pictures, rng, tmp_path):
    recording = record_beside(link, pictures, b"across", PilotPattern(64, 4))
    recording.symbols = Channel.from_spec("rician:block=68,k=30").distort(recording.symbols, 15.0, rng)
    recording.save(tmp_path / "sent")
    kept = Recording.load(tmp_path / "sent")
    got = play_beside(beside_link_of(kept, tmp_path), kept, tmp_path)
    assert got.payload == b"across"
    assert psnr(got.pictures[0][None], pictures[0][None])[0] > 22


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"system": "mm"}, "recording of `mm send`, not of `carrier send`"),
        ({"channels": 5}, "makes no sense"),
        ({"channels": "8"}, "makes no sense"),
        ({"snr": None}, "makes no sense"),
        ({"picture": "oil"}, "makes no sense"),
        ({"fec": "turbo"}, "makes no sense"),
    ],
)
def test_headers_that_make_no_sense_are_refused(change, named, link, pictures, tmp_path):
    recording = record_beside(link, pictures[:1], b"")
    recording.link |= change
    with pytest.raises(ArtifactError, match=named):
        beside_link_of(recording, tmp_path)


def test_another_coder_and_truncated_symbols_are_refused(link, pictures, tmp_path):
    recording = record_beside(link, pictures[:1], b"x")
    recording.symbols = recording.symbols[:, :-2000]
    with pytest.raises(ArtifactError, match="truncated"):
        play_beside(link, recording, tmp_path)
    recording.model = "0" * 64
    with pytest.raises(ArtifactError, match="model of hash"):
        beside_link_of(recording, tmp_path)


def test_samples_near_the_end_of_the_numbers_give_pictures_and_no_warning(link, pictures, tmp_path):
    recording = record_beside(link, pictures[:1], b"x")
    recording.symbols = recording.symbols * np.float32(1e30)
    got = play_beside(link, recording, tmp_path)
    assert got.payload in (None, b"x")
    assert got.pictures[0].shape == pictures[0].shape


def test_mutated_recordings_give_the_right_bytes_or_a_refusal(linear, pictures, rng):
    payload = rng.bytes(500)
    sent = linear.send(pictures[1:], payload)
    sizes = [one.shape[:2] for one in pictures[1:]]
    right = 0
    for trial in range(100):
        symbols = sent.copy()
        kind = trial % 4
        at = int(rng.integers(symbols.size))
        if kind == 0:
            symbols[0, at : at + int(rng.integers(1, 400))] *= -1
        elif kind == 1:
            symbols[0] = np.roll(symbols[0], int(rng.integers(1, 9)))
        elif kind == 2:
            symbols[0, rng.integers(symbols.size, size=int(rng.integers(1, 900)))] = 0
        else:
            symbols = np.delete(symbols, slice(at, at + int(rng.integers(1, 60))), axis=1)
        received = Channel().apply(symbols, 30.0, rng)
        try:
            got = linear.receive(received, sizes)
        except InputError:
            continue
        assert got.payload in (None, payload)
        right += got.payload == payload
    assert right > 16  # small damage is repaired


def test_two_folders_on_the_command_line(tmp_path):
    source = tmp_path / "pictures"
    source.mkdir()
    Image.fromarray(embedded_photographs()["coffee"]).save(source / "coffee.png")
    Image.fromarray(embedded_photographs()["rocket"]).convert("L").save(source / "grey.png")
    (tmp_path / "note.txt").write_bytes(b"beside")

    def call(*words, status=0):
        done = run_here("semcom.cli", *map(str, words), "--json")
        assert done.returncode == status, done.stderr
        return json.loads(done.stdout) if status == 0 else done.stderr

    said = call("carrier", "send", source, "--payload", tmp_path / "note.txt", "-o", tmp_path / "sent")
    assert said["symbols"] == said["payload symbols"] + said["picture symbols"]
    call("channel", "apply", tmp_path / "sent", "--snr", "8", "-o", tmp_path / "air")
    got = call("carrier", "recv", tmp_path / "air", "-o", tmp_path / "got")
    assert got["payload sha256"] == said["payload sha256"]
    assert (tmp_path / "got" / "payload.bin").read_bytes() == b"beside"
    assert len(list((tmp_path / "got").glob("*.png"))) == 2
    call("channel", "apply", tmp_path / "sent", "--snr", "-9", "-o", tmp_path / "deaf")
    line = call("carrier", "recv", tmp_path / "deaf", "-o", tmp_path / "bad", status=2)
    assert "check" in line
    assert not list((tmp_path / "bad").glob("payload*"))
    run = call("carrier", "run", source, "--payload", tmp_path / "note.txt", "--snr", "30", "--channel", "ofdm")
    assert run["same payload"] is True
    assert run["symbols"] == run["payload symbols"] + run["picture symbols"] + run["pilot symbols"]
    assert run["pilot symbols"] > 0
    assert "--key" in call("carrier", "recv", tmp_path / "air", "--key", "k", "-o", tmp_path / "no", status=2)
    assert "one of picture, channels" in call("carrier", "run", source, "--link", "mask_ratio=0.5", status=2)
    assert "--form paper" in call("carrier", "run", source, "--key", "ours", status=2)
    assert "--form" in call("carrier", "run", source, "--form", "oil", status=2)
