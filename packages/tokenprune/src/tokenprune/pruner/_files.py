"""A pruner's folder: ftp_config.json, router.safetensors, search_history.jsonl, metrics.json, and the core's manifest.

ftp_config.json holds the settings, the schedule, and which model it was made for. In folders of 0.1.0, which are read
too, it also held what the manifest holds now: digests of itself and of the other files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ninefold.artifacts import Artifact, FolderArtifact, save, settled, write_folder
from ninefold.errors import ArtifactError
from ninefold.files import MANIFEST, digest, digest_file
from torch import Tensor

from tokenprune.pruner._config import FTPConfig
from tokenprune.pruner._schema import checked_about, checked_object, of_this_version, read_object

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
    """Whether a file is one of a pruner's folder, of this version or 0.1.0."""
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
    if not (folder / CONFIG).is_file() and not (folder / MANIFEST).is_file():
        raise ArtifactError(folder / CONFIG, "is not there: this is no folder of a pruner")
    if (folder / MANIFEST).is_file():
        held = FolderArtifact(folder, **_FOLDER)
        held.verify()
        about = read_object(_text(held.file(CONFIG)), folder / CONFIG).get("about")
    else:
        about = _read_old(folder)
    path = folder / CONFIG
    config = checked_object(checked_object(about, path, "`about`").get("config"), path, "config")
    of_this_version(config, path, kind)
    about = checked_about(about, path, kind)
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


def _read_old(folder: Path) -> dict[str, Any]:
    """The settings of a folder of 0.1.0, whose every file was checked."""
    path = folder / CONFIG
    try:
        text = path.read_text(encoding="utf-8")
        document = json.loads(text)
        version, about, files = document["format_version"], document["about"], document["files"]
    except (ValueError, KeyError, TypeError):
        raise ArtifactError(path, "is damaged: it does not hold a pruner's settings") from None
    if version != 1 or text != _canonical(document) or digest(_canonical(about).encode()) != document.get("digest"):
        raise ArtifactError(path, "is damaged: its content does not match its digest")
    if set(files) != {ROUTER, HISTORY, METRICS}:
        raise ArtifactError(path, "is damaged: it lists other files than a pruner has")
    for name, expected in files.items():
        if not (folder / name).is_file():
            raise ArtifactError(folder / name, "is not there")
        if digest_file(folder / name) != expected:
            raise ArtifactError(folder / name, "is damaged: it does not match its digest")
    return about
