"""A pruner's folder: ftp_config.json, router.safetensors, search_history.jsonl, metrics.json, every byte accounted for.

ftp_config.json holds the settings, the schedule, which model it was made for, and the digests of the other files; it
is written last, in one canonical form, so that any change of it is noticed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ninefold import artifacts
from ninefold.errors import ArtifactError
from ninefold.files import atomic_folder, digest, digest_file
from torch import Tensor

Parts = tuple[dict[str, Any], dict[str, Tensor], list[dict[str, Any]], dict[str, Any]]
FORMAT, KIND = 2, "tokenprune.router"
CONFIG, ROUTER, HISTORY, METRICS = "ftp_config.json", "router.safetensors", "search_history.jsonl", "metrics.json"


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, indent=1)


def write(
    folder: Path, about: Mapping[str, Any], net: Mapping[str, Tensor], history: Sequence[Mapping[str, Any]],
    metrics: Mapping[str, Any], *, force: bool,
) -> None:  # fmt: skip
    """Write a pruner's folder, whole or not at all.

    Args:
        folder: refused if it exists, unless `force`.
        about: settings, schedule and model, as JSON values.
        net: the router's weights; none for the static router.
        history: a line for each generation searched.
        metrics: what was measured.
        force: replace what is there.
    """
    with atomic_folder(folder, force=force) as new:
        artifacts.save(new / ROUTER, net, kind=KIND, format_version=FORMAT, package="tokenprune")
        (new / HISTORY).write_text("".join(json.dumps(line) + "\n" for line in history), encoding="utf-8")
        (new / METRICS).write_text(_canonical(metrics), encoding="utf-8")
        document = {
            "format_version": FORMAT,
            "about": about,
            "digest": digest(_canonical(about).encode()),
            "files": {name: digest_file(new / name) for name in (ROUTER, HISTORY, METRICS)},
        }
        (new / CONFIG).write_text(_canonical(document), encoding="utf-8")


def read(folder: Path) -> Parts:
    """(about, net, history, metrics) of a pruner's folder.

    Raises:
        ArtifactError: with the file and the reason, if anything is missing, damaged, foreign or newer.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise ArtifactError(path, "is not there: this is no folder of a pruner")
    try:
        text = path.read_text(encoding="utf-8")
        document = json.loads(text)
        version, about, files = document["format_version"], document["about"], document["files"]
    except (ValueError, KeyError, TypeError):
        raise ArtifactError(path, "is damaged: it does not hold a pruner's settings") from None
    if not isinstance(version, int) or version > FORMAT:
        raise ArtifactError(path, f"has format version {version}, newer than {FORMAT}, the newest known here")
    if text != _canonical(document) or digest(_canonical(about).encode()) != document.get("digest"):
        raise ArtifactError(path, "is damaged: its content does not match its digest")
    if set(files) != {ROUTER, HISTORY, METRICS}:
        raise ArtifactError(path, "is damaged: it lists other files than a pruner has")
    for name, expected in files.items():
        if not (folder / name).is_file():
            raise ArtifactError(folder / name, "is not there")
        if name == ROUTER:
            artifacts.Artifact(folder / name, kind=KIND, format_version=FORMAT)  # says more than a digest can
        if digest_file(folder / name) != expected:
            raise ArtifactError(folder / name, "is damaged: it does not match its digest")
    stored = artifacts.Artifact(folder / ROUTER, kind=KIND, format_version=FORMAT)
    net = {name: stored.torch(name) for name in stored.names}
    history = [json.loads(line) for line in (folder / HISTORY).read_text(encoding="utf-8").splitlines()]
    return about, net, history, json.loads((folder / METRICS).read_text(encoding="utf-8"))
