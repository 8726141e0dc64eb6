"""Fine-tuning a text model."""

from __future__ import annotations

from typing import Annotated, Any

from ninefold.cli import Shared, progress, verb
from typer import Option

from tswitch.cli._app import Csv, Encoder, Task, app

_HEAD_LR = "Step size of the head; a fast head leaves the encoder little to learn."


@verb(app, uses=("seed", "threads", "quiet", "force", "out"), out="folder", ours="tswitch.checkpoint")
def finetune(
    base: Encoder,
    *,
    task: Task = None,
    csv: Csv = None,
    steps: Annotated[int, Option(help="Optimiser steps.")] = 200,
    lr: Annotated[float, Option(help="Step size of the encoder.")] = 2e-4,
    head_lr: Annotated[float, Option(help=_HEAD_LR)] = 5e-4,
    batch: Annotated[int, Option(help="Rows a step.")] = 32,
    max_length: Annotated[int, Option(help="Tokens kept of each text.")] = 32,
    opts: Shared,
) -> dict[str, Any]:
    """Fine-tune BASE on a text task (all parameters and a fresh head) and write a Hugging Face folder.

    A run that was killed goes on where it was when the same command is given again.
    """
    from tswitch.datasets._given import rows_of
    from tswitch.evaluation._facts import finetuned_facts
    from tswitch.models._finetune import FinetuneConfig, finetune

    rows = rows_of(task, csv)
    out = opts.need_out()
    config = FinetuneConfig(steps=steps, lr=lr, head_lr=head_lr, batch=batch, max_length=max_length)
    with progress(steps, f"fine-tuning on {rows.name}") as bar:
        finetune(base, rows, out, config, seed=opts.seed, on_step=bar.advance, force=opts.force)
    return finetuned_facts(base, out, rows)
