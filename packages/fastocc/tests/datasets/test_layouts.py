"""Each public layout opens by its root alone, with and without labels, and scores as the public code scores."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from fastocc.datasets import FORMATS, OccDataset
from fastocc.evaluation import MIoU, RayIoU, evaluate, select_origins
from fastocc.models import FastOccConfig, FastOccModel
from ninefold.errors import InputError
from ninefold_testing import run_here
from PIL import Image

from .layouts import LAYOUTS, LIDAR2EGO, SCENES, SIZE, drive, tables

SEVEN = ["occ3d", "bevdet", "tables", "openocc-v1", "openocc-v2", "surroundocc", "semantickitti"]


@pytest.fixture(scope="session")
def shots():
    return drive()


@pytest.fixture(scope="session")
def layout(shots, tmp_path_factory):
    """The root of a layout by name, made once."""
    made: dict[tuple[str, bool], Path] = {}

    def root(name: str, labels: bool = True) -> Path:
        if (name, labels) not in made:
            made[name, labels] = tmp_path_factory.mktemp(name)
            LAYOUTS[name][0](made[name, labels], shots, labels)
        return made[name, labels]

    return root


def of_split(shots, split):
    return [one for one in shots if one.scene in SCENES[split]]


@pytest.mark.parametrize("split", ["train", "val"])
@pytest.mark.parametrize("name", LAYOUTS)
def test_layout_opens_by_its_root_alone(layout, shots, name, split):
    data, mine = OccDataset(layout(name), split=split), of_split(shots, split)
    _, format_name, _ = LAYOUTS[name]
    assert (data.format.name, data.labelled, len(data)) == (format_name, True, 4)
    for at, shot in enumerate(mine):
        frame = data[at]
        for place, camera in enumerate(data.cameras):
            source = "CAM_FRONT" if name == "semantickitti" else camera
            image = np.asarray(Image.open(io.BytesIO(shot.images[source])).convert("RGB"))
            np.testing.assert_array_equal(frame.images[place], image.transpose(2, 0, 1))
            expected = shot.cam2label(source, data.format.frame)
            if name == "semantickitti":  # a fixed camera
                expected = of_split(shots, "train")[0].cam2lidar(source)
            np.testing.assert_allclose(frame.cam2ego[place], expected, atol=1e-5)
        voxels = shot.voxels[format_name]
        if name == "surroundocc":
            voxels = np.where(voxels == 0, 17, voxels)
        np.testing.assert_array_equal(frame.labels.semantics, voxels)
        assert len(data.cameras) == (1 if name == "semantickitti" else 6)


@pytest.mark.parametrize("name", LAYOUTS)
def test_scenes_are_scenes(layout, shots, name):
    data = OccDataset(layout(name))
    scenes = [one.scene for one in data.infos]
    if name == "semantickitti":
        assert set(scenes) == {"08"}
        assert data.previous(3, 9) == [0, 1, 2]
        return
    assert [data.previous(at, 9) for at in range(4)] == [[], [0], [], [2]]
    assert [one.token for one in data.infos] == [one.token for one in of_split(shots, "val")]


@pytest.mark.parametrize("name", LAYOUTS)
def test_lidar_positions_are_those_of_the_drive_or_refused(layout, shots, name):
    data, mine = OccDataset(layout(name), limit=2), of_split(shots, "val")
    if not LAYOUTS[name][2]:
        with pytest.raises(InputError, match=r"LiDAR poses.*tables"):
            data.lidar_origins(0)
        return
    here = mine[0].ego if data.format.frame == "ego" else mine[0].ego @ LIDAR2EGO
    scene = mine[:1] if name == "semantickitti" else mine[:2]  # of the scene, but SemanticKITTI's own sensor only
    expected = [(np.linalg.inv(here) @ one.ego @ LIDAR2EGO)[:3, 3] for one in scene]
    np.testing.assert_allclose(data.lidar_origins(0), expected, atol=1e-6)


@pytest.mark.parametrize("name", LAYOUTS)
def test_layout_without_labels_is_predicted_and_not_scored(layout, shots, name):
    data = OccDataset(layout(name, labels=False))
    assert not data.labelled
    assert len(data) == 4
    frame = data[0]
    assert frame.images.shape == (len(data.cameras), 3, *SIZE)
    assert frame.labels is None
    with pytest.raises(InputError, match="labels"):
        data.labels(0)
    config = FastOccConfig.preset("micro", format=data.format.name, grid=data.format.grid, cameras=len(data.cameras))
    with pytest.raises(InputError, match="labels"):
        evaluate(FastOccModel(config), data)


def hist_miou(pairs, count, free):
    """The challenge's published form: one histogram, IoU of each class, mean over those but the free one."""
    hist = np.zeros((count, count))
    for predicted, labels, mask in pairs:
        guess, truth = predicted[mask].astype(int), labels[mask].astype(int)
        hist += np.bincount(count * truth + guess, minlength=count**2).reshape(count, count)
    iou = np.diag(hist) / (hist.sum(1) + hist.sum(0) - np.diag(hist))
    return np.nanmean(np.delete(iou, free))


@pytest.mark.parametrize("name", LAYOUTS)
def test_metrics_through_a_layout_are_those_of_the_public_code(layout, shots, name):
    data, mine, rng = OccDataset(layout(name)), of_split(shots, "val"), np.random.default_rng(0)
    kind = FORMATS[LAYOUTS[name][1]]
    rays = LAYOUTS[name][2] and name != "semantickitti"  # where the drive has no origin ahead of the first frame
    metric, pairs = MIoU(kind.classes, kind.free), []
    ray, direct = (RayIoU(data.grid, kind.classes, kind.free) for _ in range(2))
    for at, shot in enumerate(mine[:2]):
        truth = shot.voxels[kind.name]
        truth = np.where(truth == 0, 17, truth).astype(np.uint8) if name == "surroundocc" else truth
        guess = np.roll(truth, (1, 1), (0, 2))
        guess[rng.random(guess.shape) < 0.02] = kind.free
        labels = data.labels(at)
        mask = shot.mask if labels.mask_camera is not None else np.ones(truth.shape, bool)
        metric.add(guess, labels.semantics, labels.mask_camera)
        pairs.append((guess, truth, mask))
        if rays:
            here = shot.ego if kind.frame == "ego" else shot.ego @ LIDAR2EGO
            places = np.stack([(np.linalg.inv(here) @ one.ego @ LIDAR2EGO)[:3, 3] for one in mine[:2]]).round(6)
            ray.add(guess, labels.semantics, select_origins(data.lidar_origins(at), data.grid)[:2])
            direct.add(guess, truth, select_origins(places, data.grid)[:2])
    assert 100 * metric.compute().miou == pytest.approx(100 * hist_miou(pairs, len(kind.classes), kind.free), abs=0.01)
    if rays:
        assert 100 * ray.compute().rayiou == pytest.approx(100 * direct.compute().rayiou, abs=0.01)


def test_official_splits_have_their_sizes():
    from fastocc.datasets._tables import _VAL, in_split

    assert sum(high - low + 1 for low, high in _VAL) == 150
    assert in_split("v1.0-trainval", "scene-0553", "val")
    assert in_split("v1.0-mini", "scene-0553", "train")
    assert in_split("v1.0-test", "scene-0077", "test")
    assert not in_split("v1.0-trainval", "scene-0061", "val")


def test_lidarseg_has_the_names_of_the_format(layout):
    data = OccDataset(layout("tables"))
    points, labels = data.points(0)
    assert points.shape == (50, 3)
    names = ["-" if one == 255 else data.format.classes[one] for one in labels[:32]]
    assert [names[at] for at in (0, 2, 9, 12, 15, 17, 24, 30, 31)] == [
        "-", "pedestrian", "barrier", "traffic_cone", "bus", "car", "driveable_surface", "vegetation", "-",
    ]  # fmt: skip
    other = OccDataset(layout("tables"), "openocc-v2")
    _, labels = other.points(0)
    assert other.format.classes[labels[17]] == "car"
    assert labels[1] == 255  # it has no class `others`


def test_camera_poses_are_the_same_through_each_list_of_frames(layout):
    poses = [OccDataset(layout(name))[1].cam2ego for name in ("occ3d", "bevdet", "bevformer", "mmdet3d")]
    tables_first = OccDataset(layout("tables"))
    order = [tables_first.cameras.index(name) for name in OccDataset(layout("occ3d")).cameras]
    poses.append(tables_first[1].cam2ego[order])
    for one in poses[1:]:
        np.testing.assert_allclose(one, poses[0], atol=2e-5)


def test_infos_are_what_lists_the_frames_whatever_else_is_there(layout, shots, tmp_path):
    root = tmp_path / "root"
    shutil.copytree(layout("bevdet"), root)
    shutil.copy(layout("occ3d") / "annotations.json", root)
    assert OccDataset(root).source.name == "annotations.json"
    data = OccDataset(root, infos=root / "bevdetv2-nuscenes_infos_train.pkl")
    assert data.infos[0].scene == SCENES["train"][0]


def test_empty_folder_says_what_was_looked_for(tmp_path):
    with pytest.raises(InputError, match=r"annotations\.json.*info pickle.*v1\.0.*sequences"):
        OccDataset(tmp_path)


def test_truncated_table_is_named_with_its_row(shots, tmp_path):
    tables(tmp_path, shots, labels=False)
    path = tmp_path / "v1.0-mini" / "sample_data.json"
    path.write_text(path.read_text()[:-40])
    with pytest.raises(Exception, match=r"sample_data\.json.*truncated in row 111"):
        OccDataset(tmp_path)


@pytest.fixture(scope="session")
def model_of(tmp_path_factory):
    """A folder with an untrained network for a label format and a number of cameras."""

    def folder(format_name: str, cameras: int) -> str:
        path = tmp_path_factory.getbasetemp() / f"model-{format_name}"
        if not path.exists():
            small = {"image_channels": 4, "view_channels": 4, "bev_channels": 4, "widths": (4, 4, 4), "channels": 2}
            shape = {"format": format_name, "grid": FORMATS[format_name].grid, "cameras": cameras}
            FastOccModel(FastOccConfig.preset("micro", **shape, **small)).save_pretrained(path)
        return str(path)

    return folder


def run(*words):
    done = run_here("fastocc.cli", *map(str, words))
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("name", [*SEVEN, "mmdet3d"])
def test_verbs_need_nothing_but_the_root(layout, model_of, name, tmp_path):
    _, format_name, known = LAYOUTS[name]
    model = model_of(format_name, 1 if name == "semantickitti" else 6)
    rays = name in ("tables", "openocc-v1")
    status, said = run("eval", model, "--root", layout(name), "--limit", 1, *(["--rayiou"] if rays else []))
    assert status == 0, said
    assert ("RayIoU" in said) == rays
    bare = layout(name, labels=False)
    status, said = run("predict", model, "--root", bare, "--limit", 1, "-o", tmp_path / "voxels")
    assert status == 0, said
    assert len(list((tmp_path / "voxels").rglob("*.npz"))) == 1
    status, said = run("eval", model, "--root", bare)
    assert (status, "labels" in said) == (2, True)
    if not known:
        status, said = run("eval", model, "--root", layout(name), "--rayiou")
        assert (status, "LiDAR poses" in said) == (2, True)


@pytest.mark.parametrize("name", SEVEN)
def test_training_starts_from_a_model_on_each_layout(layout, model_of, name, tmp_path):
    model = model_of(LAYOUTS[name][1], 1 if name == "semantickitti" else 6)
    words = ("train", "--init", model, "--preset", "micro", "--root", layout(name), "--steps", 1, "--limit", 1)
    status, said = run(*words, "-o", tmp_path / "run")
    assert status == 0, said
    assert FastOccModel.from_pretrained(tmp_path / "run" / "model").config.format == LAYOUTS[name][1]


def test_what_info_says_of_a_layout(layout):
    status, said = run("info", layout("occ3d-by-token"))
    assert status == 0, said
    assert "annotations.json" in said
    assert "no RayIoU" in said
