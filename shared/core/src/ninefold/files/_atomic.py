"""Whole or absent: written under a temporary name, flushed to disk, then renamed."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from ninefold.errors import ArtifactError
from ninefold.files._lock import take
from ninefold.files._owner import Ours, follow, refuse_existing
from ninefold.files._recover import discard, moved_aside, recover, rename_to_free, sweep, temporary_name, undo

_NO_FLUSH = (errno.EINVAL, errno.EBADF, errno.ENOSYS, errno.EOPNOTSUPP)  # of a folder, on some file systems


@contextlib.contextmanager
def atomic_file(path: str | Path, *, force: bool | None = None, ours: Ours = None) -> Iterator[Path]:
    """Yield a temporary path next to `path`; on success it is flushed to disk and takes its name, else it is removed.

    Args:
        path: file to write; missing parents are made.
        force, ours: as for `refuse_existing`, judged before the block and after it; with the default, None, any file
            at `path` is replaced: for files that only the program itself keeps.

    Examples:
        >>> from pathlib import Path
        >>> from ninefold.files import atomic_file

        >>> try:
        ...     with atomic_file("scores.csv") as temporary:
        ...         size = temporary.write_text("user,score")
        ...         raise KeyboardInterrupt
        ... except KeyboardInterrupt:
        ...     print(Path("scores.csv").exists())  # whole or absent
        False

        >>> with atomic_file("scores.csv") as temporary:
        ...     size = temporary.write_text("user,score")
        >>> Path("scores.csv").read_text()
        'user,score'
    """

    def refuse() -> None:
        if Path(path).is_dir():
            raise ArtifactError(path, "is a folder, not a file")
        if force is not None:
            refuse_existing(Path(path), force, ours)

    def put(temporary: Path, target: Path) -> None:
        refuse()
        temporary.replace(target)

    with _replacing(Path(path), lambda new: new.touch(exist_ok=False), refuse, put) as temporary:
        yield temporary


@contextlib.contextmanager
def atomic_folder(path: str | Path, *, force: bool = False, ours: Ours = None) -> Iterator[Path]:
    """Yield a temporary folder next to `path`; on success it takes its name, else it is removed.

    Args:
        path: folder to write; missing parents are made.
        force, ours: as for `refuse_existing`. What was there stays until the new folder is complete.
    Raises:
        ArtifactError: if `path` exists and may not be replaced.

    Examples:
        >>> from pathlib import Path
        >>> from ninefold.files import atomic_folder

        >>> with atomic_folder("lists") as folder:
        ...     size = (folder / "a.txt").write_text("tea")
        ...     print(Path("lists").exists())  # not before it is complete
        False

        >>> [file.name for file in Path("lists").iterdir()]
        ['a.txt']
    """

    def refuse() -> None:
        if Path(path).exists() and not Path(path).is_dir():
            raise ArtifactError(path, "exists already, and is a file, not a folder")
        refuse_existing(Path(path), force, ours)

    def put(temporary: Path, target: Path) -> None:
        _put_folder(temporary, target, refuse)

    with _replacing(Path(path), Path.mkdir, refuse, put) as temporary:
        yield temporary


def write_text(path: str | Path, text: str, *, force: bool | None = None, ours: Ours = None) -> None:
    """Write a text file atomically, as UTF-8; `force` and `ours` as for `atomic_file`.

    Examples:
        >>> from pathlib import Path
        >>> from ninefold import ArtifactError
        >>> from ninefold.files import write_text

        >>> write_text("note.txt", "tea")
        >>> write_text("note.txt", "coffee")  # without `force` given, a file of the program's own is replaced
        >>> Path("note.txt").read_text()
        'coffee'
        >>> try:
        ...     write_text("note.txt", "water", force=False)
        ... except ArtifactError as error:
        ...     print(error)
        note.txt: exists already; choose another place, or --force to replace it
    """
    with atomic_file(path, force=force, ours=ours) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextlib.contextmanager
def _replacing(
    path: Path, make: Callable[[Path], object], refuse: Callable[[], None], put: Callable[[Path, Path], None]
) -> Iterator[Path]:
    refuse()
    path = follow(path).resolve()
    recover(path.parent)
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path)
    temporary = temporary_name(path)
    held = take(temporary.with_suffix(".lock"), wait=True)  # at once, unless a sweep looks at it this very moment
    try:
        make(temporary)
        yield temporary
        for file in (*temporary.rglob("*"), temporary):
            if not file.is_symlink():
                _flush(file)
                _keep_rights(file, path / file.relative_to(temporary))
        put(temporary, path)
        _flush(path.parent)
    finally:
        undo(temporary, path)  # after an exchange, `temporary` is what stood at the path
        if held is not None:
            held.close()


def _keep_rights(new: Path, old: Path) -> None:
    """Give what replaces a file or folder its rights, where the file system has any."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):
        if (about := old.lstat()) and stat.S_IFMT(about.st_mode) == stat.S_IFMT(new.stat().st_mode):
            new.chmod(stat.S_IMODE(about.st_mode))


def _put_folder(temporary: Path, path: Path, refuse: Callable[[], object]) -> None:
    """Give a folder the name `path`: at once where nothing is there, else in exchange for what is."""
    while not rename_to_free(temporary, path):
        refuse()
        with contextlib.suppress(FileNotFoundError):  # another writer moved it aside: try again
            if _exchange(temporary, path):
                return
            path.rename(moved_aside(temporary))
            if rename_to_free(temporary, path):
                return  # a failure here, and what was moved aside, is for `undo`
            discard(moved_aside(temporary), path)  # another writer's folder stands there, whole


def _exchange(first: Path, second: Path) -> bool:
    """Exchange two names in one system call; False where the system or the file system has none."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    names = os.fsencode(first), os.fsencode(second)
    if sys.platform == "darwin":
        call, words = getattr(libc, "renamex_np", None), (*names, 2)
    else:
        here = -100  # AT_FDCWD
        call, words = getattr(libc, "renameat2", None), (here, names[0], here, names[1], 2)
    if call is None or call(*words) != 0:
        if call is not None and ctypes.get_errno() == errno.ENOENT:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(second))
        return False
    return True


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FLUSH or not path.is_dir():
            raise
    finally:
        os.close(descriptor)
