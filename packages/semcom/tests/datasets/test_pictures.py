"""Pictures: conversions, tiles, named sets."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ninefold.datasets import data_dir
from ninefold.errors import DownloadError, InputError, MissingExtraError
from PIL import Image
from semcom.datasets import (
    count_tiles,
    cut_tiles,
    embedded_photographs,
    find_pictures,
    join_tiles,
    load,
    plug_in,
    read_picture,
)  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 70), st.integers(1, 70)), min_size=1, max_size=4))
def test_pictures_of_any_size_come_back_from_their_tiles(sizes):
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]
    tiles, kept = cut_tiles(pictures, 32)
    assert kept == sizes
    assert len(tiles) == count_tiles(sizes, 32)
    for one, again in zip(pictures, join_tiles(tiles, kept), strict=True):
        np.testing.assert_array_equal(one, again)


def test_conversions_are_right(tmp_path):
    Image.fromarray(np.array([[[10, 20, 30, 255], [10, 20, 30, 0]]], np.uint8)).save(tmp_path / "clear.png")
    np.testing.assert_array_equal(read_picture(tmp_path / "clear.png"), [[[10, 20, 30], [255, 255, 255]]])
    Image.fromarray(np.array([[0, 257, 65535]], np.uint16)).save(tmp_path / "deep.png")
    np.testing.assert_array_equal(read_picture(tmp_path / "deep.png")[0, :, 0], [0, 1, 255])
    turned = Image.new("RGB", (2, 1))
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(tmp_path / "turned.jpg", exif=exif)
    assert read_picture(tmp_path / "turned.jpg").shape == (2, 1, 3)


def test_photograph_with_a_second_view_beside_it_is_its_first(tmp_path):
    views = [Image.new("RGB", (4, 3), colour) for colour in ("red", "blue")]
    views[0].save(tmp_path / "telephone.jpg", "MPO", save_all=True, append_images=views[1:])
    assert read_picture(tmp_path / "telephone.jpg")[0, 0].argmax() == 0


@pytest.mark.filterwarnings("error")
def test_floats_that_are_no_numbers_are_refused(tmp_path):
    Image.fromarray(np.array([[np.nan, 0.5]], np.float32)).save(tmp_path / "depth.tif")
    with pytest.raises(InputError, match=r"depth\.tif.*NaN"):
        read_picture(tmp_path / "depth.tif")


@pytest.mark.parametrize(("name", "share"), [("a.avif", 0.0), ("a.heic", 0.98), ("a.jxl", 0.5)])
def test_damage_that_a_decoder_meets_in_its_own_words_is_the_file_s(name, share, tmp_path):
    kind = {"a.avif": "AVIF", "a.heic": "HEIF", "a.jxl": "JXL"}[name]
    if kind != "AVIF":
        plug = {"HEIF": ("pillow_heif", "heif"), "JXL": ("pillow_jxl", "jxl")}[kind]
        pytest.importorskip(plug[0], reason="the extra is not installed")
        plug_in(plug[1])
    file = io.BytesIO()
    Image.fromarray(embedded_photographs()["coffee"]).save(file, kind)
    data = file.getvalue().replace(b"pitm", b"free", 1) if not share else file.getvalue()[: int(share * file.tell())]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=rf"{name}.*damaged|{name}.*no picture"):
        read_picture(tmp_path / name)


def test_folders_and_hidden_files_in_a_folder_are_no_pictures_of_it(tmp_path):
    Image.new("RGB", (1, 1)).save(tmp_path / "one.png")
    (tmp_path / "._one.png").write_bytes(b"what a file manager keeps beside it")
    (tmp_path / "old.png").mkdir()
    assert [path.name for path in find_pictures([tmp_path])] == ["one.png"]


@pytest.mark.parametrize("name", ["heic", "jxl"])
def test_photographs_of_plug_ins_are_read_from_files_and_folders(name, tmp_path):
    pytest.importorskip({"heic": "pillow_heif", "jxl": "pillow_jxl"}[name], reason="the extra is not installed")
    plug_in({"heic": "heif", "jxl": "jxl"}[name])
    photograph = embedded_photographs()["coffee"]
    Image.fromarray(photograph).save(tmp_path / f"a.{name}", quality=90)
    Image.new("RGB", (1, 1), (90, 90, 90)).save(tmp_path / f"b.{name}", quality=90)
    first, second = (read_picture(path) for path in find_pictures([tmp_path]))
    assert np.abs(first.astype(int) - photograph).mean() < 6
    assert second.shape == (1, 1, 3)
    np.testing.assert_allclose(second[0, 0], 90, atol=4)


@pytest.mark.parametrize(
    ("name", "module", "extra"), [("a.HEIC", "pillow_heif", "heif"), ("a.jxl", "pillow_jxl", "jxl")]
)
def test_a_photograph_whose_plug_in_is_not_installed_says_what_to_install(name, module, extra, tmp_path, monkeypatch):
    (tmp_path / name).write_bytes(bytes(40))
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=rf"semcom\[{extra}\]"):
        read_picture(tmp_path / name)


def test_embedded_pictures_are_there_without_any_data():
    photographs = embedded_photographs()
    assert {picture.shape for picture in photographs.values()} == {(96, 96, 3), (96, 128, 3)}
    assert load("embedded").shape == (45, 32, 32, 3)
    assert len(load("embedded", limit=7)) == 7


def test_unknown_sets_and_missing_data_are_named(monkeypatch, tmp_path):
    with pytest.raises(InputError, match="data set"):
        load("mnist")
    with pytest.raises(InputError, match="split"):
        load("cifar10", "all")
    with pytest.raises(InputError, match="tests alone"):
        load("kodak", "train")
    monkeypatch.setenv("NINEFOLD_DATA", str(tmp_path))
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path))
    with pytest.raises(DownloadError, match=r"cifar10-named\.zip"):
        load("cifar10")


@pytest.mark.data
def test_splits_of_the_real_sets_are_disjoint_and_balanced():
    if data_dir("semcom") is None:
        pytest.skip("needs semcom's data below NINEFOLD_DATA")
    parts = {split: load("cifar10", split) for split in ("train", "validation", "test")}
    assert {split: len(part) for split, part in parts.items()} == {"train": 7500, "validation": 500, "test": 1000}
    seen = [{picture.tobytes() for picture in part} for part in parts.values()]
    assert not (seen[0] & seen[1]) | (seen[0] & seen[2]) | (seen[1] & seen[2])
    assert load("kodak").shape == (21, 256, 256, 3)
    assert load("caltech101").shape == (198, 96, 96, 3)
