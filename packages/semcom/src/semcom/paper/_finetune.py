"""Fine-tuning of a masked autoencoder as a run folder, by one process or by all that torchrun started."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from ninefold.distributed import joined
from ninefold.progress import Progress
from ninefold.run import Run

from semcom.datasets._given import training_tiles
from semcom.models import SmallMae, load_mae, model_hash
from semcom.paper._training import MaeRecipe, finetune
from semcom.training._folders import finish


def finetune_into(
    out: Path, model: str, data: str = "", recipe: str = "", seed: int = 0, *, device: str = "cpu", half: bool = False
) -> dict[str, Any] | None:
    """Fine-tune for noisy links into a run folder; a killed run goes on. Processes of torchrun share each batch.

    Args:
        out: the folder. model: `mae-32p4`, a model file, or a folder of a ViTMAE.
        data: see `training_tiles`. recipe: `key=value,...` of `MaeRecipe`. seed: random seed.
        device: of torch. half: store float16.
    Returns: steps, the last line of the log and the model's path; None in all processes but the first.
    """
    begin = load_mae(model)
    settings = MaeRecipe.from_text(recipe, seed=seed, steps=500, lr=3e-4, batch=32, save_every=100)
    about = {"verb": "finetune", "data": data, **settings.to_meta(), "start": model_hash(begin)}
    with contextlib.ExitStack() as stack:
        rank, _ = stack.enter_context(joined(device))
        Progress.shown = Progress.shown and rank == 0
        run = stack.enter_context(Run(out, about)) if rank == 0 else None
        tuned = finetune(begin, training_tiles(data, begin.image_size), settings, run, device)
        if run is None:
            return None
        if isinstance(tuned, SmallMae):
            return finish(run, tuned, about, half=half)
        tuned.model.save_pretrained(run.path / "model")
        return {"steps": settings.steps, "model": str(run.path / "model")}
