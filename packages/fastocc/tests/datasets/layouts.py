"""Writes one small drive as each public data set lies on disk, from its public description."""

from __future__ import annotations

import functools
import hashlib
import io
import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from fastocc.datasets import FORMATS
from fastocc.geometry import CameraRig, yaw_matrix
from fastocc.sim._write import _quaternion
from PIL import Image

SIZE = (90, 160)
# two official training scenes and two validation scenes, both of mini too
SCENES = {"train": ["scene-0061", "scene-0655"], "val": ["scene-0103", "scene-0916"]}
LOG = "n015-2018-07-18-11-07-57+0800"


def pose(yaw: float, *shift: float) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = yaw_matrix(yaw), shift
    return matrix


LIDAR2EGO = pose(-90, 0.94, 0, 1.84)


def token(*names: object) -> str:
    return hashlib.md5("/".join(map(str, names)).encode()).hexdigest()  # noqa: S324


@dataclass
class Shot:
    """One frame: names, time, poses, images by camera, and voxels of each format."""

    scene: str
    token: str
    time: int
    ego: np.ndarray
    rig: CameraRig
    late: dict[str, np.ndarray]  # ego pose when each camera fires
    images: dict[str, bytes]
    voxels: dict[str, np.ndarray]
    mask: np.ndarray

    def file(self, sensor: str) -> str:
        return f"{LOG}__{sensor}__{self.time}" + (".pcd.bin" if sensor == "LIDAR_TOP" else ".jpg")

    @functools.cached_property
    def labels_npz(self) -> bytes:
        """Occ3D's label file, compressed once for all layouts that have it."""
        buffer, mask = io.BytesIO(), self.mask.astype(np.uint8)
        np.savez_compressed(buffer, semantics=self.voxels["occ3d"], mask_camera=mask, mask_lidar=mask)
        return buffer.getvalue()

    def cam2lidar(self, name: str) -> np.ndarray:
        at = self.rig.names.index(name)
        outer = self.rig.cameras[at].cam2ego
        return np.linalg.inv(self.ego @ LIDAR2EGO) @ self.late[name] @ outer

    def cam2label(self, name: str, frame: str) -> np.ndarray:
        return LIDAR2EGO @ self.cam2lidar(name) if frame == "ego" else self.cam2lidar(name)


def drive(seed: int = 0) -> list[Shot]:
    """Two frames of each of four scenes."""
    rng, shots, rig = np.random.default_rng(seed), [], CameraRig.nominal(*SIZE)
    for number, scene in enumerate(SCENES["train"] + SCENES["val"]):
        for at in range(2):
            time = 1_531_883_530_000_000 + 60_000_000 * number + 500_000 * at
            ego = pose(10 * number + 4 * at, 100 * number + 3 * at, 20 + at, 0)
            images, late = {}, {}
            for place, camera in enumerate(rig.cameras):
                buffer = io.BytesIO()
                pixels = np.kron(rng.integers(0, 256, (9, 16, 3)), np.ones((10, 10, 1))).astype(np.uint8)
                Image.fromarray(pixels).save(buffer, "JPEG", quality=95)
                images[camera.name] = buffer.getvalue()
                late[camera.name] = ego @ pose(0.3, 0.05 * place, 0, 0)  # the vehicle moves while the cameras fire
            voxels = {}
            for name, one in FORMATS.items():
                if name != "sim":
                    labels = np.full(one.spec.shape, one.free, np.uint8)
                    names = [at for at in range(len(one.classes)) if at != one.free]
                    labels[:, :, 1] = names[10]
                    for _ in range(60):
                        x, y, z = (int(rng.integers(0, size - 6)) for size in one.spec.shape)
                        labels[x : x + 6, y : y + 5, z : z + 4] = rng.choice(names)
                    voxels[name] = labels
            shots.append(
                Shot(scene, token(scene, at), time, ego, rig, late, images, voxels, rng.random((200, 200, 16)) < 0.4)
            )
    return shots


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _both(matrix: np.ndarray) -> dict:
    return {"translation": matrix[:3, 3].tolist(), "rotation": _quaternion(matrix[:3, :3])}


def _npz(path: Path, **arrays: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **arrays)


def gts(root: Path, shots: list[Shot]) -> None:
    """Occ3D's labels."""
    for shot in shots:
        _put(root / "gts" / shot.scene / shot.token / "labels.npz", shot.labels_npz)


def samples(root: Path, shots: list[Shot], folder: str = "samples") -> None:
    """Images below `samples/CAM_...`, as nuScenes has them."""
    for shot in shots:
        for name, content in shot.images.items():
            _put(root / folder / name / shot.file(name), content)


def occ3d(root: Path, shots: list[Shot], labels: bool, by_token: bool = False) -> None:
    """Occ3D's own download: annotations.json, imgs/ and gts/; no LiDAR and no pose of it."""
    samples(root, shots, "imgs")
    infos: dict = {scene: {} for names in SCENES.values() for scene in names}
    for shot in shots:
        cameras = {}
        for camera in shot.rig.cameras:
            key = token(shot.token, camera.name) if by_token else camera.name
            cameras[key] = {
                "img_path": ("" if by_token else "imgs/") + f"{camera.name}/{shot.file(camera.name)}",
                "intrinsics" if by_token else "intrinsic": camera.intrinsic.tolist(),
                "extrinsic": _both(camera.cam2ego), "ego_pose": _both(shot.late[camera.name]),
            }  # fmt: skip
        infos[shot.scene][shot.token] = {
            "timestamp": str(shot.time), "camera_sensor": cameras, "ego_pose": _both(shot.ego),
            "gt_path": f"gts/{shot.scene}/{shot.token}/labels.npz", "prev": "", "next": "",
        }  # fmt: skip
    about = {"train_split": SCENES["train"], "val_split": SCENES["val"], "scene_infos": infos}
    (root / "annotations.json").write_text(json.dumps(about))
    if labels:
        gts(root, shots)


def version_1(shot: Shot, prefix: str, **more: object) -> dict:
    """An entry of a version 1 pickle."""
    cams = {}
    for camera in shot.rig.cameras:
        moved, late = shot.cam2lidar(camera.name), shot.late[camera.name]
        cams[camera.name] = {
            "data_path": f"{prefix}samples/{camera.name}/{shot.file(camera.name)}", "type": camera.name,
            "sample_data_token": token(shot.token, camera.name), "cam_intrinsic": camera.intrinsic,
            "sensor2lidar_rotation": moved[:3, :3], "sensor2lidar_translation": moved[:3, 3],
            "timestamp": shot.time, "sensor2ego_translation": camera.cam2ego[:3, 3].tolist(),
            "sensor2ego_rotation": _quaternion(camera.cam2ego[:3, :3]),
            "ego2global_translation": late[:3, 3].tolist(), "ego2global_rotation": _quaternion(late[:3, :3]),
        }  # fmt: skip
    return {
        "token": shot.token, "lidar_path": f"{prefix}samples/LIDAR_TOP/{shot.file('LIDAR_TOP')}", "cams": cams,
        "sweeps": [], "timestamp": shot.time, "lidar2ego_translation": LIDAR2EGO[:3, 3].tolist(),
        "lidar2ego_rotation": _quaternion(LIDAR2EGO[:3, :3]), "ego2global_translation": shot.ego[:3, 3].tolist(),
        "ego2global_rotation": _quaternion(shot.ego[:3, :3]), "gt_boxes": np.zeros((2, 7)),
        "gt_names": np.array(["car", "truck"]), "num_lidar_pts": np.array([3, 4]),
        "valid_flag": np.array([True, False]), **more,
    }  # fmt: skip


def _pickle(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        pickle.dump(content, file, protocol=4)


def _by_split(shots: list[Shot]) -> dict[str, list[Shot]]:
    return {split: [one for one in shots if one.scene in names] for split, names in SCENES.items()}


def bevdet(root: Path, shots: list[Shot], labels: bool) -> None:
    """nuScenes with the pickles of BEVDet and FlashOcc, and Occ3D's gts."""
    samples(root, shots)
    for split, mine in _by_split(shots).items():
        infos = [
            version_1(
                shot, "./data/nuscenes/", scene_token=token(shot.scene), scene_name=shot.scene,
                occ_path=f"./data/nuscenes/gts/{shot.scene}/{shot.token}", ann_infos=([np.zeros(9)], [0]),
            )
            for shot in mine
        ]  # fmt: skip
        _pickle(root / f"bevdetv2-nuscenes_infos_{split}.pkl", {"infos": infos, "metadata": {"version": "v1.0"}})
    if labels:
        gts(root, shots)


def bevformer(root: Path, shots: list[Shot], labels: bool) -> None:
    """nuScenes with BEVFormer's pickles: no scene names, absolute paths, CAN bus."""
    samples(root, shots)
    for split, mine in _by_split(shots).items():
        infos = [
            version_1(
                shot, "/home/user/data/nuscenes/", scene_token=token(shot.scene), can_bus=np.zeros(18), frame_idx=0,
                prev="", next="", gt_velocity=np.zeros((2, 2)),
            )
            for shot in mine
        ]  # fmt: skip
        _pickle(root / f"nuscenes_infos_temporal_{split}.pkl", {"infos": infos, "metadata": {"version": "v1.0"}})
    if labels:
        gts(root, shots)


def mmdet3d(root: Path, shots: list[Shot], labels: bool) -> None:
    """nuScenes with pickles of mmdetection3d 1.1: file names without folders, seconds, no scenes."""
    samples(root, shots)
    for split, mine in _by_split(shots).items():
        entries = []
        for shot in mine:
            images = {}
            for camera in shot.rig.cameras:
                images[camera.name] = {
                    "img_path": shot.file(camera.name), "cam2img": camera.intrinsic.tolist(),
                    "cam2ego": camera.cam2ego.tolist(), "timestamp": shot.time / 1e6,
                    "lidar2cam": np.linalg.inv(shot.cam2lidar(camera.name)).tolist(),
                }  # fmt: skip
            points = {"lidar_path": shot.file("LIDAR_TOP"), "lidar2ego": LIDAR2EGO.tolist(), "num_pts_feats": 5}
            entries.append(
                {"sample_idx": len(entries), "token": shot.token, "timestamp": shot.time / 1e6, "images": images,
                 "ego2global": shot.ego.tolist(), "lidar_points": points, "lidar_sweeps": [], "instances": []}
            )  # fmt: skip
        _pickle(root / f"nuscenes_infos_{split}.pkl", {"metainfo": {"version": "v1.0"}, "data_list": entries[::-1]})
    if labels:
        gts(root, shots)


def tables(root: Path, shots: list[Shot], labels: bool, version: str = "v1.0-mini") -> None:
    """Plain nuScenes tables, with sweeps between the key frames and lidarseg."""
    samples(root, shots)
    sensors = [*shots[0].rig.names, "LIDAR_TOP"]
    made: dict[str, list[dict]] = {
        "scene": [{"token": token(one), "name": one} for names in SCENES.values() for one in names],
        "sensor": [{"token": token(one), "channel": one, "modality": "camera"} for one in sensors],
        "calibrated_sensor": [], "sample": [], "sample_data": [], "ego_pose": [], "lidarseg": [],
    }  # fmt: skip
    for name in sensors:
        camera = next((one for one in shots[0].rig.cameras if one.name == name), None)
        made["calibrated_sensor"].append(
            {"token": token(name, "calibration"), "sensor_token": token(name),
             **_both(camera.cam2ego if camera else LIDAR2EGO),
             "camera_intrinsic": camera.intrinsic.tolist() if camera else []}
        )  # fmt: skip
    for shot in shots:
        made["sample"].append({"token": shot.token, "timestamp": shot.time, "scene_token": token(shot.scene)})
        for name in sensors:
            for key in (True, False):
                own = token(shot.token, name, key)
                folder = "samples" if key else "sweeps"
                made["ego_pose"].append({"token": own, "timestamp": 0, **_both(shot.late.get(name, shot.ego))})
                made["sample_data"].append(
                    {"token": own, "sample_token": shot.token, "ego_pose_token": own, "is_key_frame": key,
                     "calibrated_sensor_token": token(name, "calibration"), "timestamp": shot.time,
                     "filename": f"{folder}/{name}/{shot.file(name)}", "height": 90, "width": 160}
                )  # fmt: skip
        own = token(shot.token, "LIDAR_TOP", True)
        rng = np.random.default_rng(1)
        points = rng.uniform(-20, 20, (50, 5)).astype(np.float32)
        _put(root / "samples" / "LIDAR_TOP" / shot.file("LIDAR_TOP"), points.tobytes())
        path = f"lidarseg/{version}/{own}_lidarseg.bin"
        _put(root / path, np.arange(50, dtype=np.uint8).__mod__(32).tobytes())
        made["lidarseg"].append({"token": own, "sample_data_token": own, "filename": path})
    (root / version).mkdir()
    for name, rows in made.items():
        (root / version / f"{name}.json").write_text(json.dumps(rows, indent=0))
    if labels:
        gts(root, shots)


def openocc_v2(root: Path, shots: list[Shot], labels: bool) -> None:
    """OpenOcc v2 beside nuScenes: openocc_v2/SCENE/TOKEN/labels.npz and pickles."""
    samples(root, shots)
    for split, mine in _by_split(shots).items():
        infos = [version_1(shot, "data/nuscenes/", scene_name=shot.scene) for shot in mine]
        _pickle(root / f"nuscenes_infos_{split}_occ.pkl", {"infos": infos, "metadata": {}})
    (root / "openocc_v2").mkdir()
    for shot in shots if labels else []:
        path = root / "openocc_v2" / shot.scene / shot.token / "labels.npz"
        _npz(path, semantics=shot.voxels["openocc-v2"], flow=np.zeros((200, 200, 16, 2), np.float16))


def openocc_v1(root: Path, shots: list[Shot], labels: bool) -> None:
    """OpenOcc v1: data/ with nuscenes/ and occ_gt_release_v1_0/, whose pickles name sparse labels."""
    samples(root / "nuscenes", shots)
    home = root / "occ_gt_release_v1_0"
    for split, mine in _by_split(shots).items():
        infos = []
        for shot in mine:
            base = f"data/occ_gt_release_v1_0/{split}/{shot.scene}/{shot.token}"
            infos.append(
                version_1(
                    shot, "./data/nuscenes/", scene_token=token(shot.scene), occ_gt_final_path=f"{base}/occ.npy",
                    occ_invalid_path=f"{base}/invalid.npy",
                )
            )  # fmt: skip
            if labels:
                flat = shot.voxels["openocc-v1"].transpose(2, 1, 0).reshape(-1)
                index = np.flatnonzero(flat != 16)
                folder = home / split / shot.scene / shot.token
                folder.mkdir(parents=True)
                np.save(folder / "occ.npy", np.stack([index, flat[index]], 1))
                np.save(folder / "invalid.npy", np.zeros(0, np.int64))
        _pickle(home / f"nuscenes_infos_temporal_{split}_occ_gt.pkl", {"infos": infos, "metadata": {}})


def surroundocc(root: Path, shots: list[Shot], labels: bool) -> None:
    """SurroundOcc: data/ with nuscenes/, nuscenes_occ/ and pickles."""
    samples(root / "nuscenes", shots)
    (root / "nuscenes_occ").mkdir()
    for split, mine in _by_split(shots).items():
        infos = [
            version_1(shot, "./data/nuscenes/", scene_token=token(shot.scene),
                      occ_path=f"./data/nuscenes_occ/samples/{shot.file('LIDAR_TOP')}.npy")
            for shot in mine
        ]  # fmt: skip
        _pickle(root / f"nuscenes_infos_{split}.pkl", {"infos": infos, "metadata": {}})
    for shot in shots if labels else []:
        voxels = shot.voxels["surroundocc"].astype(np.int64)
        voxels[voxels == 0] = 17  # it has no class 0
        index = np.argwhere(voxels != 17)
        path = root / "nuscenes_occ" / "samples" / f"{shot.file('LIDAR_TOP')}.npy"
        path.parent.mkdir(exist_ok=True)
        np.save(path, np.column_stack([index, voxels[tuple(index.T)]]))


def semantickitti(root: Path, shots: list[Shot], labels: bool) -> None:
    """SemanticKITTI: dataset/sequences/NN with calib.txt, poses.txt, image_2/ and voxels/ (raw labels)."""
    raw = np.array([0, 10, 11, 15, 18, 20, 30, 31, 32, 40, 44, 48, 49, 50, 51, 70, 71, 72, 80, 81], "<u2")
    camera2 = shots[0].rig.cameras[0]
    tr = np.linalg.inv(shots[0].cam2lidar("CAM_FRONT"))
    for split, mine in _by_split(shots).items():
        folder = root / "dataset" / "sequences" / {"train": "00", "val": "08"}[split]
        lines = [
            f"P{at}: " + " ".join(map(str, np.column_stack([camera2.intrinsic, [0, 0, 0]]).ravel())) for at in range(4)
        ]
        (folder / "image_2").mkdir(parents=True)
        (folder / "calib.txt").write_text("\n".join([*lines, "Tr: " + " ".join(map(str, tr[:3].ravel()))]) + "\n")
        first = np.linalg.inv(mine[0].ego @ LIDAR2EGO)
        poses = [tr @ first @ mine[at // 5].ego @ LIDAR2EGO @ np.linalg.inv(tr) for at in range(5 * len(mine))]
        (folder / "poses.txt").write_text("\n".join(" ".join(map(str, one[:3].ravel())) for one in poses) + "\n")
        for at in range(5 * len(mine)):
            image = Image.open(io.BytesIO(mine[at // 5].images["CAM_FRONT"]))
            image.save(folder / "image_2" / f"{at:06d}.png")
        for at, shot in enumerate(mine):
            if labels:
                (folder / "voxels").mkdir(exist_ok=True)
                raw[shot.voxels["semantickitti"]].tofile(folder / "voxels" / f"{5 * at:06d}.label")
                (folder / "voxels" / f"{5 * at:06d}.invalid").write_bytes(bytes(256 * 256 * 32 // 8))


def occ3d_by_token(root: Path, shots: list[Shot], labels: bool) -> None:
    """Occ3D's download whose cameras are keyed by token."""
    occ3d(root, shots, labels, by_token=True)


def occ3d_in_nuscenes(root: Path, shots: list[Shot], labels: bool) -> None:
    """Occ3D's download unpacked into nuScenes, whose tables know where the LiDAR is."""
    tables(root, shots, labels)
    occ3d(root, shots, labels=False)


LAYOUTS: dict[str, tuple[Callable[[Path, list[Shot], bool], None], str, bool]] = {  # maker, format, LiDAR poses known
    "occ3d": (occ3d, "occ3d", False),
    "occ3d-by-token": (occ3d_by_token, "occ3d", False),
    "occ3d-in-nuscenes": (occ3d_in_nuscenes, "occ3d", True),
    "bevdet": (bevdet, "occ3d", True),
    "bevformer": (bevformer, "occ3d", True),
    "mmdet3d": (mmdet3d, "occ3d", True),
    "tables": (tables, "occ3d", True),
    "openocc-v1": (openocc_v1, "openocc-v1", True),
    "openocc-v2": (openocc_v2, "openocc-v2", True),
    "surroundocc": (surroundocc, "surroundocc", True),
    "semantickitti": (semantickitti, "semantickitti", True),
}
