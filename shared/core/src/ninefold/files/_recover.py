"""What writers leave next to a path while they work or when they are killed, and how the next use ends it.

Names next to `x`, each with 16 random digits:
    .x.<digits>.lock    a writer's lock, by which it is known to live
    .x.<digits>.tmp     what a living writer is writing; without a lock on it: rubbish
    .x.<digits>.old     what stood at x, moved aside while .x.<digits>.tmp takes its name; seen only on file systems
                        that cannot exchange two names at once

A kill between the two renames leaves both: then .old goes back. Once .tmp has become x, .old is rubbish.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import shutil
import time
from pathlib import Path

from ninefold.files._lock import short, take


def recover(path: str | Path) -> None:
    """Put back what a writer that was killed between two renames moved aside, at `path` or at a folder above it.

    Does nothing where `path` is there. Each reader and writer of the core calls it.

    Examples:
        >>> from pathlib import Path
        >>> from ninefold.files import recover

        >>> size = Path("model.bin").write_bytes(b"whole")
        >>> recover("model.bin")  # nothing was left half done
        >>> Path("model.bin").read_bytes()
        b'whole'
    """
    path = Path(path)
    if path.exists():
        return
    path = Path(os.path.realpath(path))  # `resolve` raises where links lead in a circle
    while path.parent != path and not path.parent.exists():
        path = path.parent
    for old in _beside(path)["old"]:
        try:
            _settle(old, path)
        except PermissionError:  # a reader without rights here: a living writer ends it by itself
            time.sleep(0.05)


def sweep(path: Path) -> None:
    """Remove what killed writers of `path` left next to it: temporary names that nobody holds a lock on."""
    found = _beside(path)
    for old in found["old"]:
        _settle(old, path)
    for left in {one.with_suffix(".tmp") for one in (*found["tmp"], *found["lock"])}:
        with contextlib.suppress(OSError):  # another writer was faster
            held = take(left.with_suffix(".lock"))
            if held is not None:
                if not moved_aside(left).exists():  # else it says that .old is no rubbish
                    remove(left)
                held.close()


def undo(temporary: Path, path: Path) -> None:
    """End a write that may have failed: put back what it moved aside, and remove what it made."""
    old = moved_aside(temporary)
    if old.exists() and not path.exists():
        rename_to_free(old, path)  # else another writer's stands there, whole
    discard(old, path)
    remove(temporary)


def rename_to_free(temporary: Path, path: Path) -> bool:
    """Rename a folder, unless another that is not empty has the name."""
    try:
        temporary.rename(path)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        return False
    return True


def temporary_name(path: Path) -> Path:
    """A new temporary name next to `path`."""
    return path.with_name(f".{short(path.name)}.{secrets.token_hex(8)}.tmp")


def moved_aside(temporary: Path) -> Path:
    """The name for what makes room for `temporary`."""
    return temporary.with_suffix(".old")


def discard(old: Path, path: Path) -> None:
    """Remove `old` under a name that says rubbish, since a kill may leave half of it."""
    rubbish = temporary_name(path)
    with contextlib.suppress(FileNotFoundError):
        old.rename(rubbish)
        remove(rubbish)


def remove(path: Path) -> None:
    """Remove a file or folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _settle(old: Path, path: Path) -> None:
    """End what a writer killed between its two renames left: `old` goes back to `path`, or is rubbish."""
    held = take(old.with_suffix(".lock"), wait=True)  # a living writer's renames take no time
    assert held is not None
    try:
        if not old.with_suffix(".tmp").exists():  # it has become `path`
            discard(old, path)
        elif not path.exists():
            with contextlib.suppress(FileNotFoundError):  # another reader was faster
                rename_to_free(old, path)
    finally:
        held.close()


def _beside(path: Path) -> dict[str, list[Path]]:
    """Names next to `path` by suffix; one look at the folder, which may hold very many."""
    name = re.compile(re.escape(f".{short(path.name)}.") + r"[0-9a-f]{16}\.(old|tmp|lock)")
    found: dict[str, list[Path]] = {"old": [], "tmp": [], "lock": []}
    for entry in path.parent.iterdir() if path.parent.is_dir() else ():
        if match := name.fullmatch(entry.name):
            found[match[1]].append(entry)
    return found
