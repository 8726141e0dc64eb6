"""Peak memory of one call, from the anonymous pages of this process (Linux)."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from pathlib import Path

_PAUSE = 0.002  # seconds between two looks; an array that lives for less can be missed


def peak_bytes(call: Callable[[], object]) -> int:
    """Bytes that a call needs above what the process held before it: the largest seen while it runs."""
    gc.collect()
    done, before = threading.Event(), _anonymous()
    seen = [before]

    def sample() -> None:
        while not done.wait(_PAUSE):
            seen.append(_anonymous())

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        call()
        seen.append(_anonymous())
    finally:
        done.set()
        thread.join()
    return max(seen) - before


def _anonymous() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:"))
