"""A model's folder: model.safetensors holds weights and configuration under digests, config.json is for people and tools."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ninefold import artifacts
from ninefold.errors import ArtifactError
from ninefold.files import atomic_folder
from torch import Tensor

KIND, FORMAT = "fastocc.model", 1
WEIGHTS, CONFIG = "model.safetensors", "config.json"


def write_model(path: Path, config: Mapping[str, Any], arrays: Mapping[str, Tensor], *, force: bool = False) -> None:
    """Write the folder whole or not at all; ArtifactError if it holds anything but a model that `force` may replace."""
    if path.is_dir() and force:
        others = sorted(one.name for one in path.iterdir() if one.name not in (WEIGHTS, CONFIG))
        if others:
            raise ArtifactError(path, f"holds other things that would be lost: {', '.join(others[:5])}")
    with atomic_folder(path, force=force) as folder:
        meta = {"config": dict(config)}
        artifacts.save(
            folder / WEIGHTS, dict(arrays), kind=KIND, format_version=FORMAT, package="fastocc", meta=meta
        )
        (folder / CONFIG).write_text(_text(config), encoding="utf-8")


def read_model(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """(config, arrays) of a folder that `write_model` wrote; ArtifactError if it is not whole."""
    if not path.is_dir():
        raise ArtifactError(path, "is no folder of config.json and model.safetensors")
    artifact = artifacts.Artifact(path / WEIGHTS, kind=KIND, format_version=FORMAT)
    config = artifact.meta["config"]
    beside = path / CONFIG
    try:
        same = beside.read_text(encoding="utf-8") == _text(config)
    except (OSError, UnicodeDecodeError) as error:
        raise ArtifactError(beside, f"cannot be read ({error})") from None
    if not same:
        raise ArtifactError(beside, "is not what was saved with the weights; model.safetensors holds the configuration")
    return config, {name: artifact.torch(name) for name in artifact.names}


def _text(config: Mapping[str, Any]) -> str:
    return json.dumps({"format_version": FORMAT, **config}, indent=2, sort_keys=True) + "\n"
