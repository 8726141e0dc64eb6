"""Symbol files: two sides that share nothing but the folder and the model."""

from __future__ import annotations

import json

import numpy as np
import pytest
from ninefold.errors import ArtifactError
from semcom.datasets import load
from semcom.links import Recording
from semcom.models import load_mae
from semcom.paper import CarrierImageLink, LinkConfig, link_of, play, record
from semcom.phy import Channel, PilotPattern

DATA, META = "symbols.sigmf-data", "symbols.sigmf-meta"


@pytest.fixture(scope="module")
def link():
    return CarrierImageLink(load_mae("mae-32p4"), key="k")


@pytest.fixture
def folder(tmp_path, link):
    recording, _ = record(link, list(load("embedded")[:8]), b"bytes")
    recording.save(tmp_path / "sent")
    return tmp_path / "sent"


def received(folder, **more):
    recording = Recording.load(folder)
    settings = {"model": "mae-32p4", "key": "k", "settings": {}, **more}
    return play(link_of(recording, folder, **settings), recording, folder)


def edit(folder, change):
    path = folder / META
    header = json.loads(path.read_text())
    change(header["global"])
    path.write_text(json.dumps(header))


def test_file_holds_as_many_bytes_as_symbols_are_reported(folder):
    about = json.loads((folder / META).read_text())["global"]["semcom:about"]
    assert (folder / DATA).stat().st_size / 8 == about["symbols"] == about["tiles"] * about["report"]["symbols"]
    samples = np.fromfile(folder / DATA, "<c8")
    assert np.mean(np.abs(samples) ** 2) == pytest.approx(about["report"]["energy"], rel=1e-4)


@pytest.mark.parametrize("form", ["enum", "implicit"])
def test_files_of_pictures_that_differ_in_masked_patches_alone_are_the_same_byte_for_byte(form, link, tmp_path):
    sender = CarrierImageLink(link.model, LinkConfig(sparse=form), key="k")
    tiles = load("embedded")[:8]
    masks = sender.transmit(tiles, b"bytes").masks.reshape(-1, 8, 8).repeat(4, axis=1).repeat(4, axis=2)
    other = tiles.copy()
    other[masks] = 255 - other[masks]
    for name, pictures in (("one", tiles), ("two", other)):
        record(sender, list(pictures), b"bytes")[0].save(tmp_path / name)
    for file in (DATA, META):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_header_of_version_sizes_and_model_alone_is_enough(folder):
    def cut(header):
        for name in set(header) - {"semcom:format_version", "semcom:sizes", "semcom:model"}:
            del header[name]

    (folder / "ninefold.json").unlink()
    edit(folder, cut)
    played = received(folder)
    assert played.payload == b"bytes"
    assert len(played.pictures) == 8


def test_settings_pilots_and_odd_sizes_travel(tmp_path):
    config = LinkConfig(mask_ratio=0.6, select=2, fec="ldpc:1/3")
    link = CarrierImageLink(load_mae("mae-32p4"), config, key="k")
    big = np.random.default_rng(0).integers(0, 256, (70, 45, 3), dtype=np.uint8)
    recording, sent = record(link, [big, load("embedded")[0]], b"payload", PilotPattern(64, 2), split=True)
    assert sent.report.pilot_symbols > 0
    recording.symbols = Channel.from_spec("rician:block=66,k=50").distort(
        recording.symbols, 14.0, np.random.default_rng(1)
    )
    recording.save(tmp_path / "sent")
    played = received(tmp_path / "sent")
    assert played.payload == b"payload"
    assert [picture.shape for picture in played.pictures] == [(70, 45, 3), (32, 32, 3)]


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (lambda f: (f / DATA).write_bytes((f / DATA).read_bytes()[:-8]), "SHA-512"),
        (lambda f: (f / DATA).write_bytes((f / DATA).read_bytes()[:-3]), "whole number"),
        (lambda f: (f / DATA).write_bytes(b""), "0 bytes"),
        (lambda f: (f / DATA).unlink(), "not there"),
        (lambda f: (f / META).write_text("PK"), "damaged"),
        (lambda f: (f / META).write_text('{"global": {"core:datatype": "cf32_le"}}'), "no header that semcom wrote"),
        (lambda f: edit(f, lambda h: h.update({"semcom:format_version": 9})), "newer"),
        (lambda f: edit(f, lambda h: h.update({"semcom:sizes": [[0, 3]]})), "sizes"),
        (lambda f: edit(f, lambda h: h.update({"semcom:sizes": [[32, 32]] * 9})), "9 tiles"),
        (lambda f: edit(f, lambda h: h.update({"semcom:model": "0" * 64})), "sent with a model"),
        (lambda f: edit(f, lambda h: h.update({"core:datatype": "ci16_le"})), "ci16_le"),
        (lambda f: edit(f, lambda h: h.update({"semcom:link": {"mask_ratio": 0.9}})), "truncated, or other settings"),
        (lambda f: edit(f, lambda h: h.update({"semcom:link": {"system": "mm"}})), "recording of `mm send`, not"),
        (lambda f: edit(f, lambda h: h.update({"semcom:about": [1]})), "semcom:about is a list"),
        (lambda f: edit(f, lambda h: h.update({"semcom:about": "text"})), "semcom:about is a str"),
    ],
)
def test_damaged_foreign_and_newer_files_are_refused_by_name(folder, damage, named):
    damage(folder)
    with pytest.raises(ArtifactError, match=named):
        received(folder)


def test_symbols_that_are_not_finite_are_refused(folder):
    samples = np.fromfile(folder / DATA, "<c8")
    samples[77] = np.nan
    samples.tofile(folder / DATA)
    edit(folder, lambda header: header.pop("core:sha512"))
    with pytest.raises(ArtifactError, match="symbol 77"):
        received(folder)


def test_wrong_key_is_no_payload(folder):
    played = received(folder, key="other")
    assert played.payload is None
    assert "another key" in played.reason


def test_what_semcom_did_not_write_is_not_replaced(folder, link):
    recording = Recording.load(folder)
    with pytest.raises(ArtifactError, match="exists already"):
        recording.save(folder)
    recording.save(folder, force=True)
    (folder / "precious.txt").write_text("mine")
    with pytest.raises(ArtifactError, match=r"precious\.txt"):
        recording.save(folder, force=True)


def test_a_path_that_is_not_there_is_not_the_recording_beside_it(folder):
    with pytest.raises(ArtifactError, match="is not there"):
        Recording.load(folder / "no-such-folder")


@pytest.mark.parametrize("name", ["symbols", "capture 7"])
@pytest.mark.parametrize("suffix", [".sigmf-meta", ".sigmf-data"])
def test_either_file_of_a_recording_of_any_name_is_enough(name, suffix, folder):
    for file in (DATA, META):
        (folder / file).rename((folder / name).with_suffix(file[-11:]))
    assert Recording.load((folder / name).with_suffix(suffix)).symbols.size > 0


@pytest.mark.parametrize("tiles", [0, -2, "x", 7, True, None])
def test_a_count_of_tiles_that_cannot_be_is_refused(tiles, folder):
    edit(folder, lambda header: header["semcom:about"].update(tiles=tiles))
    with pytest.raises(ArtifactError, match="tiles in its header"):
        Recording.load(folder).rows(folder)
