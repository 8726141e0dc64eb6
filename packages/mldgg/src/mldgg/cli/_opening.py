"""Arguments that verbs share, and warnings as lines."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

_DATA = "Graphs: a collection (simulated, citation, twitch, ...), or a folder with one subfolder per graph, each with "
Data = Annotated[str, typer.Argument(help=f"{_DATA}edges.csv, features.csv and labels.csv.")]
GraphName = Annotated[
    str | None, typer.Option("--graph", help="Name of the graph in DATA; required if DATA has several graphs.")
]
ModelFile = Annotated[
    Path, typer.Argument(help="Model: the folder that `mldgg fit -o` wrote, or its model.safetensors.")
]
AdaptedFile = Annotated[Path, typer.Argument(help="Adapted model: the file that `mldgg adapt -o` wrote.")]


@contextmanager
def spoken_warnings() -> Iterator[None]:
    """Print warnings of the block to standard error, one line each."""
    with warnings.catch_warnings(record=True, action="always") as told:
        yield
    from mldgg.domains import LeakWarning

    for one in told:
        if issubclass(one.category, (LeakWarning, UserWarning)) and not issubclass(one.category, FutureWarning):
            typer.echo(f"warning: {one.message}", err=True)
