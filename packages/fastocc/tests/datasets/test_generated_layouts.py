"""500 folders with random choices from the public descriptions: each opens right, or is refused by name; none silently.

Choices: layout, names of pickles and folders, key spellings, labels that are missing for the first, the last, some or
all frames, pickles of other tools, symbolic links, picture sizes, poses as quaternions, matrices or float32.
"""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
from fastocc.datasets import OccDataset
from fastocc.geometry import CameraRig
from fastocc.sim._write import _quaternion
from ninefold.errors import NinefoldError
from PIL import Image

from .layouts import LIDAR2EGO, pose

COUNT, PARTS = 500, 10
FRAMES, SCENE, FULL = 4, "scene-0103", (90, 160)
RIG = CameraRig.nominal(*FULL).select(["CAM_FRONT", "CAM_FRONT_LEFT"])


def _picture(size) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((*size, 3), 90, np.uint8)).save(buffer, "JPEG")
    return buffer.getvalue()


def _labels() -> bytes:
    buffer, semantics = io.BytesIO(), np.full((200, 200, 16), 17, np.uint8)
    semantics[:, :, 1] = 11
    masks = np.ones(semantics.shape, np.uint8)
    np.savez_compressed(buffer, semantics=semantics, mask_camera=masks, mask_lidar=masks)
    return buffer.getvalue()


PICTURES = {size: _picture(size) for size in ((90, 160), (45, 80), (120, 160))}
LABELS = _labels()


class Folder:
    """One generated folder, and what has to come out of it."""

    def __init__(self, root: Path, seed: int, **fixed: object) -> None:
        self.rng, self.root = np.random.default_rng(seed), root
        self.kind = self.pick("bevdet", "bevformer", "mmdet3d", "occ3d")
        self.labels = self.pick("gts", "gts", "gts", "occ3d", "occupancy_labels", "openocc_v2", "none")
        self.present = self.pick("all", "all", "first missing", "last missing", "every second", "none")
        self.size = self.pick((90, 160), (90, 160), (90, 160), (45, 80), (120, 160))
        self.recorded = bool(self.rng.random() < 0.4)  # height and width beside the intrinsic
        self.poses = self.pick("quaternion", "matrix", "float32")
        self.extra = self.pick("none", "dbinfos", "dbinfos", "other pickle", "OpenOccupancy", "Waymo", "KITTI-360")
        self.home = root if self.rng.random() < 0.7 else root / self.pick("data/nuscenes", "nuscenes", "trainval")
        self.link = bool(self.rng.random() < 0.2)
        self.tokens = [hashlib.md5(f"{seed}/{at}".encode()).hexdigest() for at in range(FRAMES)]  # noqa: S324
        self.egos = [pose(4 * at, 100 + 3 * at, 20, 0) for at in range(FRAMES)]
        vars(self).update(fixed)
        self.write()

    def pick(self, *choices):
        return choices[int(self.rng.integers(len(choices)))]

    def turn(self, matrix):
        if self.poses == "quaternion":
            return _quaternion(matrix[:3, :3])
        return matrix[:3, :3].astype(np.float32) if self.poses == "float32" else matrix[:3, :3]

    def has(self, at: int) -> bool:
        left = {"first missing": at > 0, "last missing": at < FRAMES - 1, "every second": at % 2 == 1, "none": False}
        return self.labels != "none" and left.get(self.present, True)

    def file(self, at: int, name: str) -> str:
        return f"n015__{name}__{1_531_883_530_000_000 + 500_000 * at}.jpg"

    def late(self, at: int, place: int):
        return self.egos[at] @ pose(0.3, 0.05 * (place + 1), 0, 0)

    def write(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        pictures = self.home / ("imgs" if self.kind == "occ3d" else "samples")
        real = self.root.parent / f"{self.root.name}-store" / pictures.name if self.link else pictures
        for at in range(FRAMES):
            for name in RIG.names:
                (real / name).mkdir(parents=True, exist_ok=True)
                (real / name / self.file(at, name)).write_bytes(PICTURES[self.size])
        if self.link:
            pictures.symlink_to(real, target_is_directory=True)
        for at, token in enumerate(self.tokens):
            if self.has(at):
                folder = self.home / self.labels / SCENE / token
                folder.mkdir(parents=True)
                (folder / "labels.npz").write_bytes(LABELS)
        if self.labels != "none":
            (self.home / self.labels).mkdir(exist_ok=True)
        if self.kind == "occ3d":
            self.annotations()
        else:
            name = {"bevdet": "bevdetv2-nuscenes_infos", "bevformer": "nuscenes_infos_temporal"}.get(self.kind)
            name = name or self.pick("nuscenes_infos", "my_infos", "Infos")
            (self.home / f"{name}_val.pkl").write_bytes(pickle.dumps(self.infos(), protocol=4))
        extras = {
            "dbinfos": "nuscenes_dbinfos_val.pkl", "other pickle": "a_infos_val.pkl", "Waymo": "waymo_infos_val.pkl",
        }  # fmt: skip
        if self.extra in extras:
            content = {"car": [{"name": "car", "box3d_lidar": np.zeros(7)}]}
            (self.home / extras[self.extra]).write_bytes(pickle.dumps(content, protocol=4))
        elif self.extra != "none":
            (self.home / {"OpenOccupancy": "nuScenes-Occupancy", "KITTI-360": "data_2d_raw"}[self.extra]).mkdir()

    def recorded_size(self) -> dict:
        return {"height": FULL[0], "width": FULL[1]} if self.recorded else {}

    def infos(self) -> dict:
        made = []
        for at, token in enumerate(self.tokens):
            cams, images, stamp = {}, {}, 1_531_883_530_000_000 + 500_000 * at
            for place, camera in enumerate(RIG.cameras):
                moved = np.linalg.inv(self.egos[at] @ LIDAR2EGO) @ self.late(at, place) @ camera.cam2ego
                then = self.late(at, place)
                inner = camera.intrinsic.astype(np.float32) if self.poses == "float32" else camera.intrinsic
                cams[camera.name] = {
                    "data_path": f"./data/nuscenes/samples/{camera.name}/{self.file(at, camera.name)}",
                    "cam_intrinsic": inner, "sensor2lidar_rotation": moved[:3, :3],
                    "sensor2lidar_translation": moved[:3, 3], "ego2global_translation": then[:3, 3].tolist(),
                    "ego2global_rotation": self.turn(then), **self.recorded_size(),
                }  # fmt: skip
                images[camera.name] = {
                    "img_path": self.file(at, camera.name), "cam2img": inner.tolist(), **self.recorded_size(),
                    "cam2ego": camera.cam2ego.tolist(), "lidar2cam": np.linalg.inv(moved).tolist(),
                }  # fmt: skip
            if self.kind == "mmdet3d":
                points = {"lidar_path": f"n015__LIDAR_TOP__{stamp}.pcd.bin", "lidar2ego": LIDAR2EGO.tolist()}
                made.append({"token": token, "timestamp": stamp / 1e6, "images": images, "lidar_points": points,
                             "ego2global": self.egos[at].tolist(), "instances": [], "scene_name": SCENE})  # fmt: skip
                continue
            names = {"scene_name": SCENE} if self.kind == "bevdet" or not self.has(at) else {}
            occ = {"occ_path": f"./data/nuscenes/gts/{SCENE}/{token}"} if self.kind == "bevdet" else {}
            made.append({
                "token": token, "cams": cams, "timestamp": stamp, "scene_token": hashlib.md5(b"s").hexdigest(),  # noqa: S324
                "lidar_path": f"./data/nuscenes/samples/LIDAR_TOP/n015__LIDAR_TOP__{stamp}.pcd.bin",
                "lidar2ego_translation": LIDAR2EGO[:3, 3].tolist(), "lidar2ego_rotation": self.turn(LIDAR2EGO),
                "ego2global_translation": self.egos[at][:3, 3].tolist(),
                "ego2global_rotation": self.turn(self.egos[at]), **names, **occ,
            })  # fmt: skip
        if self.kind == "mmdet3d":
            return {"metainfo": {"version": "v1.0"}, "data_list": made}
        return {"infos": made, "metadata": {"version": "v1.0"}}

    def annotations(self) -> None:
        frames = {}

        def both(matrix):
            return {"translation": matrix[:3, 3].tolist(), "rotation": np.asarray(self.turn(matrix)).tolist()}

        inner = self.pick("intrinsic", "intrinsics")
        for at, token in enumerate(self.tokens):
            cameras = {
                camera.name: {
                    "img_path": f"{self.pick('imgs/', '')}{camera.name}/{self.file(at, camera.name)}",
                    inner: camera.intrinsic.tolist(), "extrinsic": both(camera.cam2ego),
                    "ego_pose": both(self.late(at, place)), **self.recorded_size(),
                }
                for place, camera in enumerate(RIG.cameras)
            }  # fmt: skip
            frames[token] = {"camera_sensor": cameras, "ego_pose": both(self.egos[at]),
                             "gt_path": f"gts/{SCENE}/{token}/labels.npz"}  # fmt: skip
        about = {"train_split": [], "val_split": [SCENE], "scene_infos": {SCENE: frames}}
        (self.home / "annotations.json").write_text(json.dumps(about))

    def check(self, data: OccDataset, said: str) -> None:
        """What opened is what was written."""
        expected = [at for at in range(FRAMES) if self.has(at)]
        assert [one.token for one in data.infos] == self.tokens
        assert [at for at in range(FRAMES) if data.has_labels(at)] == expected, (self.labels, self.present)
        if not expected:
            assert not data.labelled
            with pytest.raises(NinefoldError, match="labels"):
                data.with_labels()
            assert self.labels == "none" or self.labels in said or not any((self.home / self.labels).iterdir())
        else:
            with warnings.catch_warnings(record=True) as counted:
                warnings.simplefilter("always")
                kept = data.with_labels()
            assert kept.left_out == FRAMES - len(expected)
            assert bool(kept.left_out) == any("no labels" in str(one.message) for one in counted)
            assert kept.infos[0].token == self.tokens[expected[0]]
            assert data.format.name == ("openocc-v2" if self.labels == "openocc_v2" else "occ3d")
        frame = data.frame(2)
        assert frame.images.shape[2:] == self.size
        # without a recorded size more rows are rows appended at the bottom, as networks pad them: K stays
        scale = np.diag([self.size[1] / FULL[1], self.size[0] / FULL[0], 1]) if self.recorded else np.eye(3)
        for place, camera in enumerate(RIG.cameras):
            at = data.cameras.index(camera.name)
            np.testing.assert_allclose(frame.cam2img[at], scale @ camera.intrinsic, rtol=1e-5)
            label = np.linalg.inv(self.egos[2]) @ self.late(2, place) @ camera.cam2ego
            np.testing.assert_allclose(frame.cam2ego[at], label, atol=2e-4)
        front = data.frame(2, key_camera="CAM_FRONT_LEFT")
        for place, camera in enumerate(RIG.cameras):
            at = data.cameras.index(camera.name)
            key = np.linalg.inv(self.late(2, 1)) @ self.late(2, place) @ camera.cam2ego
            np.testing.assert_allclose(front.cam2ego[at], key, atol=2e-4)


@pytest.mark.parametrize("part", range(PARTS))
def test_folder_opens_right_or_is_refused_by_name(part, tmp_path):
    opened = 0
    for seed in range(part, COUNT, PARTS):
        folder = Folder(tmp_path / f"root{seed}", seed)
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            try:
                data = OccDataset(folder.root)
                said = " ".join(str(one.message) for one in heard)
                folder.check(data, said)
                opened += 1
            except NinefoldError as error:
                wrong = None if refused_rightly(folder, str(error)) else (seed, vars(folder), str(error))
            else:
                wrong = None
        assert wrong is None
    assert opened >= COUNT / PARTS / 4


PLAIN = {"labels": "gts", "present": "all", "size": FULL, "recorded": False, "extra": "none", "link": False}
NAMED = {
    "a pickle of objects next to that of frames": {"kind": "mmdet3d", "extra": "dbinfos"},
    "first frame without labels": {"kind": "bevdet", "present": "first missing"},
    "labels for every second frame": {"kind": "occ3d", "present": "every second"},
    "pictures at half size, recorded size known": {"kind": "bevdet", "size": (45, 80), "recorded": True},
    "SparseOcc's folder of labels": {"kind": "bevdet", "labels": "occ3d"},
}
REFUSED = {
    "pictures at half size": ({"kind": "bevdet", "size": (45, 80)}, "principal point"),
    "labels in a folder of unknown name": ({"kind": "bevdet", "labels": "occupancy_labels"}, "occupancy_labels"),
    "OpenOccupancy's labels": ({"kind": "bevdet", "labels": "none", "extra": "OpenOccupancy"}, "OpenOccupancy"),
    "Occ3D-Waymo's infos": ({"kind": "bevdet", "labels": "none", "extra": "Waymo"}, "Occ3D-Waymo"),
    "KITTI-360's pictures": ({"kind": "bevdet", "labels": "none", "extra": "KITTI-360"}, "KITTI-360"),
}


@pytest.mark.parametrize("name", NAMED)
def test_named_folder_opens_right(name, tmp_path):
    folder = Folder(tmp_path / "root", 7, home=tmp_path / "root", **PLAIN | NAMED[name])
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        folder.check(OccDataset(folder.root), "")


@pytest.mark.parametrize("name", REFUSED)
def test_named_folder_is_refused(name, tmp_path):
    changes, message = REFUSED[name]
    folder = Folder(tmp_path / "root", 7, home=tmp_path / "root", **PLAIN | changes)
    with pytest.raises(NinefoldError, match=message):
        OccDataset(folder.root).frame(0)


def refused_rightly(folder: Folder, said: str) -> bool:
    """Whether a refusal names something that is wrong with the folder."""
    known = folder.labels in ("gts", "occ3d", "openocc_v2")
    reasons = {
        "principal point": not folder.recorded and folder.size == (45, 80),
        "as recorded": folder.recorded and folder.size == (120, 160),
        "occupancy_labels/ with labels.npz": folder.labels == "occupancy_labels",
        "OpenOccupancy": folder.extra == "OpenOccupancy" and not known,
        "Occ3D-Waymo": folder.extra == "Waymo" and not known,
        "KITTI-360": folder.extra == "KITTI-360" and not known,
    }
    return any(reason in said and right for reason, right in reasons.items())
