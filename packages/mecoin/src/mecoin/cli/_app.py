"""What all verbs share: the app, their common arguments, and how data, splits and support are read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from ninefold.cli import house_app
from ninefold.errors import InputError

if TYPE_CHECKING:
    from ninefold_graphs import Graph

    from mecoin.memory._mecoin import Mecoin
    from mecoin.sessions._stream import Session, SessionStream

app = house_app(
    "mecoin",
    "New node classes for a graph model from five labels each. Begin with **mecoin demo**; on your own graph: "
    "fit, add, predict; to compare methods: split, compare.",
)
Data = Annotated[
    str,
    typer.Argument(
        help="A data set (CS, Computers, ...), 'demo' or 'simulated', or a folder with edges.csv, labels.csv and, if "
        "there are features, features.csv."
    ),
]
Model = Annotated[Path, typer.Argument(help="File of a model.")]
SplitFile = Annotated[Path | None, typer.Option("--split", help="A split.json: take the nodes of a session from it.")]
Number = Annotated[int, typer.Option("--session", help="Session of the split.", min=0)]


@dataclass(frozen=True)
class Cut:
    """Options of the verbs that cut data into sessions."""

    base: Annotated[int, typer.Option("--base", help="Base classes: the largest.")] = 10
    way: Annotated[int, typer.Option("--way", help="New classes a session.")] = 2
    shot: Annotated[int, typer.Option("--shot", help="Labelled nodes of each new class.")] = 5
    mode: Annotated[
        str, typer.Option("--mode", help="inductive, or transductive: all nodes visible from the start.")
    ] = "inductive"
    sessions: Annotated[
        int | None, typer.Option("--sessions", help="Sessions after the base one; all, if left out.")
    ] = None


def open_data(data: str, seed: int) -> tuple[Graph, dict[str, int]]:
    """(graph, node ids by name) of a data set by name, a simulated one, or a folder."""
    from ninefold_graphs import DEMO, Simulated

    from mecoin import datasets

    folder, simulators = Path(data), {"demo": DEMO, "simulated": Simulated()}
    names = [*simulators, *datasets.DATASETS]
    if data not in names and folder.is_dir():  # ./demo is a folder, whatever there is
        edges, labels, features = (folder / f"{part}.csv" for part in ("edges", "labels", "features"))
        for file, line in ((edges, "node,node"), (labels, "node,class")):
            if not file.exists():
                raise InputError(f"folder {data}", got=f"no {file.name}", expected=f"one with lines {line}, no header")
        return datasets.read_edge_list(edges, labels, features if features.exists() else None, seed=seed)
    if data not in names:
        raise InputError("data", got=repr(data), expected=f"a folder that is there, or one of {', '.join(names)}")
    graph = simulators[data].draw(seed) if data in simulators else datasets.load(data)
    return graph, {str(one): int(one) for one in graph.ids}


def model_of(path: Path) -> Mecoin:
    """The model in a file, of whichever variant."""
    from ninefold import artifacts

    from mecoin.memory._mecoin import FORMAT, KIND, Mecoin
    from mecoin.paper import PaperModel

    paper = artifacts.Artifact(path, kind=KIND, format_version=FORMAT).meta.get("variant") == PaperModel.variant
    return (PaperModel if paper else Mecoin).load(path)


def stream_of_split(graph: Graph, path: Path, number: int = 0) -> tuple[SessionStream, Session]:
    """Sessions of a split, and that of a number; InputError if there is none, or if a node is of another class than
    when the split was cut, as after lines were added."""
    from mecoin import SessionStream

    stream = SessionStream.from_split(graph, path)
    for session in stream.split.sessions:
        for part in (session.support, session.validation, session.test):
            for name, nodes in part.items():
                others = nodes[graph.y[graph.positions(nodes)] != graph.code(name)]
                if others.size:
                    got, hint = f"not of class {name!r}", "it was made of other data: cut it anew"
                    raise InputError(f"node {others[0]}", got=got, expected="as the split says", where=path, hint=hint)
    if number >= len(stream):
        raise InputError("--session", got=number, expected=f"0 to {len(stream) - 1}, as the split has")
    return stream, stream[number]
