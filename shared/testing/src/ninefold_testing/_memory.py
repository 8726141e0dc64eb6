"""Peak anonymous memory of a block, for tests and benchmarks."""

from __future__ import annotations

import contextlib
import gc
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ninefold.errors import InputError


@dataclass
class Peak:
    """Anonymous resident bytes: before, and the most seen during, the block.

    Examples:
        >>> from ninefold_testing import Peak

        >>> Peak(before=1_000, peak=4_000).above
        3000
    """

    before: int = 0
    peak: int = 0

    @property
    def above(self) -> int:
        """Bytes above the start."""
        return self.peak - self.before


def rss_anon() -> int:
    """Anonymous resident memory of this process in bytes (Linux; pages of mapped files do not count).

    Examples:
        >>> from ninefold_testing import rss_anon

        >>> rss_anon() > 2**20
        True
    """
    status = Path("/proc/self/status")
    for line in status.read_text().splitlines() if status.exists() else []:
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise InputError(str(status), got="no RssAnon line", expected="a Linux kernel from 4.5")


@contextlib.contextmanager
def peak_rss_anon(interval: float = 0.002) -> Iterator[Peak]:
    """Sample anonymous memory in a thread while the block runs; read the result after it.

    What lives for less than `interval` seconds, or within one C call that keeps python's lock, can be missed.

    Examples:
        >>> import numpy as np
        >>> from ninefold_testing import peak_rss_anon

        >>> with peak_rss_anon() as peak:
        ...     array = np.ones(4_000_000)  # 32 MB
        >>> peak.above > 20_000_000
        True
    """
    gc.collect()
    peak = Peak(rss_anon())
    peak.peak = peak.before
    done = threading.Event()

    def sample() -> None:
        while not done.is_set():
            peak.peak = max(peak.peak, rss_anon())
            done.wait(interval)

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()
        peak.peak = max(peak.peak, rss_anon())
