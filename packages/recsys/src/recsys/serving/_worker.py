"""One of several workers: it ends with its supervisor, from its first moment on."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from typing import Any

SETTING = "RECSYS_SERVE"  # what a worker is to serve, as JSON: workers are new processes
_LOOK, _GRACE = 0.5, 5.0  # seconds between two looks at the supervisor, and for the last answers


def worker() -> Any:
    """The application of one worker, by the setting that `serve` left."""
    setting = json.loads(os.environ[SETTING])
    supervisor = setting.pop("supervisor")
    if supervisor != os.getpid():
        if os.getppid() != supervisor:
            os._exit(1)
        threading.Thread(target=_end_with, args=(supervisor,), daemon=True).start()
    from recsys.serving._app import make_app  # after that: it takes seconds, in which the supervisor may be killed

    return make_app(**setting)


def _end_with(supervisor: int) -> None:
    """End this worker when its supervisor has died, so that the port is free again."""
    while os.getppid() == supervisor:
        time.sleep(_LOOK)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE)
    os._exit(1)
