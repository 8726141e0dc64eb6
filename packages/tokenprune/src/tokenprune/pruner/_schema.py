"""What a pruner's folder must hold: one schema, checked before anything of it is used."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from ninefold.errors import ArtifactError, InputError

from tokenprune.pruner._config import FTPConfig
from tokenprune.routers._observation_router import Observation
from tokenprune.routers._schedule import checked_schedule

Check = tuple[str, Callable[[Any], bool]]  # what is expected, and whether a value is that
_MOST_BLOCKS = 10_000


def _whole(value: Any) -> bool:
    return type(value) is int


def _share(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and 0 <= value <= 1


_OBJECT: Check = ("an object", lambda value: isinstance(value, dict))
_WORDS: Check = ("words", lambda value: isinstance(value, str))
_COUNT: Check = ("a whole number from 1", lambda value: _whole(value) and value >= 1)
_ABOUT: dict[str, Check] = {
    "config": _OBJECT,
    "schedule": ("a list of numbers", lambda value: isinstance(value, list) and 1 <= len(value) <= _MOST_BLOCKS),
    "base": _OBJECT,
}
_ACHIEVED: Check = ("a share or null", lambda value: value is None or _share(value))
_MAYBE: dict[str, Check] = {"achieved_sparsity": _ACHIEVED, "measured_sparsity": _ACHIEVED}
_BASE: dict[str, Check] = {"name": _WORDS, "weights": _WORDS, "blocks": _COUNT}
_MAYBE_BASE: dict[str, Check] = {"hashed": _WORDS, "dtype": _WORDS, "hidden_size": _COUNT, "vocab_size": _COUNT}


def checked_about(about: Any, path: Path, kind: type[FTPConfig] = FTPConfig) -> dict[str, Any]:
    """Settings, schedule and model of a folder.

    Raises:
        ArtifactError: names the file, the field, what it holds and what is expected.
    """
    whole = checked_object(about, path, "`about`")
    _check(whole, path, "", _ABOUT, _MAYBE)
    _check(whole["base"], path, "base ", _BASE, _MAYBE_BASE)
    if whole["config"].get("router") == "dynamic" != kind.routers[0]:
        raise ArtifactError(path, "holds the published method's router: read it with tokenprune.ftp.PublishedPruner")
    for name in ("score_window", "hidden", "router_start", "seed") if whole["config"].get("router") == "static" else ():
        whole["config"].pop(name, None)  # of a net, which the static rule has not: the published method's folders
    checked_config(whole["config"], path, kind)
    try:
        schedule = checked_schedule(whole["schedule"], len(whole["schedule"]))
    except InputError as error:
        raise ArtifactError(path, f"is not a pruner's: {error}") from None
    if len(schedule) != whole["base"]["blocks"]:
        raise ArtifactError(
            path, f"is not a pruner's: schedule of {len(schedule)} blocks for {whole['base']['blocks']}"
        )
    return whole


def checked_config(config: Mapping[str, Any], path: Path, kind: type[FTPConfig] = FTPConfig) -> FTPConfig:
    """The settings of a folder, as its kind of pruner takes them."""
    known = {"": kind, "observation ": Observation}
    inner = config.get("observation", {})
    for where, held in (("", config), ("observation ", checked_object(inner, path, "observation"))):
        extra = sorted(set(held) - {field.name for field in fields(known[where])})
        # older folders meant other values by leaving these out
        gone = [name for name in ("lasting", "pooling") if where and held and name not in held]
        wrong = [f"{name} is no setting of this version" for name in extra] + [f"{name} is missing" for name in gone]
        if wrong:
            raise ArtifactError(path, f"is not a pruner's: {where}{wrong[0]}")
    try:
        return kind(**config)
    except InputError as error:
        raise ArtifactError(path, f"is not a pruner's: {error}") from None


def checked_object(value: Any, path: Path, what: str = "it") -> dict[str, Any]:
    """A JSON object; ArtifactError else."""
    if not isinstance(value, dict):
        raise ArtifactError(path, f"is not a pruner's: {what} holds {_shown(value)}, expected an object")
    return value


def read_object(text: str, path: Path, what: str = "it") -> dict[str, Any]:
    """JSON text of an object; ArtifactError else."""
    try:
        return checked_object(json.loads(text), path, what)
    except (ValueError, RecursionError):
        raise ArtifactError(path, f"is damaged: {what} is no JSON") from None


def _check(
    held: Mapping[str, Any], path: Path, where: str, needed: Mapping[str, Check], maybe: Mapping[str, Check]
) -> None:  # fmt: skip
    for name, (expected, good) in {**needed, **maybe}.items():
        if name not in held:
            if name in needed:
                raise ArtifactError(path, f"is not a pruner's: {where}{name} is missing, expected {expected}")
        elif not good(held[name]):
            raise ArtifactError(
                path, f"is not a pruner's: {where}{name} holds {_shown(held[name])}, expected {expected}"
            )


def _shown(value: Any) -> str:
    return f"{value!r:.60}"
