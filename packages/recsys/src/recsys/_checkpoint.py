"""Long fits that survive a kill: the state after each epoch, kept in one verified file."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from ninefold import artifacts
from ninefold.errors import InputError

from recsys._dataset import Dataset

_KIND = "recsys.checkpoint"


class Checkpoint:
    """State of one fit, at `path`; `key` says of which model with which parameters on which events."""

    def __init__(self, path: str | Path, key: str) -> None:
        self.path, self.key = Path(path), key

    def restore(self) -> tuple[int, dict[str, np.ndarray]]:
        """(epochs done, arrays by name); (0, {}) if there is no file.

        Raises:
            InputError: if the file belongs to another model or other data.
            ArtifactError: if it is damaged.
        """
        if not self.path.exists():
            return 0, {}
        held = artifacts.Artifact(self.path, kind=_KIND, format_version=1)
        if held.meta["key"] != self.key:
            raise InputError(f"checkpoint {self.path}", got="that of another fit", expected="the same model and events")
        return held.meta["epochs"], {name: held.numpy(name) for name in held.names}

    def save(self, epochs: int, arrays: dict[str, np.ndarray]) -> None:
        """Replace the file, whole or not at all."""
        meta = {"key": self.key, "epochs": epochs}
        artifacts.save(self.path, arrays, kind=_KIND, format_version=1, package="recsys", meta=meta, force=True)

    def remove(self) -> None:
        """Delete the file, once the fit is kept elsewhere."""
        self.path.unlink(missing_ok=True)


def fit_key(model: str, data: Dataset) -> str:
    """Digest of a model's text and the events it is fitted on."""
    key = hashlib.sha256(json.dumps([model, repr(data)]).encode())
    parts: list[Any] = [data.user, data.item, data.value, data.time]
    for part in parts:
        if part is not None:
            key.update(np.ascontiguousarray(part).data)
    for ids in (data.user_ids, data.item_ids):
        for buffer in ids.values.buffers():
            if buffer is not None:
                key.update(buffer)
    return key.hexdigest()
