"""A model's folder: model.safetensors (weights), config.json (configuration), ninefold.json (digests)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ninefold import artifacts
from ninefold.errors import ArtifactError
from torch import Tensor

KIND, FORMAT = "fastocc.model", 1
_ARRAYS, _WEIGHTS, _CONFIG = "fastocc.weights", "model.safetensors", "config.json"


def write_model(
    path: Path, config: Mapping[str, Any], arrays: Mapping[str, Tensor], *, half: bool = False, force: bool = False
) -> None:
    """Write the folder whole or not at all.

    Args:
        half: keep floating-point arrays in 16 bits. force: replace a model folder in which nothing else lies.
    """
    with artifacts.write_folder(path, kind=KIND, format_version=FORMAT, package="fastocc", force=force) as folder:
        kept = {key: one.half() if half and one.dtype.is_floating_point else one for key, one in arrays.items()}
        artifacts.save(folder / _WEIGHTS, kept, kind=_ARRAYS, format_version=FORMAT, package="fastocc")
        (folder / _CONFIG).write_text(json.dumps(dict(config), indent=2, sort_keys=True) + "\n", encoding="utf-8")


def read_model(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """(config, arrays) of a folder that `write_model` wrote; ArtifactError if it is not whole."""
    return artifacts.settled(path, lambda: _read(path))


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    folder = artifacts.FolderArtifact(path, kind=KIND, format_version=FORMAT)
    config = json.loads(folder.file(_CONFIG).read_text(encoding="utf-8"))
    held = folder.arrays(_WEIGHTS, kind=_ARRAYS, format_version=FORMAT)
    if not isinstance(config, dict):
        raise ArtifactError(path / _CONFIG, "holds no configuration")
    return config, {name: held.torch(name) for name in held.names}
