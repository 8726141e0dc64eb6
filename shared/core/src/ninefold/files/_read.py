"""Digests, locks, and the header of a safetensors file."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import struct
from pathlib import Path
from typing import Any

from ninefold.errors import ArtifactError, InputError

_TAKEN = (errno.EWOULDBLOCK, errno.EACCES)  # by another process; all else says that there are no locks
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


def lock(path: Path, *, wait: bool = False) -> int | None:
    """Lock an existing file or folder against other processes; the lock dies with the process, however that ends.

    Args:
        path: file or folder to lock.
        wait: wait until it is free.
    Returns: a descriptor, to be closed to give the lock back; None if another holds it.
    Raises: InputError on Windows, which cannot lock a folder; ArtifactError on a file system without locks.

    Examples:
        >>> import os
        >>> from pathlib import Path
        >>> from ninefold.files import lock

        >>> Path("log").touch()
        >>> held = lock(Path("log"))
        >>> held is None, lock(Path("log")) is None  # taken: a second one gets none
        (False, True)
        >>> os.close(held)
    """
    try:
        import fcntl  # here: Windows has no such module, and reading needs no lock
    except ImportError:
        raise InputError(
            f"writing {path}", got="a system without POSIX file locks", expected="Linux, macOS, or WSL on Windows"
        ) from None
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError as error:
        os.close(descriptor)
        if error.errno in _TAKEN:
            return None
        reason = f"cannot be locked ({error.strerror}): choose a place on another file system"
        raise ArtifactError(path, reason) from None
    return descriptor


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


def file_entry(file: Path) -> dict[str, Any]:
    """What a manifest keeps of a file: its size, and the digest of all of it or, if the header holds a digest for
    each array, of the header.

    Examples:
        >>> from pathlib import Path
        >>> from ninefold.files import file_entry

        >>> size = Path("tea.txt").write_bytes(b"tea")
        >>> file_entry(Path("tea.txt"))["size"], sorted(file_entry(Path("tea.txt")))
        (3, ['digest', 'size'])
    """
    size = file.stat().st_size
    with contextlib.suppress(ArtifactError, TypeError):
        header, start = read_header(file)
        if "ninefold" in header.get("__metadata__", ()):
            with file.open("rb") as opened:
                return {"size": size, "header": digest(opened.read(start))}
    return {"size": size, "digest": digest_file(file)}


def read_header(path: Path) -> tuple[dict[str, Any], int]:
    """(header, offset of the first data byte) of a safetensors file; ArtifactError if it is none.

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
    if not path.is_file():
        raise ArtifactError(path, "is not there" if not path.exists() else "is not a file")
    with path.open("rb") as file:
        prefix = file.read(8)
        length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else 0
        if not 0 < length <= min(path.stat().st_size - 8, _LONGEST_HEADER):
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
