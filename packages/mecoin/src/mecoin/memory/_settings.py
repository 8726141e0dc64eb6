"""The settings of a model, checked before anything is learnt; a setting that a variant has no use for is refused."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Real
from pathlib import Path
from typing import Any

from ninefold.errors import ArtifactError, InputError
from ninefold_graphs import whole_number

from mecoin.sessions._stream import MODES

VARIANTS = ("mecoin+", "paper", "codebook")
LAMBDAS = (0.5, 0.5, 0.1)
GRAPHINFO = 128
USUAL: dict[str, Any] = {
    "proto_per_class": 1,
    "graphinfo_dim": GRAPHINFO,
    "metric": None,
    "lambdas": LAMBDAS,
    "transductive": True,
}
METRICS = {"mecoin+": ("whitened", "cosine", "euclidean"), "paper": ("euclidean", "cosine"), "codebook": ()}


def checked(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings as they are kept, `lambdas` as a list.

    Raises: InputError naming the setting that is wrong, or that the variant ignores.
    """
    made = dict(settings)
    variant = made["variant"]
    if variant not in VARIANTS:
        raise InputError("variant", got=repr(variant), expected=f"one of {', '.join(VARIANTS)}")
    if made["mode"] not in MODES:
        raise InputError("mode", got=repr(made["mode"]), expected=" or ".join(MODES))
    for name in ("hidden", "proto_per_class", "graphinfo_dim"):
        made[name] = whole_number(name, made[name], 1)
    made["seed"] = whole_number("seed", made["seed"], 0)
    made["lambdas"] = _weights(made["lambdas"])
    for name, usual in USUAL.items():
        reason = _ignored(variant, name)
        if reason and made[name] != (list(usual) if name == "lambdas" else usual):
            raise InputError(name, got=made[name], expected=f"to be left out: {reason}")
    if made["metric"] is not None and made["metric"] not in METRICS[variant]:
        expected = f"{' or '.join(METRICS[variant])} for variant {variant!r}"
        raise InputError("metric", got=repr(made["metric"]), expected=expected)
    if not isinstance(made["transductive"], bool):
        raise InputError("transductive", got=repr(made["transductive"]), expected="True or False")
    return made


def of_file(settings: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Settings as a file of version 0.1.0 may hold them: what its variant ignored is what it is by default.

    Raises: ArtifactError for "euclidean" of `mecoin+`, which there was a distance between whitened keys of unit length.
    """
    made = {**settings, "lambdas": tuple(settings["lambdas"])}
    if made["variant"] == "mecoin+" and made["metric"] == "euclidean":
        reason = "whose keys were whitened and of unit length, so that magnitude did not count"
        again = "fit it anew, with metric='whitened' for the same answers"
        raise ArtifactError(path, f"was made by version 0.1.0 with metric 'euclidean', {reason}; {again}")
    if made["variant"] != "paper":
        made |= {"lambdas": LAMBDAS, "graphinfo_dim": GRAPHINFO}
    return made


def _weights(lambdas: Any) -> list[float]:
    given: list[Any] = list(lambdas) if isinstance(lambdas, tuple | list) else []
    real = all(isinstance(one, Real) and not isinstance(one, bool) and math.isfinite(one) for one in given)
    if not real or len(given) != 3 or min(given) < 0:
        raise InputError("lambdas", got=lambdas, expected="three weights of at least 0")
    return given


def _ignored(variant: str, name: str) -> str | None:
    """Why a variant has no use for a setting; None if it has."""
    if variant == "codebook":
        return "the codebook has no such part"
    if variant == "mecoin+" and name == "graphinfo_dim":
        return "mecoin+ has no GraphInfo"
    if variant == "mecoin+" and name == "lambdas":
        return "mecoin+ trains no head and has no edge loss"
    if variant == "paper" and name == "transductive":
        return "only mecoin+ reads unlabelled nodes"
    return None
