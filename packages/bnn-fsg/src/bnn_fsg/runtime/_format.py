"""The `.bnn` file: a graph and its arrays in one file, small, whole or refused, never unpickled.

8 bytes   b"BNN-FSG\\n"
4 bytes   length of the header, little-endian
header    JSON: format_version, package_version, graph, arrays [[name, dtype, shape], ...] in the order of their bytes
arrays    one after the other: little-endian numbers; dtype "bits" is tight, 8 to a byte over the whole array,
          first element in the lowest bit: 16 channels take 16 bits
32 bytes  SHA-256 of everything before
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ninefold.errors import ArtifactError, version_of
from ninefold.files import atomic_file

MAGIC, VERSION = b"BNN-FSG\n", 1
_DTYPES = {"f32": np.dtype("<f4"), "i32": np.dtype("<i4"), "i16": np.dtype("<i2")}
_LONGEST_HEADER, _MOST_DIMENSIONS = 1 << 26, 4


def encode(graph: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> bytes:
    """The bytes of a file; arrays are bool (kept as bits), float32, int32 or int16."""
    listed, parts = [], []
    for name, array in arrays.items():
        dtype = "bits" if array.dtype == bool else next(key for key, kind in _DTYPES.items() if array.dtype == kind)
        listed.append([name, dtype, list(array.shape)])
        flat = np.ascontiguousarray(array).reshape(-1)
        kept = np.packbits(flat, bitorder="little") if dtype == "bits" else flat.astype(_DTYPES[dtype], copy=False)
        parts.append(kept.tobytes())
    about = {"format_version": VERSION, "package_version": version_of("bnn_fsg"), "graph": graph, "arrays": listed}
    header = json.dumps(about, separators=(",", ":")).encode()
    body = b"".join([MAGIC, len(header).to_bytes(4, "little"), header, *parts])
    return body + hashlib.sha256(body).digest()


def write(path: str | Path, data: bytes, *, force: bool = False) -> None:
    """Write what `encode` made, atomically; `force` replaces a `.bnn` file, and no other."""
    with atomic_file(path, force=force, ours=is_packed) as temporary:
        temporary.write_bytes(data)


def is_packed(path: Path) -> bool:
    """Whether a file begins as a `.bnn` file does."""
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def read(path: str | Path) -> bytes:
    """The bytes of a file; ArtifactError if there is none."""
    path = Path(path)
    if not path.is_file():
        raise ArtifactError(path, "is not there" if not path.exists() else "is not a file")
    return path.read_bytes()


def decode(data: bytes, path: str | Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """(header, arrays) of the bytes of the file `path`.

    Raises:
        ArtifactError: with the path and the reason, if they are truncated, damaged, foreign or newer.
    """
    if data[: len(MAGIC)] != MAGIC:
        raise ArtifactError(path, "is no .bnn file: it does not begin with BNN-FSG")
    start = len(MAGIC) + 4
    length = int.from_bytes(data[len(MAGIC) : start], "little")
    if len(data) < start + length + 32 or length > _LONGEST_HEADER:
        raise ArtifactError(path, f"is truncated or damaged: {len(data)} bytes, its header alone takes {length}")
    whole = hashlib.sha256(data[:-32]).digest() == data[-32:]
    try:
        about = json.loads(data[start : start + length])
        version = about["format_version"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ArtifactError(path, "is damaged: its header is no JSON object with a format_version") from None
    if isinstance(version, int) and version > VERSION:
        raise ArtifactError(
            path,
            f"has format version {version}, newer than {VERSION}, the newest known here; update bnn-fsg "
            f"(written by version {about.get('package_version')})",
        )
    if type(version) is not int or version < 1:
        raise ArtifactError(path, f"has format version {version!r:.60}, expected 1 to {VERSION}")
    if not whole:
        raise ArtifactError(path, "is truncated or damaged: its SHA-256 does not match")
    try:
        return about, _arrays(about["arrays"], data[start + length : -32])
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(path, f"is damaged: its list of arrays makes no sense ({error})") from None


def _arrays(listed: list[Any], data: bytes) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}
    at = 0
    if not isinstance(listed, list):
        raise ValueError("it is no list")
    for name, dtype, shape in listed:
        if not isinstance(name, str) or name in arrays:
            raise ValueError(f"{name!r:.60} is no name, or stands there twice")
        if not isinstance(shape, list) or len(shape) > _MOST_DIMENSIONS:
            raise ValueError(f"{name} has shape {shape!r:.60}")
        if not all(type(size) is int and 1 <= size <= 8 * len(data) for size in shape):
            raise ValueError(f"{name} has shape {shape!r:.60}")
        count = math.prod(shape)
        if dtype == "bits":
            size = -(-count // 8)
            octets = np.frombuffer(data, np.uint8, size, at)  # refuses more than there is, before anything is made
            array = np.unpackbits(octets, count=count, bitorder="little").astype(bool)
        else:
            size = count * _DTYPES[dtype].itemsize
            array = np.frombuffer(data, _DTYPES[dtype], count, at).astype(_DTYPES[dtype].newbyteorder("="))
            if not np.isfinite(array).all():
                raise ValueError(f"{name} holds NaN or infinity")
        arrays[name] = array.reshape(shape)
        at += size
    if at != len(data):
        raise ValueError(f"arrays take {at} bytes of {len(data)}")
    return arrays
