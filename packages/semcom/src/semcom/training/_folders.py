"""A training as a run folder: what it was given, its checkpoints, and the model that comes out."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ninefold.distributed import joined
from ninefold.progress import Progress
from ninefold.run import Run

from semcom.models import HubMae, save_model


def train_into(
    out: Path, about: dict[str, Any], call: Callable[[Run | None], Any], *, half: bool = False, device: str = ""
) -> dict[str, Any] | None:
    """Train into a run folder, from which a killed run resumes, and write the model there.

    Args:
        out: the folder. about: settings, which a resumed run must share.
        call: trains in a run, and returns the model. half: store float16.
        device: of torch, if processes that torchrun started share the training; only the first has the run.
    Returns: steps, the last line of the log, and the model's path; None in all processes but the first.
    """
    with contextlib.ExitStack() as stack:
        rank = stack.enter_context(joined(device))[0] if device else 0
        Progress.shown = Progress.shown and rank == 0
        run = stack.enter_context(Run(out, about)) if rank == 0 else None
        model = call(run)
        if run is None:
            return None
        if isinstance(model, HubMae):
            model.model.save_pretrained(run.path / "model")
            return {"steps": about["steps"], "model": str(run.path / "model")}
        path = run.path / "model.safetensors"
        save_model(model, path, recipe=about, half=half, force=True)
        last = run.metrics()[-1]
        return {"steps": last["step"], **{k: round(v, 5) for k, v in last.items() if k != "step"}, "model": str(path)}
