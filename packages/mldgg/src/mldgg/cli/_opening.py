"""Graphs and support as the command line names them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from ninefold.errors import InputError

if TYPE_CHECKING:
    from mldgg.datasets import Graph

Data = Annotated[
    str,
    typer.Argument(
        help="A collection (simulated, citation, twitch, ...), or a folder with a subfolder for each graph: edges.csv, "
        "features.csv and labels.csv."
    ),
]
GraphName = Annotated[str | None, typer.Option("--graph", help="Graph of DATA; needed if it has several.")]
Force = Annotated[bool, typer.Option("--force", help="Replace what is at --out.")]
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
    from mldgg.datasets import load, read_folder

    own = Path(data).is_dir()
    graphs = read_folder(data, classes or None) if own else load(data, seed=seed)
    if name is None and len(graphs) > 1:
        raise InputError("--graph", got="none", expected=f"one of {', '.join(graphs)}")
    name = name or next(iter(graphs))
    if name not in graphs:
        raise InputError("--graph", got=repr(name), expected=f"one of {', '.join(graphs)}")
    return graphs[name]


def home_of(data: str, graph: Graph) -> Path | None:
    """Folder of an own graph, where its node names are; None for a collection."""
    folder = Path(data)
    if not folder.is_dir():
        return None
    return folder if (folder / "features.csv").is_file() else folder / graph.name


def with_support(data: str, graph: Graph, support: Path | None, shots: int | None, seed: int) -> Graph:
    """The graph with the support's labels alone: from a file, drawn by `shots`, or those of its labels.csv."""
    from mldgg.datasets import node_names, read_support
    from mldgg.domains import split_support

    if support is not None and shots is not None:
        raise InputError("--support", got="--shots beside it", expected="one of the two")
    home = home_of(data, graph)
    if support is not None:
        names = node_names(home) if home is not None else [str(node) for node in range(len(graph))]
        return graph.with_labels(read_support(support, names, graph.classes))
    if shots is not None:
        if shots == 0:
            return graph.hidden(graph.y < -1)
        return graph.hidden(split_support(graph.y, shots=shots, seed=seed).support)
    if home is None:
        raise InputError("--shots", got="none", expected="--shots or --support: a collection shows all its labels")
    return graph


def model_path(path: Path) -> Path:
    """The file of a model that is named by its run folder or by itself."""
    return path / "model.safetensors" if path.is_dir() else path


def names_of(data: str, graph: Graph) -> list[Any]:
    """Node names: those of the files, or indices."""
    from mldgg.datasets import node_names

    home = home_of(data, graph)
    return list(node_names(home)) if home is not None else list(range(len(graph)))
