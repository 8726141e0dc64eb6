"""Each label format against files written here in its layout, with the axis and frame traps of the formats."""

from __future__ import annotations

import numpy as np
import pytest
from fastocc.datasets import (
    FORMATS,
    read_occ3d,
    read_openocc_v1,
    read_openocc_v2,
    read_semantickitti,
    read_surroundocc,
)
from ninefold.errors import ArtifactError, InputError

SHAPE = (200, 200, 16)


def occ3d(path, **changes):
    semantics = np.full(SHAPE, 17, np.uint8)
    semantics[3, 150, 2] = 4
    arrays = {"semantics": semantics, "mask_lidar": np.zeros(SHAPE, np.uint8), "mask_camera": np.ones(SHAPE, np.uint8)}
    arrays = {key: value for key, value in {**arrays, **changes}.items() if value is not None}
    np.savez_compressed(path, **arrays)
    return path


def test_occ3d_axes_are_x_y_z(tmp_path):
    labels = read_occ3d(occ3d(tmp_path / "labels.npz"))
    assert labels.semantics[3, 150, 2] == 4
    assert (labels.semantics != 17).sum() == 1
    assert labels.mask_camera.all()
    assert not labels.mask_lidar.any()
    center = FORMATS["occ3d"].spec.centers()[3, 150, 2]
    np.testing.assert_allclose(center, [-38.6, 20.2, 0.0], atol=1e-4)  # x is the first axis


def test_absent_masks_are_a_warning_and_all_voxels_count(tmp_path):
    with pytest.warns(UserWarning, match="mask_camera"):
        labels = read_occ3d(occ3d(tmp_path / "labels.npz", mask_camera=None))
    assert labels.mask_camera is None


def test_transposed_labels_are_recognised(tmp_path):
    path = occ3d(tmp_path / "labels.npz", semantics=np.zeros((16, 200, 200), np.uint8))
    with pytest.raises(InputError, match=r"\[z, y, x\]: transpose it"):
        read_occ3d(path)


@pytest.mark.parametrize("value", [18, 200, 254])
def test_label_outside_the_classes_is_named(tmp_path, value):
    with pytest.raises(InputError, match=f"semantics in .*labels.npz: got {value}"):
        read_occ3d(occ3d(tmp_path / "labels.npz", semantics=np.full(SHAPE, value, np.uint8)))


def test_ignored_label_is_let_through(tmp_path):
    assert (read_occ3d(occ3d(tmp_path / "l.npz", semantics=np.full(SHAPE, 255, np.uint8))).semantics == 255).all()


def test_truncated_and_missing_files_are_named(tmp_path):
    path = occ3d(tmp_path / "labels.npz")
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ArtifactError, match=r"labels\.npz.*damaged"):
        read_occ3d(path)
    with pytest.raises(ArtifactError, match=r"gone\.npz.*not there"):
        read_occ3d(tmp_path / "gone.npz")
    np.savez(tmp_path / "other.npz", a=np.zeros(1))
    with pytest.raises(InputError, match="semantics"):
        read_occ3d(tmp_path / "other.npz")


def test_openocc_v2_begins_with_cars_and_free_is_sixteen(tmp_path):
    semantics = np.full(SHAPE, 16, np.uint8)
    semantics[1, 2, 3] = 0
    np.savez(tmp_path / "labels.npz", semantics=semantics, flow=np.zeros((*SHAPE, 2), np.float32))
    labels = read_openocc_v2(tmp_path / "labels.npz")
    np.testing.assert_array_equal(labels.semantics, semantics)
    assert labels.mask_camera is None
    assert FORMATS["openocc-v2"].classes[0] == "car"  # Occ3D begins with "others"


def test_openocc_v1_index_counts_x_fastest(tmp_path):
    x, y, z = 7, 120, 5
    np.save(tmp_path / "occ.npy", np.array([[(z * 200 + y) * 200 + x, 3]]))
    np.save(tmp_path / "invalid.npy", np.array([(1 * 200 + 2) * 200 + 9]))
    labels = read_openocc_v1(tmp_path / "occ.npy", tmp_path / "invalid.npy")
    assert labels.semantics[x, y, z] == 3
    assert labels.semantics[9, 2, 1] == 255
    assert (labels.semantics == 16).sum() == 200 * 200 * 16 - 2
    np.save(tmp_path / "far.npy", np.array([[640_000, 3]]))
    with pytest.raises(InputError, match="640000"):
        read_openocc_v1(tmp_path / "far.npy")


def test_surroundocc_zero_is_empty_and_its_order_is_occ3ds(tmp_path):
    rows = np.array([[0, 1, 2, 4], [3, 3, 3, 0], [5, 5, 5, 255], [199, 199, 15, 16]])
    np.save(tmp_path / "a.npy", rows)
    labels = read_surroundocc(tmp_path / "a.npy").semantics
    assert [int(labels[tuple(row[:3])]) for row in rows] == [4, 17, 255, 16]
    assert FORMATS["surroundocc"].frame == "lidar"
    for row, message in (([0, 0, 16, 1], "inside"), ([0, 0, 0, 17], "0..16")):
        np.save(tmp_path / "b.npy", np.array([row]))
        with pytest.raises(InputError, match=message):
            read_surroundocc(tmp_path / "b.npy")
    np.save(tmp_path / "c.npy", np.zeros((2, 3)))
    with pytest.raises(InputError, match="shape"):
        read_surroundocc(tmp_path / "c.npy")


def test_semantickitti_maps_raw_labels_and_unpacks_the_highest_bit_first(tmp_path):
    raw = np.zeros((256, 256, 32), np.uint16)
    raw[0, 0, 1], raw[200, 3, 4], raw[1, 1, 1] = 10, 252, 99
    raw.tofile(tmp_path / "0.label")
    bits = np.zeros(raw.size, np.uint8)
    bits[5] = 1  # voxel (0, 0, 5): the sixth bit of the first byte
    packed = np.packbits(bits)
    assert packed[0] == 0b00000100
    packed.tofile(tmp_path / "0.invalid")
    labels = read_semantickitti(tmp_path / "0.label", tmp_path / "0.invalid").semantics
    assert labels[0, 0, 1] == labels[200, 3, 4] == 1
    assert labels[1, 1, 1] == 255  # "other-object" has no class of its own
    assert labels[0, 0, 5] == 255
    assert labels[0, 0, 6] == 0
    raw[0, 0, 0] = 7
    raw.tofile(tmp_path / "1.label")
    with pytest.raises(InputError, match=r"label.*got 7"):
        read_semantickitti(tmp_path / "1.label")
    (tmp_path / "1.label").write_bytes(b"123")
    with pytest.raises(ArtifactError, match="3 bytes"):
        read_semantickitti(tmp_path / "1.label")
