"""Several workers behind one port: each maps the same model file, and one that ends is started anew."""

from __future__ import annotations

import json
import os
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any

from ninefold.errors import InputError, require

from recsys.recommender._store import load
from recsys.serving._events import EventLog
from recsys.serving._live import Live
from recsys.serving._worker import SETTING


def serve(
    folder: str | Path, *, host: str = "127.0.0.1", port: int = 8765, workers: int = 1,
    events: str | Path | None = None, items: str | Path | None = None,
) -> None:  # fmt: skip
    """Serve a model folder until it is stopped (Ctrl-C, SIGTERM); needs the extra `serve`.

    Args:
        folder: see `make_app`; so are `events` and `items`, here paths.
        host: address to listen on; everybody who reaches it may ask and send events.
        port: 0 takes a free one.
        workers: processes. One for each core that may be busy; each uses one thread for products.
    Raises:
        InputError: if the port is taken.
        NinefoldError: for what a worker could not start with, before any starts.
    """
    if workers < 1:
        raise InputError("workers", got=workers, expected="at least 1")
    uvicorn: Any = require("uvicorn", "recsys", "serve")
    Live(load(folder), items)  # what is wrong is said here, not by each worker
    if events is not None:
        EventLog(events).close()
    with tempfile.TemporaryDirectory(prefix="recsys-") as state, _listening(host, port) as found:
        setting = {"folder": folder, "state": state, "events": events, "items": items, "supervisor": os.getpid()}
        os.environ[SETTING] = json.dumps(setting, default=str)
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        config = uvicorn.Config(
            "recsys.serving._worker:worker", factory=True, workers=workers, log_level="warning", access_log=False,
            timeout_graceful_shutdown=10, backlog=2048, lifespan="on", ws="none",
        )  # fmt: skip
        print(f"http://{host}:{found.getsockname()[1]}/health", file=sys.stderr, flush=True)
        server = uvicorn.Server(config)
        if workers == 1:
            server.run(sockets=[found])
        else:
            supervisors: Any = require("uvicorn.supervisors", "recsys", "serve")
            supervisors.Multiprocess(config, sockets=[found]).run()


def _listening(host: str, port: int) -> socket.socket:
    found = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, port))
    except (OSError, OverflowError) as error:
        found.close()
        raise InputError(f"port {port}", got=str(error), expected="a free port, or 0") from None
    found.listen(2048)  # who asks while the workers start waits for them
    found.set_inheritable(True)
    return found
