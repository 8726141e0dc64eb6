"""Loaders: what they read, and what they refuse by name."""

from __future__ import annotations

import io
import pickle

import numpy as np
import pytest
import torch
from bnn_fsg import datasets
from bnn_fsg.layers._nets import build
from bnn_fsg.training._trainer import BinaryTrainer, Schedule
from ninefold.datasets import data_dir
from ninefold.errors import ArtifactError, InputError
from PIL import Image

DRAW = np.random.default_rng(0)


def batch(folder, name, rows, key=b"labels", labels=None, protocol=2):
    data = DRAW.integers(0, 256, (rows, 3072), np.uint8)
    found = {b"data": data, key: list(range(rows)) if labels is None else labels, b"batch_label": b"x"}
    (folder / name).write_bytes(pickle.dumps(found, protocol))
    return data


def test_digits_are_split_without_overlap():
    splits = [datasets.digits(split) for split in ("train", "validation", "test")]
    assert [len(one) for one in splits] == [1437, 180, 180]
    rows = np.concatenate([one.pixels.reshape(len(one), -1) for one in splits])
    assert len(np.unique(rows, axis=0)) > 1790
    assert splits[0].inputs(slice(0, 4)).shape == (4, 1, 8, 8)
    assert splits[0].inputs().min() == -1
    assert splits[0].inputs().max() == 1
    assert set(splits[2].labels) == set(range(10))


def test_python_batches_are_read_in_order(tmp_path):
    parts = [batch(tmp_path, f"data_batch_{number}", 4) for number in range(1, 6)]
    batch(tmp_path, "test_batch", 3)
    found = datasets.cifar(tmp_path, "train")
    assert np.array_equal(found.pixels.reshape(20, -1), np.concatenate(parts))
    assert found.labels.tolist() == [0, 1, 2, 3] * 5
    assert len(datasets.cifar(tmp_path, "test")) == 3
    scaled = (found.pixels[0, 1, 2, 3] / 255 - 0.4822) / 0.1994
    assert found.inputs([0])[0, 1, 2, 3] == pytest.approx(scaled, rel=1e-5)


def test_cifar_100_has_fine_labels(tmp_path):
    batch(tmp_path, "train", 4, b"fine_labels", [99, 0, 5, 7])
    found = datasets.cifar(tmp_path, "train")
    assert found.classes == 100
    assert found.labels.tolist() == [99, 0, 5, 7]


class Evil:
    def __reduce__(self):
        return (print, ("run",))


def test_pickle_with_code_is_refused(tmp_path, capsys):
    (tmp_path / "test_batch").write_bytes(pickle.dumps({b"data": Evil()}))
    with pytest.raises(ArtifactError, match=r"test_batch: is damaged, or no plain CIFAR batch .*builtins\.print"):
        datasets.cifar(tmp_path, "test")
    assert capsys.readouterr().out == ""


def test_missing_and_damaged_batches_are_named(tmp_path):
    with pytest.raises(ArtifactError, match="nowhere: is not there"):
        datasets.cifar(tmp_path / "nowhere", "train")
    with pytest.raises(InputError, match=r"got no test_batch, no test-.* and no folder test/"):
        datasets.cifar(tmp_path, "test")
    batch(tmp_path, "test_batch", 3)
    path = tmp_path / "test_batch"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ArtifactError, match="test_batch: is damaged"):
        datasets.cifar(tmp_path, "test")
    path.write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(ArtifactError, match="no data and labels"):
        datasets.cifar(tmp_path, "test")


@pytest.mark.parametrize(
    ("data", "labels", "reason"),
    [
        (np.zeros((3, 3071), np.uint8), [0, 1, 2], r"data are uint8 \(3, 3071\), not uint8 rows of 3072"),
        (np.zeros((3, 3072), np.float64), [0, 1, 2], r"data are float64 \(3, 3072\)"),
        (np.zeros((3, 3072), np.uint8), [0, 1], "3 pictures have 2 labels"),
        (np.zeros((3, 3072), np.uint8), [0, 1, "cat"], "label of row 2 is 'cat', no whole number"),
    ],
)
def test_a_batch_of_another_form_is_named(tmp_path, data, labels, reason):
    (tmp_path / "test_batch").write_bytes(pickle.dumps({b"data": data, b"labels": labels}, 2))
    with pytest.raises(ArtifactError, match=rf"test_batch: {reason}"):
        datasets.cifar(tmp_path, "test")


def test_labels_out_of_range_are_named_by_row(tmp_path):
    batch(tmp_path, "test_batch", 3, labels=[0, 10, 2])
    with pytest.raises(InputError, match=r"row 1: got label 10, expected a label from 0 to 9"):
        datasets.cifar(tmp_path, "test")


def test_empty_and_unknown_splits_are_refused(tmp_path):
    batch(tmp_path, "test_batch", 0, protocol=3)
    with pytest.raises(InputError, match="got no image"):
        datasets.cifar(tmp_path, "test")
    with pytest.raises(InputError, match="split: got 'dev'"):
        datasets.digits("dev")


def picture(array, kind="PNG"):
    image = pytest.importorskip("PIL.Image", reason="needs the extra data")
    buffer = io.BytesIO()
    image.fromarray(array).save(buffer, kind)
    return buffer.getvalue()


def shard(path, rows, names=("img", "label"), kind="PNG", shape=(32, 32, 3)):
    arrow = pytest.importorskip("pyarrow", reason="needs the extra data")
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra data")
    pixels = [DRAW.integers(0, 256, shape, np.uint8) for _ in range(rows)]
    images = [{"bytes": picture(one, kind), "path": None} for one in pixels]
    parquet.write_table(arrow.table({names[0]: images, names[1]: list(range(rows))}), path)
    return pixels


def test_parquet_shards_are_read_in_order(tmp_path):
    first = shard(tmp_path / "train-00000-of-00002.parquet", 3)
    second = shard(tmp_path / "train-00001-of-00002.parquet", 2)
    found = datasets.cifar(tmp_path, "train")
    assert np.array_equal(found.pixels, np.stack([*first, *second]).transpose(0, 3, 1, 2))
    assert found.labels.tolist() == [0, 1, 2, 0, 1]


def test_grey_pictures_are_loaded_as_such_and_train(tmp_path):
    shard(tmp_path / "train-00000-of-00001.parquet", 10, ("image", "label"), shape=(28, 28))
    for kind in "0123456789":
        (tmp_path / "folder" / kind).mkdir(parents=True)
        (tmp_path / "folder" / kind / "a.png").write_bytes(picture(np.full((28, 28), int(kind), np.uint8)))
    for found in (datasets.parquet(tmp_path, "train"), datasets.image_folder(tmp_path / "folder")):
        assert found.classes == 10
        assert found.inputs().shape == found.pixels.shape == (10, 1, 28, 28)
        model = build("resnet8", 10, 1, 2)
        trainer = BinaryTrainer(model, torch.optim.SGD(model.parameters(), lr=0.1), Schedule(epochs=1))
        assert np.isfinite(trainer.fit(found).losses).all()


@pytest.mark.parametrize("key", ["mean", "std"])
def test_a_norm_of_other_channels_is_refused(key):
    with pytest.raises(InputError, match=rf"{key} of few: got 3 values, expected 1 value"):
        datasets.Images("few", np.zeros((2, 1, 4, 4), np.uint8), np.zeros(2, np.int64), 1, **{key: (0.5, 0.5, 0.5)})
    with pytest.raises(InputError, match=rf"{key} of few: got 2 values, expected 1 value or 3"):
        datasets.Images("few", np.zeros((2, 3, 4, 4), np.uint8), np.zeros(2, np.int64), 1, **{key: (0.5, 0.5)})


def test_missing_duplicate_and_foreign_shards_are_named(tmp_path):
    shard(tmp_path / "train-00001-of-00002.parquet", 2)
    with pytest.raises(InputError, match="got no shard 0 of 2"):
        datasets.parquet(tmp_path, "train")
    shard(tmp_path / "train-00000-of-00002.parquet", 2)
    (tmp_path / "copy").mkdir()
    shard(tmp_path / "copy/train-00001-of-00002.parquet", 2)
    with pytest.raises(InputError, match=r"both .*train-00001.* and .*train-00001"):
        datasets.parquet(tmp_path, "train")
    with pytest.raises(InputError, match="parquet shards of test in"):
        datasets.parquet(tmp_path, "test")
    other = tmp_path / "other"
    other.mkdir()
    shard(other / "test-00000-of-00001.parquet", 2, ("picture", "label"))
    with pytest.raises(InputError, match="got columns picture, label"):
        datasets.parquet(other, "test")
    (other / "test-00000-of-00001.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(ArtifactError, match="is damaged, or not a parquet file"):
        datasets.parquet(other, "test")


def table(path, images, labels):
    arrow = pytest.importorskip("pyarrow", reason="needs the extra data")
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra data")
    parquet.write_table(arrow.table({"image": images, "label": labels}), path)


def test_pictures_may_be_plain_bytes(tmp_path):
    pixels = DRAW.integers(0, 256, (2, 4, 4, 3), np.uint8)
    table(tmp_path / "test-00000-of-00001.parquet", [picture(one) for one in pixels], [0, 1])
    assert np.array_equal(datasets.parquet(tmp_path, "test").pixels, pixels.transpose(0, 3, 1, 2))


@pytest.mark.parametrize("empty", [None, {"bytes": None, "path": "a.png"}])
def test_a_row_without_picture_or_label_is_named(tmp_path, empty):
    good = {"bytes": picture(np.zeros((4, 4, 3), np.uint8)), "path": None}
    path = tmp_path / "test-00000-of-00001.parquet"
    table(path, [good, empty], [0, 1])
    with pytest.raises(InputError, match=r"image in .*test-00000-of-00001.parquet, row 1: got none, expected"):
        datasets.parquet(tmp_path, "test")
    table(path, [good, good, good], [0, 1, None])
    with pytest.raises(InputError, match=r"label in .*test-00000-of-00001.parquet, row 2: got none, expected"):
        datasets.parquet(tmp_path, "test")
    table(path, [good, good], ["cat", "dog"])
    with pytest.raises(InputError, match=r"label in .*parquet: got string, expected whole numbers"):
        datasets.parquet(tmp_path, "test")
    table(path, [1, 2], [0, 1])
    with pytest.raises(InputError, match=r"image in .*row 0: got int, expected"):
        datasets.parquet(tmp_path, "test")


def test_jpeg_copies_of_cifar_are_warned_of(tmp_path):
    shard(tmp_path / "test-00000-of-00001.parquet", 1, kind="JPEG")
    with pytest.warns(UserWarning, match="row 0 is a 32x32 JPEG"):
        datasets.parquet(tmp_path, "test")


def test_image_folder_has_a_class_a_folder(tmp_path):
    for kind in ("cat", "dog"):
        (tmp_path / kind).mkdir()
        for number in range(3):
            array = np.full((4, 5, 3), 9 if kind == "cat" else 99, np.uint8)
            (tmp_path / kind / f"{number}.png").write_bytes(picture(array))
    found = datasets.image_folder(tmp_path)
    assert found.classes == 2
    assert found.pixels.shape == (6, 3, 4, 5)
    assert np.array_equal(found.pixels[:, 0, 0, 0] == 99, found.labels == 1)
    (tmp_path / "dog/9.png").write_bytes(picture(np.zeros((4, 4, 3), np.uint8)))
    with pytest.raises(InputError, match=r"got shapes \[\(3, 4, 4\), \(3, 4, 5\)\]"):
        datasets.image_folder(tmp_path)
    scaled = datasets.image_folder(tmp_path, size=(8, 6))
    assert scaled.pixels.shape == (7, 3, 8, 6)
    assert np.array_equal(scaled.pixels[:, 0, 7, 5] == 9, scaled.labels == 0)
    (tmp_path / "dog/9.png").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"image in .*9\.png: got a damaged file"):
        datasets.image_folder(tmp_path)
    with pytest.raises(InputError, match="got no image"):
        datasets.image_folder(tmp_path / "cat/none")


def test_a_folder_may_mix_grey_colour_transparent_and_sixteen_bit_pictures(tmp_path):
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, (4, 4), dtype=np.uint8)
    clear = np.dstack([np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.uint8)])
    pictures = {"grey": grey, "rgb": np.dstack([grey] * 3), "rgba": clear, "deep": grey.astype(np.uint16) * 256 + 255}
    for part, names in (("train", pictures), ("test", ("grey", "deep"))):
        for kind in ("one", "two"):
            (tmp_path / part / kind).mkdir(parents=True)
            for name in names:
                Image.fromarray(pictures[name]).save(tmp_path / part / kind / f"{name}.png")
    train, test = datasets.load(tmp_path, "train"), datasets.load(tmp_path, "test")
    assert train.pixels.shape[1] == test.pixels.shape[1] == 3  # the test split is read as train is
    found = {one.tobytes() for one in train.pixels}
    assert found == {np.stack([grey] * 3).tobytes(), np.full((3, 4, 4), 255, np.uint8).tobytes()}
    for path in (*tmp_path.glob("train/*/rgb*.png"),):
        path.unlink()
    alone = datasets.load(tmp_path, "train")
    assert np.array_equal(np.unique(alone.pixels, axis=0), np.unique([grey[None]], axis=0))
    (tmp_path / "train/three").mkdir()
    with pytest.raises(InputError, match=r"no image in three, expected .*\.jpg"):
        datasets.image_folder(tmp_path / "train")


@pytest.mark.data
def test_the_lossless_subset_of_cifar_is_whole():
    root = data_dir("bnn-fsg")
    if root is None or not (root / "cifar10-lossless-14k").is_dir():
        pytest.skip("needs bnn-fsg/cifar10-lossless-14k under NINEFOLD_DATA")
    test = datasets.cifar(root / "cifar10-lossless-14k", "test")
    assert test.pixels.shape == (4000, 3, 32, 32)
    assert np.bincount(test.labels).tolist() == [400] * 10
