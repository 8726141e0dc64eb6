"""A checkpoint folder without torch: its config, and tensors by name. bfloat16, which numpy lacks, becomes float32."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from ninefold.errors import ArtifactError

_DTYPES = {"F32": "<f4", "F16": "<f2", "BF16": "<u2", "U8": "u1", "I8": "i1"}
_LONGEST_HEADER = 1 << 26


def read_entries(path: Path) -> dict[str, Any]:
    """{name: (dtype, shape, first byte, bytes)} of a file; ArtifactError if its header makes no sense."""
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= min(size - 8, _LONGEST_HEADER):
                raise ValueError(f"a header of {length} bytes in {size}")
            header = json.loads(file.read(length))
        header.pop("__metadata__", None)
        found = {}
        for name, entry in header.items():
            (begin, end), shape, dtype = entry["data_offsets"], entry["shape"], entry["dtype"]
            whole = all(type(one) is int and 0 <= one < 2**40 for one in (begin, end, *shape)) and len(shape) < 8
            if not whole or not 0 <= begin <= end <= size - 8 - length:
                raise ValueError(f"{name} lies outside")
            if dtype in _DTYPES and end - begin != math.prod(shape) * np.dtype(_DTYPES[dtype]).itemsize:
                raise ValueError(f"{name} has {end - begin} bytes for shape {shape}")
            found[name] = dtype, tuple(shape), 8 + length + begin, end - begin
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ArtifactError(path, f"is no .safetensors file, or damaged ({error})") from None
    return found


def read_tensor(path: Path, entry: Any) -> np.ndarray:
    """One tensor, float32 where it is a float; ArtifactError for another dtype than it knows."""
    dtype, shape, begin, count = entry
    if dtype not in _DTYPES:
        raise ArtifactError(path, f"has a tensor of {dtype}, expected one of {', '.join(_DTYPES)}")
    with path.open("rb") as file:
        file.seek(begin)
        array = np.frombuffer(file.read(count), _DTYPES[dtype])
    if dtype == "BF16":
        array = (array.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return array.reshape(shape).astype(np.float32 if dtype.endswith(("16", "32")) else array.dtype)


class Checkpoint:
    """A folder with `config.json` and weights: `model.safetensors`, the shards of an index, or one other file.

    Attributes:
        config: the content of `config.json`.
    """

    def __init__(self, folder: str | Path) -> None:
        """Read config and headers; ArtifactError names a file that is missing or damaged."""
        folder = Path(folder)
        if not (folder / "config.json").is_file() or not any(folder.glob("*.safetensors")):
            raise ArtifactError(folder, "has no config.json or no .safetensors file")
        self.config = _json_object(folder / "config.json")
        self._where: dict[str, tuple[Path, Any]] = {}
        self._read: set[str] = set()
        for file in _weight_files(folder):
            for name, entry in read_entries(file).items():
                if name in self._where:
                    raise ArtifactError(file, f"has the tensor {name}, which {self._where[name][0].name} has too")
                self._where[name] = file, entry

    def tensor(self, name: str) -> np.ndarray | None:
        """A tensor by name, or None."""
        self._read.add(name)
        return read_tensor(*self._where[name]) if name in self._where else None

    def unread(self) -> list[str]:
        """Names of the tensors that were never read."""
        return sorted(self._where.keys() - self._read)


def _weight_files(folder: Path) -> list[Path]:
    index, files = folder / "model.safetensors.index.json", sorted(folder.glob("*.safetensors"))
    if index.is_file():
        listed = _json_object(index).get("weight_map")
        if not isinstance(listed, dict) or not all(isinstance(name, str) for name in listed.values()):
            raise ArtifactError(index, "has no weight_map of file names")
        files = [folder / name for name in sorted(set(listed.values()))]
        for file in files:
            if file.parent != folder or not file.is_file():
                raise ArtifactError(file, "is not there, though model.safetensors.index.json names it")
    elif folder / "model.safetensors" in files:
        files = [folder / "model.safetensors"]
    elif len(files) > 1:
        named = ", ".join(file.name for file in files[:4])
        raise ArtifactError(folder, f"has {named} and no model.safetensors.index.json that says which are the model's")
    return files


def _json_object(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ArtifactError(path, f"is no JSON ({error})") from None
    if not isinstance(found, dict):
        raise ArtifactError(path, "is no JSON object")
    return found
