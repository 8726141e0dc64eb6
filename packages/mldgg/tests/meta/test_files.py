"""Model files with the right checksums and the wrong content."""

from __future__ import annotations

import numpy as np
import pytest
from mldgg import MLDGG
from mldgg.meta import Adapted
from ninefold import artifacts
from ninefold.errors import ArtifactError

from ..small import domains, shown


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    model = MLDGG().fit(domains().without("south"))
    model.save(folder / "model.safetensors")
    model.adapt(shown(domains()["south"], 2)).save(folder / "adapted.safetensors")
    return folder


def rewritten(path, out, kind, change, meta=None):
    """The file with changed arrays or metadata and digests that fit."""
    held = artifacts.Artifact(path, kind=kind, format_version=4)
    arrays = {name: np.array(held.numpy(name)) for name in held.names}
    change(arrays)
    about = {"kind": kind, "format_version": 4, "package": "mldgg"}
    artifacts.save(out, arrays, **about, meta=held.meta if meta is None else meta(held.meta), force=True)
    return out


def _short(name):
    return lambda arrays: arrays.update({name: arrays[name][:-1]})


def _nan(name):
    def change(arrays):
        arrays[name].reshape(-1)[0] = np.nan

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_short("solver/head/plain"), "head/plain has shape"),
        (_short("solver/encoder/idf"), "solver/encoder/idf has shape"),
        (_short("solver/encoder/basis"), "solver/encoder/basis has shape"),
        (_short("solver/gate/0/bias"), "of the gate has shape"),
        (_nan("solver/head/plain"), "solver/head/plain has NaN"),
        (lambda arrays: arrays.pop("rows/0"), "rows/0"),
        (lambda arrays: arrays.pop("solver/encoder/mean"), "mean"),
    ],
)
def test_wrong_arrays_are_refused_by_name(saved, tmp_path, change, message):
    path = rewritten(saved / "model.safetensors", tmp_path / "m.safetensors", "mldgg.model", change)
    with pytest.raises(ArtifactError, match=f"m.safetensors.*no whole model.*{message}"):
        MLDGG.load(path)


@pytest.mark.parametrize(
    ("meta", "message"),
    [
        (lambda meta: {**meta, "settings": None}, "settings is NoneType"),
        (lambda meta: {**meta, "names": "north"}, "names is str"),
        (lambda meta: {**meta, "solver": "gated"}, "solver is str"),
        (lambda meta: {**meta, "settings": {**meta["settings"], "gate": "none"}}, "none"),
        (lambda meta: {key: one for key, one in meta.items() if key != "shared"}, "shared"),
        (lambda _: {}, "settings"),
    ],
)
def test_wrong_metadata_are_refused(saved, tmp_path, meta, message):
    path = rewritten(saved / "model.safetensors", tmp_path / "m.safetensors", "mldgg.model", lambda _: None, meta)
    with pytest.raises(ArtifactError, match=f"no whole model.*{message}"):
        MLDGG.load(path)


@pytest.mark.parametrize(
    ("change", "meta", "message"),
    [
        (_short("weights"), None, "weights has shape"),
        (_nan("weights"), None, "weights has NaN"),
        (lambda _: None, lambda meta: {**meta, "model": None}, "model is NoneType"),
        (lambda _: None, lambda meta: {**meta, "classes": "abc"}, "classes is str"),
    ],
)
def test_wrong_adapted_files_are_refused(saved, tmp_path, change, meta, message):
    path = rewritten(saved / "adapted.safetensors", tmp_path / "a.safetensors", "mldgg.adapted", change, meta)
    with pytest.raises(ArtifactError, match=f"no whole adapted model.*{message}"):
        Adapted.load(path, shown(domains()["south"], 2))
