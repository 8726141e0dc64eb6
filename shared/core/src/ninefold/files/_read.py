"""Digests, and the header of a safetensors file."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import struct
from pathlib import Path
from typing import Any, BinaryIO

from ninefold.errors import ArtifactError

_LONGEST_HEADER = 100_000_000  # safetensors' own limit: a damaged length must not fill the memory


def digest(data: bytes | memoryview) -> str:
    """SHA-256 of a buffer, as `sha256:<hex>`.

    Examples:
        >>> from ninefold.files import digest

        >>> digest(b"tea")[:20]
        'sha256:a9f74d1ec36eb'
    """
    return "sha256:" + hashlib.sha256(data).hexdigest()


def digest_file(path: Path) -> str:
    """SHA-256 of a file's bytes, as `sha256:<hex>`; reads it in blocks.

    Examples:
        >>> from pathlib import Path
        >>> from ninefold.files import digest, digest_file

        >>> size = Path("tea.txt").write_bytes(b"tea")
        >>> digest_file(Path("tea.txt")) == digest(b"tea")
        True
    """
    with path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def identity(path: Path) -> tuple[int, int] | None:
    """What tells a file or folder from another that takes its name; None if nothing is there.

    Examples:
        >>> from pathlib import Path
        >>> from ninefold.artifacts import write_folder
        >>> from ninefold.files import identity

        >>> about = {"kind": "shop.model", "format_version": 1, "package": "ninefold"}
        >>> with write_folder("model", **about) as folder:
        ...     size = (folder / "items.txt").write_text("tea")
        >>> before = identity(Path("model"))
        >>> identity(Path("model")) == before
        True
        >>> with write_folder("model", **about, force=True) as folder:
        ...     size = (folder / "items.txt").write_text("coffee")
        >>> identity(Path("model")) == before  # another folder took the name
        False
    """
    with contextlib.suppress(OSError):
        return (about := path.stat()).st_ino, about.st_ctime_ns
    return None


def file_entry(path: Path, file: BinaryIO | None = None) -> dict[str, Any]:
    """What a manifest keeps of a file: its size, and the digest of all of it or, if the header holds a digest for
    each array, of the header.

    Args:
        path: where it is.
        file: the same, opened before; whatever has the path now is not looked at.

    Examples:
        >>> from pathlib import Path
        >>> from ninefold.files import file_entry

        >>> size = Path("tea.txt").write_bytes(b"tea")
        >>> file_entry(Path("tea.txt"))["size"], sorted(file_entry(Path("tea.txt")))
        (3, ['digest', 'size'])
    """
    if file is None:
        with path.open("rb") as opened:
            return file_entry(path, opened)
    size = os.fstat(file.fileno()).st_size
    with contextlib.suppress(ArtifactError, TypeError):
        header, start = read_header(path, file)
        if "ninefold" in header.get("__metadata__", ()):
            file.seek(0)
            return {"size": size, "header": digest(file.read(start))}
    file.seek(0)
    return {"size": size, "digest": "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()}


def read_header(path: Path, file: BinaryIO | None = None) -> tuple[dict[str, Any], int]:
    """(header, offset of the first data byte) of a safetensors file; ArtifactError if it is none.

    Args:
        path: where it is.
        file: the same, opened before; whatever has the path now is not looked at.

    Examples:
        >>> import numpy as np
        >>> from pathlib import Path
        >>> from ninefold.artifacts import save
        >>> from ninefold.files import read_header

        >>> save("x.safetensors", {"x": np.zeros(3)}, kind="shop.x", format_version=1, package="ninefold")
        >>> header, start = read_header(Path("x.safetensors"))
        >>> header["x"]["dtype"], header["x"]["shape"]
        ('F64', [3])
    """
    if file is None:
        if not path.is_file():
            raise ArtifactError(path, "is not there" if not path.exists() else "is not a file")
        with path.open("rb") as opened:
            return read_header(path, opened)
    file.seek(0)
    prefix = file.read(8)
    length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else 0
    if not 0 < length <= min(os.fstat(file.fileno()).st_size - 8, _LONGEST_HEADER):
        raise ArtifactError(path, "is truncated, or not a safetensors file")
    header = json_or_none(file.read(length))
    if not isinstance(header, dict):
        raise ArtifactError(path, "is damaged, or not a safetensors file: its header is no JSON")
    return header, 8 + length


def json_or_none(text: str | bytes) -> Any:
    """The value of a JSON document; None if it is none.

    Examples:
        >>> from ninefold.files import json_or_none

        >>> json_or_none('{"steps": 3}'), json_or_none("{")
        ({'steps': 3}, None)
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
