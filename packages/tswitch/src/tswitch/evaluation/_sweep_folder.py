"""A sweep of drop ratios as a folder: sweep.csv and sweep.png."""

from __future__ import annotations

from pathlib import Path

from ninefold.artifacts import write_folder
from ninefold.progress import progress
from ninefold.report import Table, save_figure

from tswitch.checkpoints._opening import open_base
from tswitch.datasets._text_data import TextTask
from tswitch.evaluation import _sweep


def sweep_into(
    out: Path, base: str, finetuned: Path, task: TextTask, ratios: list[float], *, rows: int, seed: int = 0,
    force: bool = False,
) -> Table:  # fmt: skip
    """Score a model over drop ratios, and write table and picture into a folder.

    Args:
        out: the folder. base, finetuned, task, ratios, rows, seed: see `_sweep.sweep`.
        force: replace what an earlier run wrote.
    """
    with progress(len(ratios), "sweeping") as bar:
        table = _sweep.sweep(base, finetuned, task, ratios, rows=rows, seed=seed, advance=bar.advance)
    before = open_base(base)
    whole = 4 * sum(before.info(name).numel for name in before.names)
    with write_folder(out, kind="tswitch.sweep", format_version=1, package="tswitch", force=force) as folder:
        lines = [",".join(map(str, row)) for row in (table.columns, *table.rows)]
        (folder / "sweep.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        save_figure(_sweep.picture(table, whole), folder / "sweep.png")
    table.notes.append(f"written: {out}/sweep.csv, {out}/sweep.png")
    return table
