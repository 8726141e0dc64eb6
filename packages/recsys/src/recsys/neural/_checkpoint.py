"""Long fits that survive a kill: the state after each epoch, kept in one verified file."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.ipc
from ninefold import artifacts
from ninefold.errors import InputError

from recsys.data._dataset import Dataset

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
        artifacts.save(self.path, arrays, kind=_KIND, format_version=1, package="recsys", meta=meta, force=None)

    def remove(self) -> None:
        """Delete the file, once the fit is kept elsewhere."""
        self.path.unlink(missing_ok=True)


def fit_key(model: str, data: Dataset) -> str:
    """Digest of a model's text and all that it is fitted on: events, contexts, tables, and the columns' names."""
    key = hashlib.sha256(json.dumps([model, repr(data), vars(data.names)]).encode())
    parts: list[Any] = [data.user, data.item, data.value, data.time, data.users_listed, data.items_listed]
    parts += [] if data.ties is None else [data.ties.indptr, data.ties.indices, data.ties.data]
    for part in parts:
        if part is not None:
            key.update(np.ascontiguousarray(part).data)
    for name, table in (("context", data.context), ("users", data.users), ("items", data.items)):
        if table is not None:
            key.update(name.encode())
            key.update(as_stream(table))
    for ids in (data.user_ids, data.item_ids):
        for buffer in ids.values.buffers():
            if buffer is not None:
                key.update(buffer)
    return key.hexdigest()


def as_stream(table: pa.Table) -> pa.Buffer:
    """A table's names, types and values as bytes, however its columns are cut into chunks."""
    table = table.replace_schema_metadata(None).unify_dictionaries().combine_chunks()
    sink = pa.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()
