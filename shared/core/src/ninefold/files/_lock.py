"""Locks between processes that hold on every file system that a cluster mounts.

By flock where there is one, on a file opened for writing: Linux's NFS client turns flock into a byte-range lock, and
refuses an exclusive one on a read-only descriptor or on a folder. Elsewhere (ENOSYS, ENOLCK, EIO, ...) by the existence
of a file that names its owner. A shell next to the owner touches that file every second while the owner lives, also
while that computes or is stopped, and removes it when the owner ends. If the whole machine ends, the file falls silent:
after six seconds, by the clock of the file system, the lock is anybody's.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import platform
import secrets
import subprocess
import tempfile
import time
from pathlib import Path

from ninefold.errors import InputError

_TAKEN = (errno.EWOULDBLOCK, errno.EACCES)  # by another process; all else says that there is no flock
_SILENT = 6.0  # seconds without a touch after which an owner is gone
_BESIDE = (
    '(while touch -c "$1"; do sleep 1; done) & cat; kill $!; grep -qs "$2" "$1" && rm -f "$1"'  # until its input ends
)


Lock = contextlib.ExitStack  # `close` gives it back, and does nothing the second time


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
    owner, devnull = f"{platform.node()} {os.getpid()} {secrets.token_hex(8)}", subprocess.DEVNULL
    while True:
        try:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            if not (_take_away(file) or wait):
                return None
            time.sleep(0.02)
            continue
        os.write(descriptor, owner.encode())
        os.close(descriptor)
        words = ["sh", "-c", _BESIDE, "sh", str(file.resolve()), owner]
        beside = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=devnull, stderr=devnull, start_new_session=True)
        held = Lock()
        for one in (file, *passing):
            held.callback(one.unlink, missing_ok=True)
        held.callback(beside.communicate)  # its input ends, and so does it
        return held


def _take_away(file: Path) -> bool:
    """Remove the lock of an owner that is gone; False if it lives."""
    if _silence(file) <= _SILENT:
        return False
    claim = file.with_suffix(".claim")  # one process at a time: a second one would remove the first one's new lock
    try:
        claim.mkdir()
    except FileExistsError:
        if _silence(claim) > _SILENT:
            claim.rmdir()
        return True
    if _silence(file) > _SILENT:
        file.unlink(missing_ok=True)
    claim.rmdir()
    return True


def _silence(file: Path) -> float:
    """Seconds since a file was touched, by the clock of its own file system; infinite if it is not there."""
    with contextlib.suppress(FileNotFoundError), tempfile.TemporaryFile(dir=file.parent) as now:
        touched = os.open(file, os.O_RDONLY)  # NFS keeps times for a minute, but not those of what is opened
        try:
            return os.fstat(now.fileno()).st_mtime - os.fstat(touched).st_mtime
        finally:
            os.close(touched)
    return float("inf")
