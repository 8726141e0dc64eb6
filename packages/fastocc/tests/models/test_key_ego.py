"""Weights of BEVDet and FlashOcc see cameras in the ego frame of their first camera, as their code builds it.

The expected matrices follow BEVDet's public loader (`get_sensor2ego_transformation` of `PrepareImageInputs`), from the
calibration alone: sensor2keyego = inv(keyego2global) @ ego2global @ sensor2ego, with the ego pose of the first camera
of its configuration, CAM_FRONT_LEFT, as the key.
"""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from fastocc.datasets import OccDataset
from fastocc.evaluation import predict_frame
from fastocc.models import FastOccConfig, FastOccModel
from ninefold.errors import InputError

from ..datasets.layouts import LAYOUTS, SCENES, drive


@pytest.fixture(scope="module")
def shots():
    return drive()


def bevdet_poses(shot, names):
    sensor2ego = {camera.name: camera.cam2ego for camera in shot.rig.cameras}
    keyego2global = shot.late["CAM_FRONT_LEFT"]
    return np.stack([np.linalg.inv(keyego2global) @ shot.late[name] @ sensor2ego[name] for name in names])


@pytest.mark.parametrize("name", ["bevdet", "bevformer", "mmdet3d", "occ3d", "tables", "occ3d-by-token"])
def test_poses_are_those_of_bevdet(name, shots, tmp_path):
    LAYOUTS[name][0](tmp_path, shots, False)
    data = OccDataset(tmp_path)
    shot = next(one for one in shots if one.scene in SCENES["val"])
    frame = data.frame(0, key_camera="CAM_FRONT_LEFT")
    expected = bevdet_poses(shot, data.cameras)
    np.testing.assert_allclose(frame.cam2ego, expected, atol=1e-5)
    np.testing.assert_allclose(frame.ego2global, shot.late["CAM_FRONT_LEFT"], atol=1e-6)
    # a pixel is half of a thousandth of the focal length here, and the two frames are up to .3 m apart
    points = np.random.default_rng(0).uniform((-30, -30, 0), (30, 30, 4), (500, 3))
    off = []
    for poses in (frame.cam2ego, data.frame(0).cam2ego):
        for at, camera in enumerate(data.cameras):
            inner = shot.rig.cameras[shot.rig.names.index(camera)].intrinsic
            seen, known = ((points - pose[:3, 3]) @ pose[:3, :3] @ inner.T for pose in (poses[at], expected[at]))
            ahead = (known[:, 2] > 2) & (seen[:, 2] > 1)
            apart = seen[ahead, :2] / seen[ahead, 2:] - known[ahead, :2] / known[ahead, 2:]
            off.append((poses is frame.cam2ego, np.abs(apart).max()))
    assert max(one for ours, one in off if ours) < 0.5
    assert max(one for ours, one in off if not ours) > 0.5


def test_infos_without_the_ego_poses_of_cameras_are_refused(shots, tmp_path):
    LAYOUTS["bevdet"][0](tmp_path, shots, False)
    for path in tmp_path.glob("*.pkl"):
        about = pickle.loads(path.read_bytes())  # noqa: S301  # safe: written above
        for camera in (camera for one in about["infos"] for camera in one["cams"].values()):
            del camera["ego2global_translation"]
        path.write_bytes(pickle.dumps(about, protocol=4))
    with pytest.raises(InputError, match="ego pose of camera CAM_FRONT_LEFT"):
        OccDataset(tmp_path).frame(0, key_camera="CAM_FRONT_LEFT")


def test_evaluation_of_a_bevdet_view_uses_them_and_other_views_do_not(shots, tmp_path, monkeypatch):
    LAYOUTS["occ3d"][0](tmp_path, shots, False)
    small = {"image_channels": 4, "view_channels": 4, "bev_channels": 8, "widths": (4, 4, 4)}
    given = {}
    for view in ("bevdet", "lut"):
        config = FastOccConfig.preset("micro", view=view, format="occ3d", grid="occ3d", channels=2, head="c2h")
        model = FastOccModel(replace(config, **small)).eval()
        data = OccDataset(tmp_path, size=config.image_size)

        def kept(queue, view=view):
            given[view] = queue[-1]["cam2ego"][0].numpy()
            return type("Output", (), {"semantics": torch.zeros(1, 1)})()

        monkeypatch.setattr(model, "run_queue", kept)
        predict_frame(model, data, 0)
    shot = next(one for one in shots if one.scene in SCENES["val"])
    np.testing.assert_allclose(given["bevdet"], bevdet_poses(shot, data.cameras), atol=1e-5)
    np.testing.assert_allclose(given["lut"], data.frame(0).cam2ego)
    assert np.abs(given["lut"] - given["bevdet"]).max() > 0.04
