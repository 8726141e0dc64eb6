"""Counters of a service, in Prometheus' text form, added up over its workers, those that ended among them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from recsys.serving._requests import REQUESTS

_BOUNDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)  # seconds
_STATUSES = (200, 400, 413, 500, 503, 507)
_ALL = 'recsys_seconds_bucket{le="+Inf"}'
_KEYS = [
    *(f'recsys_requests_total{{path="{path}",status="{status}"}}' for path in REQUESTS for status in _STATUSES),
    *(f'recsys_seconds_bucket{{le="{bound:g}"}}' for bound in _BOUNDS),
    _ALL,
    "recsys_seconds_sum",
    "reloads",
]
_PLACE = {key: place for place, key in enumerate(_KEYS)}


class Metrics:
    """Counters of this process, and the sum over all that share a folder.

    Args:
        state: folder with a file for each process; None: this process alone.
    """

    def __init__(self, state: str | Path | None = None) -> None:
        self._folder = None if state is None else Path(state)
        if self._folder is None:
            self._own: np.ndarray = np.zeros(len(_KEYS))
        else:
            path = self._folder / f"metrics-{os.getpid()}"
            path.write_bytes(np.zeros(len(_KEYS)).tobytes())
            self._own = np.memmap(path, np.float64, "r+", shape=(len(_KEYS),))

    def add(self, key: str, by: float = 1.0) -> None:
        """Count one more."""
        self._own[_PLACE[key]] += by

    def answered(self, path: str, status: int, seconds: float) -> None:
        """Count a request and its time."""
        self.add(f'recsys_requests_total{{path="{path}",status="{status}"}}')
        self.add("recsys_seconds_sum", seconds)
        for bound in _BOUNDS:
            if seconds <= bound:
                self.add(f'recsys_seconds_bucket{{le="{bound:g}"}}')
        self.add(_ALL)

    def text(self) -> str:
        """All counters, over all processes."""
        total = self._own.copy()
        if self._folder is not None:
            files = sorted(self._folder.glob("metrics-*"))
            total = np.sum([np.fromfile(one, np.float64, len(_KEYS)) for one in files], axis=0)
        value = dict(zip(_KEYS, total, strict=True))
        requests = [key for key in _KEYS if key.startswith("recsys_requests_total") and value[key]]
        buckets = [key for key in _KEYS if key.startswith("recsys_seconds_bucket")]
        lines = [  # all samples of a family stand together below its type: a parser drops what does not
            "# HELP recsys_requests_total Requests answered, by path and HTTP status.",
            "# TYPE recsys_requests_total counter",
            *(f"{key} {value[key]:.17g}" for key in requests),
            "# HELP recsys_seconds Time from request to answer, in seconds.",
            "# TYPE recsys_seconds histogram",
            *(f"{key} {value[key]:.17g}" for key in buckets),
            f"recsys_seconds_sum {value['recsys_seconds_sum']:.17g}",
            f"recsys_seconds_count {value[_ALL]:.17g}",
            "# HELP recsys_reloads_total Models taken up since the service started.",
            "# TYPE recsys_reloads_total counter",
            f"recsys_reloads_total {value['reloads']:.17g}",
        ]
        return "\n".join(lines) + "\n"
