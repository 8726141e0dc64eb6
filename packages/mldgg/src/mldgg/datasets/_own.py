"""Own graphs from CSV files: one folder a graph, without header lines."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from ninefold.errors import InputError

from mldgg.datasets._graph import Graph, graph_of


def read_folder(folder: str | Path, classes: tuple[str, ...] | None = None) -> dict[str, Graph]:
    """Read own graphs: each subfolder (or the folder itself) has edges.csv, features.csv and perhaps labels.csv.

    edges.csv: node,node. features.csv: node,number,number,... . labels.csv: node,class; a node without a line has no
    known label. Node names are free; class names are shared by all graphs of the folder.

    Args:
        folder: as above.
        classes: names in the order of their ids; by default all that labels.csv of any graph has, sorted.
    Raises: InputError with file and line.
    """
    folder = Path(folder)
    homes = [folder] if (folder / "edges.csv").is_file() else sorted(p.parent for p in folder.glob("*/edges.csv"))
    if not homes:
        raise InputError(
            "folder", got="no edges.csv", expected="edges.csv and features.csv, or subfolders", where=folder
        )
    labels = {home: _rows(home / "labels.csv", 2) if (home / "labels.csv").is_file() else [] for home in homes}
    if classes is None:
        classes = tuple(sorted({label for rows in labels.values() for _, (_, label) in rows}, key=_by_number))
    return {home.name: _graph(home, labels[home], classes) for home in homes}


def node_names(folder: str | Path) -> list[str]:
    """Names of the nodes of one graph's folder, in the order of its node indices."""
    return [name for _, (name, *_) in _rows(Path(folder) / "features.csv", None)]


def read_support(path: str | Path, names: list[str], classes: tuple[str, ...]) -> np.ndarray:
    """(N,) class ids of the nodes that a CSV file of node,class names; -1 everywhere else."""
    path, y = Path(path), np.full(len(names), -1, np.int64)
    places = {name: place for place, name in enumerate(names)}
    for number, (name, label) in _rows(path, 2):
        if label not in classes:
            _refuse(path, number, f"class {label!r}", f"one of {', '.join(classes)}")
        y[_place(places, name, path, number)] = classes.index(label)
    return y


def _by_number(label: str) -> tuple[bool, int, str]:
    return (not label.isdecimal(), int(label) if label.isdecimal() else 0, label)


def _graph(home: Path, labels: list[tuple[int, list[str]]], classes: tuple[str, ...]) -> Graph:
    rows = _rows(home / "features.csv", None)
    places: dict[str, int] = {}
    for number, (name, *_) in rows:
        if name in places:
            _refuse(home / "features.csv", number, f"node {name!r} again", "one line for each node")
        places[name] = len(places)
    width = len(rows[0][1])
    for number, cells in rows:
        if len(cells) != width:
            _refuse(home / "features.csv", number, f"{len(cells)} cells", f"{width}, as in the first line")
    try:
        x = np.array([cells[1:] for _, cells in rows], np.float32)
    except ValueError as error:
        raise InputError("features.csv", got=str(error), expected="numbers, no header", where=home) from None
    y = np.full(len(rows), -1, np.int64)
    for number, (name, label) in labels:
        if label not in classes:
            _refuse(home / "labels.csv", number, f"class {label!r}", f"one of {', '.join(classes)}")
        y[_place(places, name, home / "labels.csv", number)] = classes.index(label)
    edges = home / "edges.csv"
    pairs = [[_place(places, name, edges, number) for name in names] for number, names in _rows(edges, 2)]
    sparse = (x == 0).mean() > 0.8 and x.shape[1] > 128
    return graph_of(home.name, sp.csr_matrix(x) if sparse else x, np.array(pairs, np.int64).T, y, classes)


def _place(places: dict[str, int], name: str, path: Path, number: int) -> int:
    if name not in places:
        _refuse(path, number, f"node {name!r}", "a node of features.csv")
    return places[name]


def _rows(path: Path, cells: int | None) -> list[tuple[int, list[str]]]:
    """(line number, cells) of each line that is not empty."""
    if not path.is_file():
        raise InputError(path.name, got="no such file", expected="a CSV file without header", where=path.parent)
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [(number, row) for number, row in enumerate(csv.reader(file), 1) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(path.name, got=str(error), expected="a CSV file in UTF-8", where=path.parent) from None
    for number, row in rows:
        if len(row) < 2 or (cells is not None and len(row) != cells):
            _refuse(path, number, f"{len(row)} cells", f"{cells or 'at least 2'}")
    if not rows:
        raise InputError(path.name, got="an empty file", expected="a line for each node or edge", where=path.parent)
    return rows


def _refuse(path: Path, number: int, got: str, expected: str) -> None:
    raise InputError("line", got=got, expected=expected, where=f"{path}, line {number}")
