"""A run's folder: what was asked, on what machine, what came out; whole files only, resumable, one writer at a time.

config.json        what was asked; a second run with other values is refused
environment.json   versions, hardware, git state: no paths, user names or hosts
metrics.jsonl      one JSON object a line, in the order of logging
checkpoints/ figures/
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ninefold.errors import ArtifactError, InputError
from ninefold.files import lock, recover, write_text
from ninefold.files._owner import RUN, is_run
from ninefold.report import plain


class Run:
    """An open run folder, a context manager. The lock dies with the process, so a kill leaves nothing to mend.

    Examples:
        >>> from ninefold.run import Run

        >>> with Run("run", {"steps": 3}) as run:
        ...     for step in range(3):
        ...         run.log(step=step, loss=1 / (step + 1))
        >>> with Run("run", {"steps": 3}) as run:  # the same settings: it goes on
        ...     print(run.resumed, run.metrics()[-1])
        True {'step': 2, 'loss': 0.3333333333333333}
    """

    def __init__(self, path: str | Path, config: Mapping[str, Any]) -> None:
        """Open or make the folder `path` for a run with `config` (JSON values).

        Raises:
            InputError: if the folder holds a run with another config; names the keys that differ.
            ArtifactError: if another process writes there, or the folder holds something else.
        """
        self.path = Path(path)
        self.config = json.loads(json.dumps(config, sort_keys=True))
        known, lock_path = self.path / "config.json", self.path / ".lock"
        recover(self.path)
        free = not self.path.exists() or (self.path.is_dir() and not any(self.path.iterdir()))
        if not free and not is_run(self.path):
            raise ArtifactError(self.path, "holds something that is no run; choose another place")
        self.path.mkdir(parents=True, exist_ok=True)
        lock_path.touch()
        self._lock = lock(lock_path)
        if self._lock is None:
            raise ArtifactError(self.path, "is in use by another process")
        try:
            if lock_path.read_bytes() != RUN:  # written once: a kill must not meet it emptied beside other files
                lock_path.write_bytes(RUN)  # first of all: it marks the folder as ours, should a kill come next
            self.checkpoints.mkdir(exist_ok=True)
            self.figures.mkdir(exist_ok=True)
            self.resumed = known.exists()
            if self.resumed:
                self._check(known)
            else:
                write_text(self.path / "environment.json", json.dumps(environment(), indent=2) + "\n")
                write_text(known, json.dumps(self.config, indent=2, sort_keys=True) + "\n")
            self._metrics.touch()
            whole = self._metrics.read_bytes().rfind(b"\n") + 1
            os.truncate(self._metrics, whole)  # a kill inside `log` can leave half a line
        except BaseException:
            self.close()
            raise

    def _check(self, known: Path) -> None:
        try:
            before = dict(json.loads(known.read_text(encoding="utf-8")))
        except (ValueError, TypeError):
            raise ArtifactError(known, "is damaged: it is no JSON object") from None
        pairs = {key: (before.get(key), self.config.get(key)) for key in sorted({**before, **self.config})}
        differ = [f"{key} was {was!r}, now {now!r}" for key, (was, now) in pairs.items() if was != now]
        if differ:
            raise InputError(f"run {self.path}", got=", ".join(differ), expected="the same settings or another folder")

    @property
    def checkpoints(self) -> Path:
        """Folder for what a resumed run continues from."""
        return self.path / "checkpoints"

    @property
    def figures(self) -> Path:
        """Folder for pictures."""
        return self.path / "figures"

    @property
    def _metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    def log(self, **values: Any) -> None:
        """Append one line to metrics.jsonl, flushed to disk; NaN and infinities become null."""
        with self._metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(plain(values)) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def metrics(self) -> list[dict[str, Any]]:
        """What was logged so far."""
        try:
            return [json.loads(line) for line in self._metrics.read_bytes().splitlines()]
        except ValueError:
            raise ArtifactError(self._metrics, "is damaged: a line is no JSON") from None

    def rewind(self, lines: int) -> None:
        """Forget all but the first `lines` of metrics.jsonl: a resumed run logs what came after its checkpoint anew."""
        os.truncate(self._metrics, sum(map(len, self._metrics.read_bytes().splitlines(keepends=True)[:lines])))

    def close(self) -> None:
        """Give the lock back."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


_LIBRARIES = ("numpy", "scipy", "torch", "transformers", "safetensors", "numba", "scikit-learn", "torch-geometric")


def environment() -> dict[str, Any]:
    """Versions, platform, processor, cores, memory and git state; nothing that names a person or place.

    Examples:
        >>> from ninefold.run import environment

        >>> sorted(environment())
        ['cores', 'libraries', 'memory_gib', 'processor', 'python', 'system']
    """
    libraries = {}
    for name in (*_LIBRARIES, "ninefold-core"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            libraries[name] = importlib.metadata.version(name)
    return {
        "python": platform.python_version(), "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(), "cores": _cores(), "libraries": libraries,
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
    }  # fmt: skip


def _cores() -> int | None:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown"
