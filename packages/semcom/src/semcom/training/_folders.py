"""A training as a run folder: what it was given, its checkpoints, and the model file that comes out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ninefold.files import digest_file
from ninefold.run import Run

from semcom.models import BUILT_IN, built_in_path, save_model


def train_into(
    out: Path, about: Mapping[str, Any], call: Callable[[Run], Any], *, start: Path | None = None, half: bool = False
) -> dict[str, Any]:
    """Train into a run folder, from which a killed run goes on, and write model.safetensors there.

    Args:
        out: the folder. about: settings, which a run that goes on must share.
        call: trains in a run, and returns the model.
        start: model file that the training begins with, or the name of a built-in one. half: store float16.
    Returns: steps, the last line of the log, and the model's path.
    """
    file = built_in_path(str(start)) if str(start) in BUILT_IN else start
    settings = {**about, "start": digest_file(file) if file else None}
    with Run(out, settings) as run:
        return finish(run, call(run), settings, half=half)


def finish(run: Run, model: Any, recipe: dict[str, Any], *, half: bool = False) -> dict[str, Any]:
    """Write a trained model into its run; steps, the last line of the log, and the model's path."""
    path = run.path / "model.safetensors"
    save_model(model, path, recipe=recipe, half=half, force=True)
    last = run.metrics()[-1]
    return {"steps": last["step"], **{k: round(v, 5) for k, v in last.items() if k != "step"}, "model": str(path)}
