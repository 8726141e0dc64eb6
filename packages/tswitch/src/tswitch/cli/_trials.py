"""Measuring: accuracy and bytes over alpha, seconds a switch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from ninefold.cli import Shared, verb
from typer import Argument, Option

from tswitch.cli._app import Csv, Encoder, SwitchDir, Task, app

if TYPE_CHECKING:
    from ninefold.report import Table

_ALPHAS = "0:0.9:0.1,0.95,0.97,0.98"


@verb(app, uses=("seed", "threads", "quiet", "force", "out"), out="folder", ours="tswitch.sweep")
def sweep(
    base: Encoder,
    finetuned: Annotated[Path, Argument(help="Folder of a fine-tuned text classifier.")],
    *,
    task: Task = None,
    csv: Csv = None,
    alpha: Annotated[str, Option(help="Values of alpha to try: numbers and ranges first:last:step.")] = _ALPHAS,
    rows: Annotated[int, Option(help="Maximum number of validation rows to score.")] = 400,
    opts: Shared,
) -> Table:
    """Measure accuracy and bytes over alpha and scale rule, with dropping the largest or random changes as controls.

    Writes a CSV file and a picture to the folder -o (extra plots). The file of --csv needs all three
    splits.

    Example: `tswitch sweep minilm models/travel --task clinc150/travel --alpha 0.5,0.9,0.98 --rows 50 -o sweep`
    """
    from ninefold.errors import require

    from tswitch.datasets._given import check_classes, rows_of
    from tswitch.evaluation._sweep import alphas
    from tswitch.evaluation._sweep_folder import sweep_into
    from tswitch.models._models import classes_of

    out = opts.need_out()
    require("matplotlib", "tswitch", "plots")  # now, not after the work
    chosen, ratios = rows_of(task, csv), alphas(alpha)
    check_classes(f"head of {finetuned}", classes_of(finetuned), chosen)
    return sweep_into(out, base, finetuned, chosen, ratios, rows=rows, seed=opts.seed, force=opts.force)


@verb(app, uses=("device", "threads", "quiet"))
def bench(base: Encoder, switch: SwitchDir, *, opts: Shared) -> Table:
    """Time a switch on this machine: on and off on a live model, compared with loading the checkpoint again.

    Example: `tswitch bench minilm switches/snips`
    """
    from tswitch.evaluation._timing import time_switching
    from tswitch.switch._switch import Switch

    return time_switching(base, Switch.from_pretrained(switch), device=opts.device)
