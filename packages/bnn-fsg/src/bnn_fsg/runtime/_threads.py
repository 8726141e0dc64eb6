"""Threads that take work in turn; they are kept for the next time, and made anew in a forked process."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any


def in_turn(call: Callable[[int], object], numbers: range, threads: int) -> None:
    """`call` of each number by threads that take them in turn; this one works too, so that none has to wake for it."""
    left = iter(numbers)  # each `next` is whole: threads hold Python's lock

    def work() -> None:
        for number in left:
            call(number)

    others = [_pool(threads).submit(work) for _ in range(threads - 1)]
    try:
        work()
    finally:
        for other in others:
            if not other.cancel():  # not begun: nothing is left for it
                other.result()


@functools.cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads - 1, thread_name_prefix="bnn-fsg")


_helpers: list[threading.Thread] = []  # they wait in the library, without Python's lock
_starting = threading.Lock()


def start_helpers(library: Any, count: int) -> None:
    """At least so many threads that share single pictures."""
    with _starting:
        for number in range(len(_helpers) + 1, count + 1):
            _helpers.append(threading.Thread(target=library.bnn_help, args=(number,), daemon=True))
            _helpers[-1].start()


if hasattr(os, "register_at_fork"):  # a forked process has the pools, but none of their threads
    os.register_at_fork(before=_starting.acquire, after_in_parent=_starting.release, after_in_child=_starting.release)
    os.register_at_fork(after_in_child=lambda: (_pool.cache_clear(), _helpers.clear()))
