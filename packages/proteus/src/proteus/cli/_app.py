"""The `proteus` command's app, and the options that its verbs on tables share."""

from pathlib import Path
from typing import Annotated

import typer
from ninefold.cli import house_app, run_app

app = house_app(
    "proteus", "From a proteomics table to **ranked, traceable results**, offline. Start with `proteus demo`."
)
main = run_app(app)

Data = Annotated[Path, typer.Argument(help="Table of any supported format, or a folder that `simulate` wrote.")]
Samples = Annotated[Path | None, typer.Option("--samples", "-s", help="Sample sheet: CSV, TSV or SDRF.")]
Format = Annotated[str, typer.Option("--format", help="`auto`, or a format's name (see README).")]
Normalise = Annotated[
    str, typer.Option("--normalise", help="median, mad, quantile, cyclic_loess, glog, or none.", show_default=True)
]
RollUp = Annotated[
    str, typer.Option("--roll-up", help="auto (precursors by median polish), median_polish, maxlfq, or none.")
]
Lfc = Annotated[str, typer.Option("--lfc", help="Fold bar on the log2 scale, or `auto`.")]
Design = Annotated[str, typer.Option("--design", help="Formula, e.g. '~ site + group'.")]
Contrast = Annotated[str, typer.Option("--contrast", help="Contrast, e.g. 'AD-control'.")]
Block = Annotated[str | None, typer.Option("--block", help="Column of samples that share a subject.")]
Top = Annotated[int, typer.Option("--top", min=1, help="Rows to print.")]
Force = Annotated[bool, typer.Option("--force", help="Replace what is at --out.")]
