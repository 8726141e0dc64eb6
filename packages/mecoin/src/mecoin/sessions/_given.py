"""Graphs and splits as a user names them, and splits as tables."""

from __future__ import annotations

from pathlib import Path

from ninefold.errors import InputError
from ninefold.report import Table
from ninefold_graphs import DEMO, Graph, Simulated, read_foreign

from mecoin import datasets
from mecoin.sessions._split import Split
from mecoin.sessions._stream import Session, SessionStream


def open_data(data: str, seed: int = 0) -> tuple[Graph, dict[str, int]]:
    """(graph, node ids by name) of a data set by name, a simulated one, or a folder.

    Args:
        data: of `datasets.DATASETS`, demo, simulated, or a folder of edges.csv, labels.csv and optionally features.csv.
        seed: of a simulated graph, and of features that a folder has not.
    Raises: InputError if there is no such set or folder, or if the folder lacks a file.
    """
    folder, simulators = Path(data), {"demo": DEMO, "simulated": Simulated()}
    names = [*simulators, *datasets.DATASETS]
    if data not in names and folder.is_dir():  # ./demo is a folder, whatever there is
        foreign = read_foreign(folder)
        if foreign is not None:
            return foreign, {foreign.title(one): int(one) for one in foreign.ids}
        edges, labels, features = (folder / f"{part}.csv" for part in ("edges", "labels", "features"))
        for file, line in ((edges, "node,node"), (labels, "node,class")):
            if not file.exists():
                raise InputError(f"folder {data}", got=f"no {file.name}", expected=f"one with lines {line}, no header")
        return datasets.read_edge_list(edges, labels, features if features.exists() else None, seed=seed)
    if data not in names:
        raise InputError("data", got=repr(data), expected=f"a folder that is there, or one of {', '.join(names)}")
    graph = simulators[data].draw(seed) if data in simulators else datasets.load(data)
    return graph, {str(one): int(one) for one in graph.ids}


def stream_of_split(graph: Graph, path: Path, number: int = 0) -> tuple[SessionStream, Session]:
    """Sessions of a split, and that of a number; InputError if there is none, or if a node is of another class than
    when the split was cut, as after lines were added."""
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


def stream_table(stream: SessionStream) -> Table:
    """New classes and numbers of nodes of each session."""
    table = Table(["session", "new classes", "labelled", "validation", "test", "visible nodes"])
    for session in stream:
        names = ", ".join(str(stream.data.classes[code]) for code in session.new)
        sizes = [session.train.size, session.validation.size, session.test.size, len(session.graph)]
        table.rows.append([session.index, names, *sizes])
    return table


def split_table(split: Split) -> Table:
    """Classes and nodes of each session of a split, without its data."""
    table = Table(["session", "classes", "labelled", "nodes"], title=f"{split.mode}, {split.way}-way {split.shot}-shot")
    for place, one in enumerate(split.sessions):
        table.rows.append([place, len(one.classes), sum(map(len, one.support.values())), one.nodes.size])
    return table
