"""Files that are whole or absent: written under a temporary name, flushed, then renamed."""

from __future__ import annotations

import contextlib
import fcntl
import glob
import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from ninefold.errors import ArtifactError


def digest(data: bytes | memoryview) -> str:
    """SHA-256 of a buffer, as `sha256:<hex>`."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def digest_file(path: Path) -> str:
    """SHA-256 of a file's bytes, as `sha256:<hex>`; reads it in blocks."""
    with path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def refuse_existing(path: Path, force: bool) -> None:
    """Raise ArtifactError if `path` exists (an empty folder does not count) and `force` is off."""
    if not force and path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise ArtifactError(path, "exists already; choose another place, or --force to replace it")


def lock(path: Path, *, wait: bool = False) -> int | None:
    """Lock an existing file or folder against other processes; the lock dies with the process, however that ends.

    Args:
        path: what to lock.
        wait: wait until it is free.
    Returns: a descriptor, to be closed to give the lock back; None if another holds it.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


@contextlib.contextmanager
def atomic_file(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is flushed to disk and takes its name, else it is removed."""
    with _replacing(Path(path), Path.touch) as temporary:
        yield temporary


@contextlib.contextmanager
def atomic_folder(path: str | Path, *, force: bool = False) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; on success it takes its name, else it is removed.

    Raises:
        ArtifactError: if `path` exists and `force` is off. What was there stays until the new folder is complete.
    """
    refuse_existing(Path(path), force)
    with _replacing(Path(path), Path.mkdir) as temporary:
        yield temporary


def write_text(path: str | Path, text: str) -> None:
    """Write a text file atomically, as UTF-8."""
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextlib.contextmanager
def _replacing(path: Path, make: Callable[[Path], object]) -> Iterator[Path]:
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path)
    temporary = _temporary_name(path)
    make(temporary)
    descriptor = lock(temporary)
    try:
        yield temporary
        for file in (*temporary.rglob("*"), temporary):
            _flush(file)
        if temporary.is_dir() and path.exists():
            _swap(temporary, path)
        else:
            temporary.replace(path)
        _flush(path.parent)
    finally:
        _remove(temporary)
        if descriptor is not None:
            os.close(descriptor)


def _swap(temporary: Path, path: Path) -> None:
    """Give a folder the name of what is there; no system call of Python does both renames at once."""
    old = _temporary_name(path)
    path.replace(old)
    try:
        temporary.replace(path)
    except BaseException:
        old.replace(path)
        raise
    _remove(old)


def _temporary_name(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")


def _sweep(path: Path) -> None:
    """Remove what killed writers of `path` left beside it: temporary names that nobody holds a lock on."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.{'[0-9a-f]' * 16}.tmp"):
        with contextlib.suppress(OSError):  # another writer was faster
            descriptor = lock(left)
            if descriptor is not None:
                _remove(left)
                os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
