"""Tensors of a `.safetensors` file by name, without torch. A bfloat16, which numpy lacks, is half of a float32."""

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
