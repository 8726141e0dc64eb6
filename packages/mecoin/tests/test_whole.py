"""Files whose checksums are right and whose content is not: refused by name, or safe to use."""

from __future__ import annotations

import numpy as np
import pytest
from mecoin import Mecoin
from mecoin.memory._mecoin import FORMAT, KIND
from mecoin.paper import PaperModel
from ninefold import artifacts
from ninefold.errors import NinefoldError

from .small import DATA, NEXT, SUPPORT, fitted

SIX = DATA.induced(np.flatnonzero(DATA.y < 6))
MORE = {5: DATA.ids[DATA.y == 5][:5]}
FORMS = {
    "a row short": lambda array: array[:-1] if array.ndim and len(array) else None,
    "NaN": lambda array: np.full_like(array, np.nan) if array.dtype.kind == "f" else None,
    "too large": lambda array: np.full_like(array, 99) if array.dtype.kind in "iu" else None,
    "flat": lambda array: array.reshape(-1) if array.ndim == 2 else None,
}
MUST = {  # of those that have no meaning; others are what an older version wrote, or cannot be told
    ("a row short", "memory.smu.prototypes"),
    ("a row short", "memory.construction.transform"),
    ("a row short", "encoder.weights"),
    ("a row short", "owners"),
    ("a row short", "memory.mram.rows"),
    ("too large", "owners"),
    ("too large", "memory.kept.target"),
    ("too large", "classes"),
    ("flat", "memory.reach"),
}


@pytest.mark.parametrize("kind", [Mecoin, PaperModel])
def test_content_that_does_not_fit_is_refused_or_safe(kind, tmp_path):
    fitted(kind).add_classes(NEXT, SUPPORT).save(tmp_path / "whole.safetensors")
    held = artifacts.Artifact(tmp_path / "whole.safetensors", kind=KIND, format_version=FORMAT)
    arrays, path, refused = {name: held.numpy(name) for name in held.names}, tmp_path / "changed.safetensors", set()
    about = {"kind": KIND, "format_version": FORMAT, "package": "mecoin", "force": True}
    for name, array in arrays.items():
        for form, change in FORMS.items():
            changed = change(array)
            if changed is None:
                continue
            artifacts.save(path, {**arrays, name: changed}, meta=held.meta, **about)
            try:
                model = kind.load(path)
                chances = model.predict_proba(NEXT)
            except NinefoldError:  # of use too: a file may tell of fewer features than the graph has
                refused.add((form, name))
                continue
            assert form != "NaN", name
            assert np.isfinite(chances).all(), name
            assert np.isfinite(model.novelty(NEXT)).all(), name
            model.add_classes(SIX, MORE).forget([1])
    assert {one for one in MUST if one[1] in arrays} <= refused


@pytest.mark.parametrize("value", [None, "text", [1]])
def test_metadata_of_another_kind_is_refused_or_safe(value, tmp_path):
    fitted(encoder="sgc").save(tmp_path / "whole.safetensors")
    held = artifacts.Artifact(tmp_path / "whole.safetensors", kind=KIND, format_version=FORMAT)
    arrays, path, refused = {name: held.numpy(name) for name in held.names}, tmp_path / "changed.safetensors", set()
    for key in held.meta:
        meta = {**held.meta, key: value}
        artifacts.save(path, arrays, kind=KIND, format_version=FORMAT, package="mecoin", meta=meta, force=True)
        try:
            Mecoin.load(path).predict_proba(NEXT)
        except NinefoldError:
            refused.add(key)
    assert {"labels", "hidden", "seed", "mode", "variant"} <= refused
