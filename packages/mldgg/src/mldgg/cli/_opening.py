"""Graphs and support as the command line names them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from ninefold.errors import InputError

if TYPE_CHECKING:
    from ninefold_graphs import Graph

Data = Annotated[
    str,
    typer.Argument(
        help="A collection (simulated, citation, twitch, ...), or a folder with a subfolder for each graph: edges.csv, "
        "features.csv and labels.csv."
    ),
]
GraphName = Annotated[str | None, typer.Option("--graph", help="Graph of DATA; needed if it has several.")]
ModelFile = Annotated[Path, typer.Argument(help="Model: the folder that `fit -o` wrote, or its model.safetensors.")]


@contextmanager
def spoken_warnings() -> Iterator[None]:
    """Print warnings of the block to standard error, one line each."""
    with warnings.catch_warnings(record=True, action="always") as told:
        yield
    from mldgg.domains import LeakWarning

    for one in told:
        if issubclass(one.category, (LeakWarning, UserWarning)) and not issubclass(one.category, FutureWarning):
            typer.echo(f"warning: {one.message}", err=True)


def open_target(data: str, name: str | None, classes: tuple[str, ...], seed: int) -> Graph:
    """The graph that a model is adapted to, its class ids in the model's order."""
    from ninefold_graphs import read_folder

    from mldgg.datasets import load

    own = Path(data).is_dir()
    graphs = read_folder(data, classes or None) if own else load(data, seed=seed)
    if name is None and len(graphs) > 1:
        raise InputError("--graph", got="none", expected=f"one of {', '.join(graphs)}")
    name = name or next(iter(graphs))
    if name not in graphs:
        raise InputError("--graph", got=repr(name), expected=f"one of {', '.join(graphs)}")
    return graphs[name]


def with_support(graph: Graph, support: Path | None, shots: int | None, seed: int) -> Graph:
    """The graph with the support's labels alone: from a file, drawn by `shots`, or those of its labels.csv."""
    from ninefold_graphs import read_support

    from mldgg.domains import split_support

    if support is not None and shots is not None:
        raise InputError("--support", got="--shots beside it", expected="one of the two")
    if support is not None:
        if not support.is_file():
            raise InputError("--support", got=str(support), expected="a CSV file of node,class")
        y = np.full(len(graph), -1)
        for label, nodes in read_support(support, graph, graph.classes, new=False).items():
            y[graph.positions(nodes)] = graph.code(label)
        return graph.with_labels(y)
    if shots is not None:
        if shots == 0:
            return graph.hidden(graph.y < -1)
        return graph.hidden(split_support(graph.y, shots=shots, seed=seed).support)
    if graph.titles is None:
        raise InputError("--shots", got="none", expected="--shots or --support: a collection shows all its labels")
    return graph


def model_path(path: Path) -> Path:
    """The file of a model that is named by its run folder or by itself."""
    return path / "model.safetensors" if path.is_dir() else path


def names_of(graph: Graph) -> list[str] | list[int]:
    """Node names: those of the files, or indices."""
    return [graph.title(one) for one in graph.ids] if graph.titles is not None else list(range(len(graph)))
