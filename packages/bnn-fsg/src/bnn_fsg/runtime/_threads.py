"""Threads that take work in turn; they are kept for the next time, and made anew in a forked process."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor


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


if hasattr(os, "register_at_fork"):  # a forked process has the pools, but none of their threads
    os.register_at_fork(after_in_child=_pool.cache_clear)
