"""Friendship graphs of Twitch streamers in seven languages (MUSAE's CSV and JSON files)."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from ninefold.errors import InputError
from ninefold_graphs import Graph

from mldgg.datasets._doors import graph_of

LANGUAGES = ("DE", "ENGB", "ES", "FR", "PTBR", "RU", "TW")
FEATURES = 3170


def load_twitch(folder: Path) -> dict[str, Graph]:
    """Read the seven graphs; the label is whether a streamer uses mature language."""
    return {name: _read(folder / name, name) for name in LANGUAGES}


def _read(folder: Path, name: str) -> Graph:
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
