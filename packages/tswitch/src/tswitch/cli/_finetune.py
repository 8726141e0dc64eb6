"""Fine-tuning a text model."""

from __future__ import annotations

from typing import Annotated, Any

from ninefold.cli import Shared, progress, verb
from typer import Option

from tswitch.cli._app import Csv, Encoder, Task, app

_HEAD_LR = "Learning rate of the classification head; with a high rate the encoder learns little."


@verb(app, uses=("seed", "threads", "quiet", "force", "out"), out="folder", ours="tswitch.checkpoint")
def finetune(
    base: Encoder,
    *,
    task: Task = None,
    csv: Csv = None,
    steps: Annotated[int, Option(help="Number of optimiser steps.")] = 200,
    lr: Annotated[float, Option(help="Learning rate of the encoder.", rich_help_panel="Advanced")] = 2e-4,
    head_lr: Annotated[float, Option(help=_HEAD_LR, rich_help_panel="Advanced")] = 5e-4,
    batch: Annotated[int, Option(help="Batch size: rows of each step.")] = 32,
    max_length: Annotated[int, Option(help="Maximum number of tokens of each text; longer texts are cut.")] = 32,
    opts: Shared,
) -> dict[str, Any]:
    """Fine-tune BASE on a text task (all parameters and a fresh head) and write a Hugging Face folder.

    Rerun the same command to resume after an interruption.

    Example: `tswitch finetune minilm --task snips --steps 12 -o models/snips`
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
