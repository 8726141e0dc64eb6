"""Families of real graphs with one task and natural class mixes: citation, regions of two networks, code."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from functools import cache

import numpy as np
import scipy.sparse as sp
from mldgg.datasets import Graph, Simulated, load_functions
from mldgg.domains import GraphDomains, LeakWarning, Task, leave_one_graph_out
from mldgg.meta import Adapted
from ninefold.datasets import data_dir
from ninefold.errors import DownloadError
from ninefold_graphs import read_npz
from ninefold_lab import Scores
from scipy.sparse.csgraph import dijkstra

SMALL = Simulated(graphs=3, nodes=250, classes=3, words=200, signal=0.2)


@cache
def tasks_of(form: str) -> tuple[Task, ...]:
    """The three tasks; in the quick form on small simulated graphs under the same names."""
    if form == "full":
        return tuple(leave_one_graph_out(GraphDomains.named("citation")))
    graphs = dict(zip(("acm", "citation", "dblp"), SMALL.draw(0).values(), strict=True))
    return tuple(leave_one_graph_out(GraphDomains({name: replace(one, name=name) for name, one in graphs.items()})))


def accuracy(chances: np.ndarray, y: np.ndarray, query: np.ndarray) -> float:
    """Per cent of query nodes."""
    return 100 * float((chances.argmax(axis=1) == y)[query].mean())


class Arms(defaultdict[str, list[float]]):
    """Scores by arm, an item for each graph, so that intervals are over graphs."""

    def __init__(self) -> None:
        super().__init__(list)

    def add(self, arm: str, value: float) -> None:
        """Keep one number."""
        self[arm].append(value)

    def scores(self) -> Scores:
        """As claims give them."""
        return {arm: np.array(items) for arm, items in self.items()}


def acting(adapted: Adapted) -> dict[str, float]:
    """Which parts take part in an adaptation, as 100 or 0, so that a mean is a share of graphs."""
    reading = adapted.reading
    assert reading is not None
    parts = {
        "edge gate": adapted.model.fitted.power > 0, "joint words": reading.words == "joint",
        "walk": reading.walk > 0, "second fit": reading.again != "", "discriminant": reading.again == "discriminant",
        "own mean": reading.around == "own mean",
    }  # fmt: skip
    return {name: 100.0 * acts for name, acts in parts.items()}


NETWORKS = {"CS": "CS/raw/ms_academic_cs.npz", "Photo": "Photo/raw/amazon_electronics_photo.npz"}
REGIONS = 4
UNSEEN = {"CS": 2}  # of whose regions so many are unseen in turn: the others cost minutes
PACKAGES = (
    "numpy", "scipy", "sklearn", "torch_geometric", "matplotlib", "networkx", "hypothesis", "_pytest", "joblib",
    "pandas", "fsspec",
)  # fmt: skip
FAMILIES = ("citation", *NETWORKS, "functions")
_SMALL = Simulated(graphs=3, nodes=120, classes=3, words=120, signal=0.3)


def regions(graph: Graph, count: int = REGIONS, seed: int = 0) -> dict[str, Graph]:
    """The network cut into regions: each node goes to the nearest of `count` nodes drawn from the largest component.

    Ties go to the first; nodes that no drawn one reaches are left out, and so are edges between regions.
    """
    _, component = sp.csgraph.connected_components(graph.adjacency, directed=False)
    inside = np.flatnonzero(component == np.bincount(component).argmax())
    starts = np.random.default_rng(seed).choice(inside, count, replace=False)
    distance = dijkstra(graph.adjacency, directed=False, indices=starts, unweighted=True)
    # of nodes at one distance from several starts, the less filled region takes the next one
    order = np.argsort(distance.min(axis=0), kind="stable")
    filled, region = np.zeros(count), np.full(len(graph), -1)
    for node in order:
        column = distance[:, node]
        if np.isfinite(column).all():
            near = np.flatnonzero(column == column.min())
            region[node] = near[filled[near].argmin()]
            filled[region[node]] += 1
    return {f"region{k}": replace(graph.induced(region == k), name=f"region{k}", ids=None) for k in range(count)}  # type: ignore[arg-type]


def network(name: str) -> Graph:
    """One of the networks of mecoin's data."""
    folder = data_dir("mecoin")
    if folder is None or not (folder / NETWORKS[name]).is_file():
        raise DownloadError(
            f"{name} is not on this machine: set NINEFOLD_DATA to a folder that has mecoin/{NETWORKS[name]}"
        )
    return read_npz(folder / NETWORKS[name])


@cache
def family(form: str, name: str) -> Mapping[str, Graph]:
    """The graphs of a family; in the quick form small simulated ones."""
    if form != "full":
        return _SMALL.draw(FAMILIES.index(name))
    if name == "functions":
        return load_functions(PACKAGES, most=800, words=600)
    return regions(network(name))


@cache
def leave_outs(form: str, name: str) -> tuple[Task, ...]:
    """Each graph of a family as the unseen one in turn; of made-up ones the first alone."""
    if name == "citation":
        return tasks_of(form)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LeakWarning)  # functions of one body in two packages
        tasks = leave_one_graph_out(GraphDomains(dict(family(form, name))))
    return tuple(tasks[: UNSEEN.get(name) if form == "full" else 1])
