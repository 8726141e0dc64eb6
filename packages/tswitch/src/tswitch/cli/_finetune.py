"""Fine-tuning a text model."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from ninefold.cli import Shared, progress, verb

from tswitch.cli._app import Csv, Encoder, Task, app, rows_of


@verb(app, uses=("seed", "threads", "quiet", "force", "out"), out="folder", ours="tswitch.checkpoint")
def finetune(
    base: Encoder,
    *,
    task: Task = None,
    csv: Csv = None,
    steps: Annotated[int, typer.Option("--steps", help="Optimiser steps.")] = 200,
    lr: Annotated[float, typer.Option("--lr", help="Step size of the encoder.")] = 2e-4,
    head_lr: Annotated[
        float, typer.Option("--head-lr", help="Step size of the head; a fast head leaves the encoder little to learn.")
    ] = 5e-4,
    batch: Annotated[int, typer.Option("--batch", help="Rows a step.")] = 32,
    max_length: Annotated[int, typer.Option("--max-length", help="Tokens kept of each text.")] = 32,
    opts: Shared,
) -> dict[str, Any]:
    """Fine-tune BASE on a text task (all parameters and a fresh head) and write a Hugging Face folder.

    A run that was killed goes on where it was when the same command is given again.
    """
    from tswitch.models._finetune import FinetuneConfig, finetune
    from tswitch.models._models import TextClassifier
    from tswitch.models._models import predict as classes_of

    rows = rows_of(task, csv)
    out = opts.need_out()
    config = FinetuneConfig(steps=steps, lr=lr, head_lr=head_lr, batch=batch, max_length=max_length)
    with progress(steps, f"fine-tuning on {rows.name}") as bar:
        finetune(base, rows, out, config, seed=opts.seed, on_step=bar.advance, force=opts.force)
    held, model = rows.validation, TextClassifier.from_pretrained(out)
    right = classes_of(model, held.texts) == held.labels
    model.encoder = TextClassifier.from_base(base, 1).encoder
    by_head = classes_of(model, held.texts) == held.labels
    made = {"task": rows.name, "classes": len(rows.classes), "rows": len(rows.train)}
    made |= {"validation accuracy": float(right.mean()), "of the base with this head": float(by_head.mean())}
    return {**made, "folder": out}
