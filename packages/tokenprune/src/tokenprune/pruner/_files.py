"""A pruner's folder: ftp_config.json, router.safetensors, search_history.jsonl, metrics.json, and the core's manifest.

ftp_config.json holds the settings, the schedule, and which model it was made for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ninefold.artifacts import Artifact, FolderArtifact, save, settled, write_folder
from ninefold.errors import ArtifactError
from ninefold.files import MANIFEST
from torch import Tensor

from tokenprune.pruner._config import FTPConfig
from tokenprune.pruner._schema import checked_about, read_object

Parts = tuple[dict[str, Any], dict[str, Tensor], list[dict[str, Any]], dict[str, Any]]
CONFIG, ROUTER, HISTORY, METRICS = "ftp_config.json", "router.safetensors", "search_history.jsonl", "metrics.json"
_FOLDER: Any = {"kind": "tokenprune.pruner", "format_version": 2}
_NET: Any = {"kind": "tokenprune.router", "format_version": 1}


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, indent=1)


def write(
    folder: Path, about: Mapping[str, Any], net: Mapping[str, Tensor], history: Sequence[Mapping[str, Any]],
    metrics: Mapping[str, Any], *, force: bool,
) -> None:  # fmt: skip
    """Write a pruner's folder, whole or not at all.

    Args:
        folder: refused if it exists, unless `force` and it is a pruner's.
        about: settings, schedule and model, as JSON values.
        net: the router's weights; none for the static router.
        history: a line for each generation searched.
        metrics: what was measured.
        force: replace a pruner that is there.
    """
    with write_folder(folder, force=force, package="tokenprune", ours=_is_pruners, **_FOLDER) as new:
        save(new / ROUTER, net, package="tokenprune", **_NET)
        (new / HISTORY).write_text("".join(json.dumps(line) + "\n" for line in history), encoding="utf-8")
        (new / METRICS).write_text(_canonical(metrics), encoding="utf-8")
        (new / CONFIG).write_text(_canonical({"format_version": 2, "about": about, "files": {}}), encoding="utf-8")


def _is_pruners(file: Path) -> bool:
    """Whether a file is one of a pruner's folder."""
    return file.name in (CONFIG, ROUTER, HISTORY, METRICS, MANIFEST) and (file.parent / CONFIG).is_file()


def read(folder: Path, kind: type[FTPConfig] = FTPConfig) -> Parts:
    """(about, net, history, metrics) of a pruner's folder, whose settings are of this kind.

    Raises:
        ArtifactError: with the file and the reason, if anything is missing, damaged, foreign or newer.
    """
    return settled(folder, lambda: _read(folder, kind))


def router_of(folder: Path) -> str:
    """The name of a folder's router, unchecked; empty where there is none to be read."""
    try:
        return str(json.loads((folder / CONFIG).read_text(encoding="utf-8"))["about"]["config"]["router"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ""


def _read(folder: Path, kind: type[FTPConfig]) -> Parts:
    path = folder / CONFIG
    if not path.is_file() and not (folder / MANIFEST).is_file():
        raise ArtifactError(path, "is not there: this is no folder of a pruner")
    held = FolderArtifact(folder, **_FOLDER)
    held.verify()
    about = checked_about(read_object(_text(held.file(CONFIG)), path).get("about"), path, kind)
    stored = Artifact(folder / ROUTER, **_NET)
    net = {name: stored.torch(name) for name in stored.names}
    lines = _text(folder / HISTORY).splitlines()
    history = [read_object(line, folder / HISTORY, f"line {at}") for at, line in enumerate(lines, 1)]
    return about, net, history, read_object(_text(folder / METRICS), folder / METRICS)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ArtifactError(path, "is damaged: it is not UTF-8") from None
