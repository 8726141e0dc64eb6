"""Measuring: accuracy and bytes over alpha, seconds a switch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from ninefold.cli import Shared, progress, verb

from tswitch.cli._app import Csv, Encoder, SwitchDir, Task, app, check_classes, open_base, rows_of

if TYPE_CHECKING:
    from ninefold.report import Table

_ALPHAS = "0:0.9:0.1,0.95,0.97,0.98"


@verb(app, uses=("seed", "threads", "quiet", "force", "out"), out="folder", ours="tswitch.sweep")
def sweep(
    base: Encoder,
    finetuned: Annotated[Path, typer.Argument(help="Folder of a fine-tuned text model, as `finetune` writes it.")],
    *,
    task: Task = None,
    csv: Csv = None,
    alpha: Annotated[str, typer.Option("--alpha", help="Drop ratios: numbers and first:last:step.")] = _ALPHAS,
    rows: Annotated[int, typer.Option("--rows", help="Most validation rows to score.")] = 400,
    opts: Shared,
) -> Table:
    """Accuracy and bytes over alpha and knob, beside dropping the largest or random changes; writes CSV and picture."""
    from ninefold.artifacts import write_folder
    from ninefold.errors import require
    from ninefold.report import save_figure

    from tswitch.evaluation import _sweep
    from tswitch.models._models import classes_of

    out = opts.need_out()
    require("matplotlib", "ninefold", "plots")  # now, not after the work
    chosen, ratios = rows_of(task, csv), _sweep.alphas(alpha)
    check_classes(f"head of {finetuned}", classes_of(finetuned), chosen)
    with progress(len(ratios), "sweeping") as bar:
        table = _sweep.sweep(base, finetuned, chosen, ratios, rows=rows, seed=opts.seed, advance=bar.advance)
    before = open_base(base)
    whole = 4 * sum(before.info(name).numel for name in before.names)
    with write_folder(out, kind="tswitch.sweep", format_version=1, package="tswitch", force=opts.force) as folder:
        lines = [",".join(map(str, row)) for row in (table.columns, *table.rows)]
        (folder / "sweep.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        save_figure(_sweep.picture(table, whole), folder / "sweep.png")
    table.notes.append(f"written: {out}/sweep.csv, {out}/sweep.png")
    return table


@verb(app, uses=("device", "threads", "quiet"))
def bench(base: Encoder, switch: SwitchDir, *, opts: Shared) -> Table:
    """Time a switch on this machine: on and off on a live encoder, against reading the checkpoint anew."""
    from tswitch.evaluation._timing import time_switching
    from tswitch.switch._switch import Switch

    return time_switching(base, Switch.from_pretrained(switch), device=opts.device)
