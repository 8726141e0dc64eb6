"""The `proteus` command's app, and the options that its verbs on tables share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from ninefold.cli import house_app, run_app

if TYPE_CHECKING:
    from proteus.data._data import ProteomicsData

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
    str,
    typer.Option("--roll-up", help="auto (precursors by peptide_model), peptide_model, median_polish, maxlfq, none."),
]
Lfc = Annotated[str, typer.Option("--lfc", help="Fold bar on the log2 scale, or `auto`.")]
Design = Annotated[str, typer.Option("--design", help="Formula, e.g. '~ site + group'.")]
Contrast = Annotated[str, typer.Option("--contrast", help="Contrast, e.g. 'AD-control'.")]
Block = Annotated[str | None, typer.Option("--block", help="Column of samples that share a subject.")]
Top = Annotated[int, typer.Option("--top", min=1, help="Rows to print.")]
Force = Annotated[bool, typer.Option("--force", help="Replace what is at --out.")]
Sets = Annotated[Path | None, typer.Option("--sets", help="Gene sets (GMT).")]
Links = Annotated[Path | None, typer.Option("--network", help="Interactions: two columns of symbols.")]
Symbols = Annotated[Path | None, typer.Option("--symbols", help="Accession-to-symbol table.")]
Panel = Annotated[Path | None, typer.Option("--panel", help="Cytometry: markers and their class.")]
Plex = Annotated[str | None, typer.Option("--plex", help="TMT: column of plexes, for --reference.")]
Reference = Annotated[
    str | None, typer.Option("--reference", help="TMT: COLUMN=LEVEL of the reference channels, e.g. group=pool.")
]


def read_data(
    path: Path, samples: Path | None, form: str = "auto", plex: str | None = None, reference: str | None = None
) -> ProteomicsData:
    """The table that a verb is given, with its sheet; scaled to its reference channels where these are named."""
    from ninefold.errors import InputError

    from proteus import ProteomicsData, load, scale_to_reference
    from proteus.loaders._samples import attach, read_samples

    if (plex is None) != (reference is None):
        raise InputError("--plex, --reference", got="one of them", expected="both: the plexes, and the channels")
    if path.is_dir():
        series = sorted(one.parent for one in path.glob("*/key.json"))
        if series:
            raise InputError(str(path), got=f"a series of {len(series)} tables", expected=f"one, e.g. {series[0]}")
        data = ProteomicsData.open(path / "data" if (path / "data").is_dir() else path)  # beside its key and sets
        data = attach(data, read_samples(samples), samples) if samples else data
    else:
        data = load(path, samples, form)
    return data if plex is None or reference is None else scale_to_reference(data, plex, reference)


def read_cohorts(paths: list[Path], samples: Path | None, form: str, cohort: str, plex: str | None) -> ProteomicsData:
    """Several tables as one, each a cohort named after its file; the sheet names samples of all."""
    from ninefold.errors import InputError

    from proteus.differential._replication import stack
    from proteus.loaders._samples import attach, read_samples

    if plex is not None:
        raise InputError("--plex", got="several tables", expected="one: scale each to its reference before")
    names = [one.name.split(".")[0] for one in paths]
    if len(set(names)) < len(names):
        names = [str(one) for one in paths]
    made = stack(
        [(name, read_data(one, None, form)) for name, one in zip(names, paths, strict=True)], cohort or "cohort"
    )
    return attach(made, read_samples(samples), samples) if samples is not None else made
