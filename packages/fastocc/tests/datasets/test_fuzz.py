"""Changed annotations, pickles, tables, labels and rigs: each a typed error or a data set, and nothing outside -o."""

from __future__ import annotations

import contextlib
import copy
import json
import pickle
import random
from pathlib import Path

import numpy as np
import pytest
from fastocc.datasets import (
    OccDataset,
    read_occ3d,
    read_openocc_v1,
    read_openocc_v2,
    read_plain,
    read_semantickitti,
    read_surroundocc,
)
from fastocc.geometry import CameraRig, GridSpec
from ninefold.errors import ArtifactError, NinefoldError
from ninefold_testing import run_here

from .layouts import drive, mmdet3d, occ3d, tables

VALUES = [
    None, True, -1, 0, 1e308, float("nan"), "", "../../../x", "/etc/passwd", "a\x00b", [], {}, [1, 2, 3], [[1], [2, 3]],
    "scene/..", {"translation": [0, 0, 0]}, {"rotation": [0, 0, 0, 0], "translation": [0, 0, 0]}, np.zeros((3, 3)),
    np.full((4, 4), np.nan), b"bytes", 10**400, "x" * 5000,
]  # fmt: skip


def places(value, path=()):
    """Paths of all entries below a nested value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in items:
        yield (*path, key)
        yield from places(one, (*path, key))


def changed(value, rng: random.Random, values):
    """A copy with one entry replaced, removed or renamed."""
    made = copy.deepcopy(value)
    *before, last = rng.choice(list(places(made)))
    parent = made
    for key in before:
        parent = parent[key]
    how = rng.randrange(4)
    if how == 0:
        del parent[last]
    elif how == 1 and isinstance(parent, dict):
        parent[rng.choice(["../../../x", "", "a/b", "\x00", "0" * 32])] = parent.pop(last)
    else:
        parent[last] = rng.choice(values)
    return made


def opens_or_says_why(root, **more):
    try:
        data = OccDataset(root, **more)
        for at in range(len(data)):
            frame = data.frame(at)
            assert not {"/", "\\", "\x00"} & set(frame.scene + frame.token)
            assert ".." not in (frame.scene, frame.token)
        data.lidar_origins(0)
        data.labels(0)
    except NinefoldError:
        pass


@pytest.fixture(scope="module")
def shots():
    return [one for one in drive() if one.scene.endswith("0103")]


def test_annotations(shots, tmp_path):
    occ3d(tmp_path, shots, labels=False)
    path, rng = tmp_path / "annotations.json", random.Random(0)
    about = json.loads(path.read_text())
    plain = [one for one in VALUES if not isinstance(one, (np.ndarray, bytes))]
    for _ in range(150):
        path.write_text(json.dumps(changed(about, rng, plain)))
        opens_or_says_why(tmp_path)


def test_info_pickles(shots, tmp_path):
    mmdet3d(tmp_path, shots, labels=False)
    path, rng = tmp_path / "nuscenes_infos_val.pkl", random.Random(1)
    about = pickle.loads(path.read_bytes())  # noqa: S301  # safe: written by this test
    for _ in range(150):
        path.write_bytes(pickle.dumps(changed(about, rng, VALUES)))
        opens_or_says_why(tmp_path)


def test_tables(shots, tmp_path):
    tables(tmp_path, shots, labels=False)
    folder, rng = tmp_path / "v1.0-mini", random.Random(2)
    plain = [one for one in VALUES if not isinstance(one, (np.ndarray, bytes))]
    for path in sorted(folder.iterdir()):
        whole = path.read_text()
        rows = json.loads(whole)
        for _ in range(12):
            path.write_text(json.dumps(changed(rows, rng, plain)))
            opens_or_says_why(tmp_path)
        path.write_text(whole)


def test_bytes_of_a_pickle(tmp_path):
    arrays = {"a": np.arange(6.0).reshape(2, 3), "b": np.array(["x", "yz"]), "c": np.float32(3), "d": [np.int64(1)]}
    rng = random.Random(3)
    for protocol in (2, 4, 5):
        whole = pickle.dumps({"infos": [arrays]}, protocol=protocol)
        path = tmp_path / "a.pkl"
        path.write_bytes(whole)
        read = read_plain(path)["infos"][0]
        np.testing.assert_array_equal(read["a"], arrays["a"])
        assert list(read["b"]) == ["x", "yz"]
        assert (read["c"], read["d"]) == (3, [1])
        for _ in range(400):
            broken = bytearray(whole)
            for _ in range(rng.randint(1, 4)):
                broken[rng.randrange(len(broken))] = rng.randrange(256)
            path.write_bytes(bytes(broken[: rng.choice([len(broken), rng.randrange(len(broken))])]))
            with contextlib.suppress(ArtifactError):
                read_plain(path)


@pytest.mark.parametrize(
    "content",
    [
        b"cos\nsystem\n(S'echo harm > harmed'\ntR.",
        b'cbuiltins\neval\n(S\'open("harmed", "w")\'\ntR.',
        b"cnumpy.core.multiarray\n_reconstruct\n(cos\nsystem\n(I0\ntS'b'\ntR.",
        b"cnumpy\nndarray\n((I1000000000\ntS'f8'\ntR.",
        b"cnumpy\ndtype\n(S'O8'\nI0\nI1\ntR(I3\nS'|'\nNNNI-1\nI-1\nI63\ntb.",
        b"Pelsewhere\n.",
    ],
)
def test_pickles_with_code_or_tampered_types_do_nothing(content, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a.pkl").write_bytes(content)
    with contextlib.suppress(ArtifactError):
        read_plain("a.pkl")
    assert [one.name for one in tmp_path.iterdir()] == ["a.pkl"]


def test_rigs(tmp_path):
    import yaml

    CameraRig.nominal().to_yaml(tmp_path / "rig.yaml")
    about, rng = yaml.safe_load((tmp_path / "rig.yaml").read_text()), random.Random(4)
    plain = [one for one in VALUES if not isinstance(one, (np.ndarray, bytes))]
    for _ in range(150):
        (tmp_path / "rig.yaml").write_text(yaml.safe_dump(changed(about, rng, plain)))
        with contextlib.suppress(NinefoldError):
            CameraRig.from_yaml(tmp_path / "rig.yaml")


def _npz(path):
    labels = np.zeros((20, 20, 8), np.uint8)
    np.savez_compressed(path, semantics=labels, mask_camera=labels, mask_lidar=labels)


def _npy(columns):
    def write(path):
        with path.open("wb") as file:
            np.save(file, np.tile(np.arange(columns, dtype=np.int64), (30, 1)))

    return write


READERS = {  # how a small file is written; how it is read
    "occ3d": (_npz, lambda path: read_occ3d(path, GridSpec.named("micro"))),
    "openocc-v2": (_npz, read_openocc_v2),
    "openocc-v1": (_npy(2), read_openocc_v1),
    "openocc-v1, invalid": (_npy(1), lambda path: read_openocc_v1(path.with_name("whole"), path)),
    "surroundocc": (_npy(4), read_surroundocc),
    "semantickitti": (lambda path: np.zeros(256 * 256 * 32, np.uint16).tofile(path), read_semantickitti),
}


@pytest.mark.filterwarnings("ignore:.*all voxels count")
@pytest.mark.parametrize("name", READERS)
def test_labels(name, tmp_path):
    write, read = READERS[name]
    path, rng = tmp_path / "labels", random.Random(5)
    write(path.with_suffix(".npz") if write is _npz else path)
    path = path.with_suffix(".npz") if write is _npz else path
    _npy(2)(tmp_path / "whole")
    whole = path.read_bytes()
    head = len(whole) if len(whole) < 9000 else 64  # headers, and everything of files that are mostly header
    for _ in range(20 if name == "semantickitti" else 250):
        broken = bytearray(whole)
        for _ in range(rng.randint(1, 8)):
            broken[rng.randrange(head)] = rng.randrange(256)
        path.write_bytes(bytes(broken[: rng.choice([len(broken), len(broken), rng.randrange(len(broken))])]))
        with contextlib.suppress(NinefoldError):
            read(path)
    path.write_bytes(whole)


@pytest.mark.parametrize("name", ["../../../escaped", "a/../../escaped", "..", "/escaped"])
@pytest.mark.parametrize("where", ["scene", "token"])
def test_names_never_lead_out_of_the_output_folder(street, tmp_path, name, where):
    import shutil

    root = tmp_path / "street"
    shutil.copytree(street, root)
    about = json.loads((root / "annotations.json").read_text())
    infos, scene = about["scene_infos"], about["val_split"][0]
    if where == "scene":
        about["val_split"], infos[name] = [name], infos.pop(scene)
    else:
        infos[scene][name] = infos[scene].pop(next(iter(infos[scene])))
    (root / "annotations.json").write_text(json.dumps(about))
    before = sorted(tmp_path.rglob("*"))
    for words in (
        ["predict", "demo", "--root", root, "-o", tmp_path / "out"],
        ["labels", root, "--split", "val", "-o", tmp_path / "out"],
    ):
        done = run_here("fastocc.cli", *map(str, words))
        assert done.returncode == 2, done.stdout
        assert where in done.stderr
    assert sorted(tmp_path.rglob("*")) == before
