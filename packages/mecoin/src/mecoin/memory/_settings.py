"""The settings of a model, checked before anything is learnt, and as a file holds them."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ninefold.errors import ArtifactError, InputError
from ninefold_graphs import whole_number

from mecoin.sessions._stream import MODES

READERS = {"mecoin+": "mecoin.Mecoin.load", "paper": "mecoin.paper.PaperModel.load"}  # by the variant in a file


def checked(settings: Mapping[str, Any], metrics: Sequence[str]) -> dict[str, Any]:
    """The settings as they are kept. Raises: InputError naming the setting that is wrong."""
    made = dict(settings)
    if made["mode"] not in MODES:
        raise InputError("mode", got=repr(made["mode"]), expected=" or ".join(MODES))
    for name in ("hidden", "proto_per_class"):
        made[name] = whole_number(name, made[name], 1)
    made["seed"] = whole_number("seed", made["seed"], 0)
    if made["metric"] is not None and made["metric"] not in metrics:
        raise InputError("metric", got=repr(made["metric"]), expected=" or ".join(metrics))
    if not isinstance(made.get("transductive", True), bool):
        raise InputError("transductive", got=repr(made["transductive"]), expected="True or False")
    return made


def settings_in_file(kind: type, meta: Mapping[str, Any], version: int, path: Path) -> dict[str, Any]:
    """Arguments of a model of this kind, from a file's metadata; what its variant never used is left out.

    Raises: ArtifactError for a model of another kind, and for a whitened one that version 0.1.0 called "euclidean".
    """
    variant, wanted = meta["variant"], getattr(kind, "variant", None)
    if variant != wanted:
        reader = READERS.get(variant)
        how = f"read it with {reader}" if reader else "this version has no such variant; version 0.1.0 reads it"
        raise ArtifactError(path, f"holds a model of variant {variant!r}: {how}")
    if version == 1 and variant == "mecoin+" and meta["metric"] == "euclidean":
        reason = "whose keys were whitened and of unit length, so that magnitude did not count"
        again = "fit it anew, with metric='whitened' for the same answers"
        raise ArtifactError(path, f"was made by version 0.1.0 with metric 'euclidean', {reason}; {again}")
    known = inspect.signature(kind).parameters
    return {name: value for name, value in meta.items() if name in known}
