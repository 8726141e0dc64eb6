"""Locks between processes that hold on every file system that a cluster mounts.

By flock where there is one, on a file opened for writing: Linux's NFS client turns flock into a byte-range lock, and
refuses an exclusive one on a read-only descriptor or on a folder. Elsewhere (ENOSYS, ENOLCK, EIO, ...) by the
existence of a file that names its owner, with the library filelock: the lock of an owner that has ended on the same
machine is taken over at once, and that of a living one never.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from pathlib import Path

from ninefold.errors import InputError

_TAKEN = (errno.EWOULDBLOCK, errno.EACCES)  # by another process; all else says that there is no flock


class Lock(contextlib.ExitStack):
    """A lock between processes: `close` gives it back, and does nothing the second time.

    Examples:
        >>> from pathlib import Path
        >>> from ninefold.files import Lock, lock

        >>> Path("log").touch()
        >>> held = lock(Path("log"))
        >>> isinstance(held, Lock)
        True
        >>> held.close()
    """


def lock(path: Path, *, wait: bool = False) -> Lock | None:
    """Lock an existing file or folder against other processes; the lock dies with the process, however that ends.

    Args:
        path: file, which must be writable, or folder, whose lock is a file `.NAME.lock` next to it.
        wait: wait until it is free.
    Returns: the lock, to be closed to give it back; None if another process holds it.
    Raises: InputError on Windows, which has no such locks.

    Examples:
        >>> from pathlib import Path
        >>> from ninefold.files import lock

        >>> Path("log").touch()
        >>> held = lock(Path("log"))
        >>> held is None, lock(Path("log")) is None  # taken: a second one gets none
        (False, True)
        >>> held.close()
    """
    if path.is_dir():
        path = path.resolve()
        return take(path.with_name(f".{short(path.name)}.lock"), wait=wait)
    return take(path, wait=wait, passing=False)


def take(file: Path, *, wait: bool = False, passing: bool = True) -> Lock | None:
    """Lock by a file; one that is there for the lock alone (`passing`) is made for it, and goes with it."""
    try:
        import fcntl  # here: Windows has no such module, and reading needs no lock
    except ImportError:
        raise InputError(
            f"writing {file}", got="a system without POSIX file locks", expected="Linux, macOS, or WSL on Windows"
        ) from None
    while True:
        descriptor = os.open(file, os.O_RDWR | (os.O_CREAT if passing else 0), 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError as error:
            os.close(descriptor)
            if error.errno in _TAKEN:
                return None
            return _by_existence(file.with_name(f".{file.name}.held"), wait, *[file] * passing)
        held = Lock()
        held.callback(os.close, descriptor)
        if not passing:
            return held
        with contextlib.suppress(FileNotFoundError):  # whoever held it removed it meanwhile
            if os.path.samestat(os.fstat(descriptor), file.stat()):
                held.callback(file.unlink, missing_ok=True)
                return held
        held.close()


def short(name: str) -> str:
    """`name`, or a name by its digest where a temporary one would be longer than the 255 bytes that may be."""
    return name if len(os.fsencode(name)) <= 220 else hashlib.sha256(os.fsencode(name)).hexdigest()


def _by_existence(file: Path, wait: bool, *passing: Path) -> Lock | None:
    from filelock import SoftFileLock, Timeout

    soft = SoftFileLock(file, timeout=-1 if wait else 0, thread_local=False)
    try:
        soft.acquire(poll_interval=0.02)
    except Timeout:
        return None
    held = Lock()
    for one in passing:
        held.callback(one.unlink, missing_ok=True)
    held.callback(soft.release)
    return held
