"""Collections of graphs by name: the simulated one, and those below `$NINEFOLD_DATA/mldgg`, in their raw layouts."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from ninefold.datasets import cache_path, data_dir
from ninefold.errors import DownloadError, InputError
from ninefold_graphs import Graph, load_mat, read_folder

from mldgg.datasets._doors import graph_of
from mldgg.datasets._functions import load_functions
from mldgg.datasets._simulator import Simulated

FILES = {"acm": "acmv9.mat", "citation": "citationv1.mat", "dblp": "dblpv7.mat"}
CLASSES = ("databases", "artificial intelligence", "computer vision", "information security", "networking")


def load_citation(folder: Path) -> dict[str, Graph]:
    """Read the three graphs; nodes with more than one label have label -1, so that no loss or metric counts them."""
    return {name: _read_citation(folder / file, name) for name, file in FILES.items()}


def _read_citation(path: Path, name: str) -> Graph:
    try:
        held = load_mat(path, {"network", "attrb", "group"})
        groups, shapes = np.asarray(held["group"], np.float64), (held["attrb"].shape[0], *held["network"].shape)
        if shapes != (len(groups),) * 3:
            raise ValueError(f"{shapes[0]} rows of attrb, network of {shapes[1:]}, {len(groups)} rows of group")
        x, network = sp.csr_matrix(held["attrb"]), sp.coo_matrix(held["network"])
    except (OSError, TypeError, ValueError) as error:
        raise InputError("MATLAB file", got=str(error), expected="keys network, attrb, group", where=path) from None
    y = np.where(groups.sum(axis=1) == 1, groups.argmax(axis=1), -1)
    weight = None if np.all(network.data == 1) else network.data
    return graph_of(name, x, np.stack([network.row, network.col]), y, CLASSES, weight=weight)


AIRPORTS = ("brazil", "europe", "usa")
DEGREES = 64  # columns of the one-hot degree; larger degrees share the last
_QUARTERS = ("lowest quarter", "second", "third", "highest quarter")


def load_airports(folder: Path) -> dict[str, Graph]:
    """Read the three graphs; the label is the quartile of activity, the features are the degree as one-hot."""
    return {name: _airports(folder, name) for name in AIRPORTS}


def _airports(folder: Path, name: str) -> Graph:
    try:
        pairs = np.loadtxt(folder / f"{name}-airports.edgelist", np.int64, ndmin=2).T
        labels = np.loadtxt(folder / f"labels-{name}-airports.txt", np.int64, skiprows=1, ndmin=2)
        if labels.shape[1] != 2 or len(pairs) != 2:
            raise ValueError("rows of other than 2 numbers")
        strangers = np.setdiff1d(pairs, labels[:, 0])
        if strangers.size or not ((labels[:, 1] >= 0) & (labels[:, 1] < 4)).all():
            raise ValueError(f"node {strangers[0]} in an edge" if strangers.size else "a label that is not 0 to 3")
    except (OSError, ValueError) as error:
        raise InputError("airport files", got=str(error), expected="struc2vec's layout", where=folder) from None
    order = np.argsort(labels[:, 0])
    pairs = order[np.searchsorted(labels[order, 0], pairs)]
    degree = np.bincount(pairs[:, pairs[0] != pairs[1]].ravel(), minlength=len(labels))
    x = np.eye(DEGREES, dtype=np.float32)[np.minimum(degree, DEGREES - 1)]
    return graph_of(name, x, pairs, labels[:, 1], _QUARTERS)


LANGUAGES = ("DE", "ENGB", "ES", "FR", "PTBR", "RU", "TW")
FEATURES = 3170


def load_twitch(folder: Path) -> dict[str, Graph]:
    """Read the seven graphs; the label is whether a streamer uses mature language."""
    return {name: _read_twitch(folder / name, name) for name in LANGUAGES}


def _read_twitch(folder: Path, name: str) -> Graph:
    """One graph; where a node stands twice in target.csv (FR), the first row counts."""
    try:
        with (folder / f"musae_{name}_target.csv").open(newline="", encoding="utf-8") as file:
            rows = [(int(row["new_id"]), row["mature"] == "True") for row in csv.DictReader(file)]
        with (folder / f"musae_{name}_edges.csv").open(encoding="utf-8") as file:
            next(file)
            pairs = np.array([line.split(",") for line in file], np.int64).T
        features = json.loads((folder / f"musae_{name}_features.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, StopIteration) as error:
        raise InputError("Twitch files", got=str(error), expected="MUSAE's layout", where=folder) from None
    nodes = max(node for node, _ in rows) + 1
    y = np.full(nodes, -1, np.int64)
    for node, mature in reversed(rows):
        y[node] = mature
    places = [(int(node), one) for node, ids in features.items() for one in set(ids) if one < FEATURES]
    row, column = np.array([place for place in places if place[0] < nodes], np.int64).T
    x = sp.csr_matrix((np.ones(row.size, np.float32), (row, column)), shape=(nodes, FEATURES))
    return graph_of(name, x, pairs[:, (pairs < nodes).all(axis=0)], y, ("general", "mature"))


def load_facebook(folder: str | Path, schools: Sequence[str] | None = None) -> dict[str, Graph]:
    """Read `<School>.mat` files: the label is gender, features are one-hot columns of the other six attributes.

    Args:
        folder: where the files are.
        schools: names without `.mat`; all files of the folder by default.
    Returns: graphs by school; the one-hot columns are those of the union of all schools read.
    """
    folder = Path(folder)
    names = list(schools or sorted(path.stem for path in folder.glob("*.mat")))
    if not names:
        raise InputError("folder", got="no .mat file", expected="<School>.mat files of Facebook-100", where=folder)
    held = {name: _read_facebook(folder / f"{name}.mat") for name in names}
    others = [0, 2, 3, 4, 5, 6]  # status, major, minor, dorm, year, school; column 1 is gender
    values = [np.unique(np.concatenate([info[:, column] for _, info in held.values()])) for column in others]
    graphs = {}
    for name, (network, info) in held.items():
        ones, rows, blocks = np.ones(len(info), np.float32), np.arange(len(info)), []
        for column, known in zip(others, values, strict=True):
            places = np.searchsorted(known, info[:, column])
            blocks.append(sp.csr_matrix((ones, (rows, places)), shape=(len(info), known.size)))
        pairs, weight = np.stack([network.row, network.col]), None if np.all(network.data == 1) else network.data
        x, y = sp.hstack(blocks, "csr"), info[:, 1] - 1
        graphs[name] = graph_of(name, x, pairs, y, ("1", "2"), weight=weight)
    return graphs


def _read_facebook(path: Path) -> tuple[sp.coo_matrix, np.ndarray]:
    try:
        held = load_mat(path, {"A", "local_info"})
        network, info = sp.coo_matrix(held["A"]), np.asarray(held["local_info"], np.int64)
        if network.shape != (len(info), len(info)):
            raise ValueError(f"A of shape {network.shape} for {len(info)} rows of local_info")
        if info.shape[1] != 7:
            raise ValueError(f"local_info of shape {info.shape}")
    except (OSError, OverflowError, TypeError, ValueError) as error:
        raise InputError("Facebook-100 file", got=str(error), expected="keys A and local_info", where=path) from None
    return network, info


COLLECTIONS: dict[str, Callable[[Path], dict[str, Graph]]] = {
    "citation": load_citation, "twitch": load_twitch, "airports": load_airports, "facebook": load_facebook,
}  # fmt: skip


def load(name: str, *, root: str | Path | None = None, seed: int = 0) -> dict[str, Graph]:
    """Graphs of a collection by name.

    Args:
        name: `simulated`, `functions` (of installed Python packages), a key of COLLECTIONS, or a folder of own graphs
            (see `read_folder`).
        root: folder that holds the collections; by default `$NINEFOLD_DATA/mldgg`, then the cache.
        seed: of the simulator.
    Raises: DownloadError that says where to put the files; InputError if there is no such collection.
    """
    if name == "simulated":
        return Simulated().draw(seed)
    if name == "functions":
        return load_functions()
    if name not in COLLECTIONS:
        if Path(name).is_dir():
            return read_folder(name)
        known = ", ".join(("simulated", "functions", *COLLECTIONS))
        raise InputError("data", got=repr(name), expected=f"one of {known}, or a folder with edges.csv")
    homes = [Path(root)] if root is not None else [data_dir("mldgg") or Path(), cache_path("mldgg") / "data"]
    for home in homes:
        if (home / name).is_dir():
            return COLLECTIONS[name](home / name)
    raise DownloadError(
        f"{name} is not on this machine: put its raw files at {homes[-1] / name}, or set NINEFOLD_DATA to a folder "
        f"that has mldgg/{name}"
    )
