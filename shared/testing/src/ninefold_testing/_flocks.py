"""File systems whose locks are other than those of a local disk, for tests: what `fcntl.flock` does on them."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable

FLOCKS = ("nfs", "ENOSYS", "ENOLCK", "EOPNOTSUPP", "EIO")


def flock_of(system: str) -> Callable[[int, int], None]:
    """What stands for `fcntl.flock`: that of Linux's NFS client, or one that fails with an error of the system.

    Examples:
        >>> from ninefold_testing import flock_of

        >>> try:
        ...     flock_of("ENOLCK")(0, 2)
        ... except OSError as error:
        ...     print(error.strerror)
        No locks available
    """
    own = fcntl.flock

    def flock(descriptor: int, operation: int) -> None:
        flags = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE
        refused = system == "nfs" and operation & fcntl.LOCK_EX and flags == os.O_RDONLY  # a range is locked by writers
        if refused or system != "nfs":
            number = errno.EBADF if refused else getattr(errno, system)
            raise OSError(number, os.strerror(number))
        own(descriptor, operation)

    return flock
