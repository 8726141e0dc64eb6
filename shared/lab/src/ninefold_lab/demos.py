"""The demos of several systems: each in a process of its own, two at a time where there are two cores."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

from ninefold.datasets import cache_path
from ninefold.demo import Shown, failed, show_demo
from ninefold.errors import NinefoldError
from ninefold.files import write_text
from ninefold.progress import Progress
from ninefold.systems import Installed, choose

PRELOADED = ("ninefold_lab._forked",)  # where demos are forked


def seconds_by_name(rows: Sequence[Installed]) -> dict[str, float]:
    """Processor seconds of each demo: as last time here, else as its package says."""
    known: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError):
        known = dict(json.loads(_times().read_text(encoding="utf-8")))
    return {row.name: float(known.get(row.name) or (row.system.seconds if row.system else 1)) for row in rows}


def _times() -> Path:
    return cache_path("ninefold") / "demo-seconds.json"


def at_once(count: int) -> int:
    """How many demos run at a time, each with its share of the cores: two where there are two cores."""
    return min(2, count, _cores_and_load()[0])


def slowdown() -> float:
    """How many times longer work takes here, given the load of this machine."""
    cores, load = _cores_and_load()
    return max(1.0, (load + 1) / cores)


def _cores_and_load() -> tuple[int, float]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with contextlib.suppress(AttributeError, OSError):
        return cores, os.getloadavg()[0]
    return cores, 0.0


def time_left(waiting: float, running: Sequence[tuple[float, float]], pace: float, jobs: int) -> float:
    """Seconds until all demos have ended.

    Args:
        waiting: processor seconds of those that have not begun.
        running: (processor seconds, age in seconds) of those that run.
        pace: seconds that a processor second takes.
        jobs: how many run at a time.
    """
    rest = [max(0.0, seconds * pace - age) for seconds, age in running]
    return max((waiting * pace + sum(rest)) / jobs, max(rest, default=0.0))


def run_demos(
    rows: Sequence[Installed], seed: int, jobs: int, begin: Callable[[str], object]
) -> Generator[tuple[Shown, float], None, None]:
    """Run the demos, the longest first, each in a process of its own; yields each as it ends, with the seconds left.

    Closing the iterator ends those that still run. `begin` is called with the name of each as it starts.
    """
    expected, pace, ended = seconds_by_name(rows), slowdown(), [0.0, 0.0]  # seconds, processor seconds
    for key in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ.setdefault(key, str(max(1, _cores_and_load()[0] // jobs)))  # each has its share
    waiting = sorted(rows, key=lambda row: -expected[row.name])
    running: dict[str, _Child] = {}
    with tempfile.TemporaryDirectory(prefix="ninefold-demo-") as folder:
        try:
            while waiting or running:
                while waiting and len(running) < jobs:
                    row = waiting.pop(0)
                    begin(row.name)
                    running[row.name] = _Child(row.name, seed, Path(folder))
                for name in [name for name, child in running.items() if not child.process.is_alive()]:
                    shown, used = running.pop(name).result()
                    if not shown.reason:
                        expected[name] = max(round(used, 1), 0.1)  # 0 would say that none is known
                        ended = [ended[0] + shown.seconds, ended[1] + expected[name]]
                        pace = ended[0] / ended[1]
                    ages = [(expected[key], time.perf_counter() - child.start) for key, child in running.items()]
                    yield shown, time_left(sum(expected[row.name] for row in waiting), ages, pace, jobs)
                if Progress.interrupted:
                    raise KeyboardInterrupt
                time.sleep(0.02)
        finally:
            for child in running.values():
                child.kill()
            with contextlib.suppress(OSError):
                write_text(_times(), json.dumps(expected))


class _Child:
    """A demo in a process of its own, whose session a Ctrl-C at the terminal does not reach."""

    def __init__(self, name: str, seed: int, folder: Path) -> None:
        self.name, self.out, self.log = name, folder / f"{name}.json", folder / f"{name}.log"
        self.start = time.perf_counter()
        context: Any = multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")
        context.set_forkserver_preload(list(PRELOADED))
        self.process = context.Process(target=_run, args=(name, seed, self.out, self.log))
        self.process.start()

    def result(self) -> tuple[Shown, float]:
        """What it wrote, and its processor seconds; its own words follow on stderr if it has a defect."""
        try:
            used, words = json.loads(self.out.read_text(encoding="utf-8"))
            shown = Shown(**words)
        except (OSError, ValueError, TypeError):
            shown, used = failed(self.name, f"failed: its process ended with status {self.process.exitcode}"), 0.0
        if shown.defect:
            sys.stderr.write(self.log.read_text(encoding="utf-8", errors="replace"))
        shown.seconds = time.perf_counter() - self.start
        return shown, used

    def kill(self) -> None:
        """End it and what it started."""
        with contextlib.suppress(OSError, AttributeError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()
        self.process.join()


def _run(name: str, seed: int, out: Path, log: Path) -> None:
    def follow(parent: Any) -> None:
        parent.join()  # whoever waits for the result is gone: so go
        os._exit(1)

    getattr(os, "setsid", int)()  # where there are sessions
    for stream in (1, 2):
        os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
    threading.Thread(target=follow, args=(multiprocessing.parent_process(),), daemon=True).start()
    try:
        shown = show_demo(choose([name])[0], seed)
    except Exception as error:
        if not isinstance(error, NinefoldError):
            traceback.print_exception(error)
        shown = failed(name, error)
    write_text(out, json.dumps([sum(os.times()[:4]), dataclasses.asdict(shown)]))  # with what it started
