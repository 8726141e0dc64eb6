"""A collection of graphs that have one task, checked for leaks when it is made."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from ninefold.errors import InputError
from ninefold_graphs import Graph

from mldgg.datasets import load, open_graph
from mldgg.domains._leaks import OVERLAP, LeakWarning, looks_permuted, row_overlap, same_nodes


class GraphDomains(Mapping[str, Graph]):
    """Named graphs: `domains["acm"]`, `len(domains)`, iteration over names.

    Attributes:
        shared: whether all graphs have the same features and the same classes, so that one model fits all of them.
        findings: (kind, graph, other graph, what was found) of each check that had something to say.

    Examples:
        >>> from mldgg import GraphDomains, Simulated
        >>> domains = GraphDomains(Simulated(graphs=2, nodes=60).draw(seed=0))
        >>> list(domains), domains.shared, domains.findings
        (['north', 'east'], True, [])
    """

    def __init__(
        self, graphs: Mapping[str, Any], *, symmetrise: bool = False, allow_duplicates: bool = False,
        align_labels: bool = False,
    ) -> None:  # fmt: skip
        """Check and keep graphs.

        Args:
            graphs: PyG `Data` (or `Graph`) by name; see `open_graph`. Features and classes may differ between graphs.
            symmetrise: add missing reverse edges instead of refusing a directed graph.
            allow_duplicates: go on when two graphs are the same nodes.
            align_labels: give each graph's classes the ids that fit the first graph's best. It looks at all labels, the
                target's too: good for a smoke test, not for a comparison.
        Raises: InputError if there is no graph, a graph is no good, or two graphs are the same nodes.
        """
        if not graphs:
            raise InputError("graphs", got="none", expected="at least one PyG Data by name")
        self._graphs = {name: open_graph(data, name, symmetrise=symmetrise) for name, data in graphs.items()}
        self.findings: list[tuple[str, str, str, str]] = []
        if align_labels:
            self._align()
        self._check(allow_duplicates)
        every = list(self._graphs.values())
        self.shared = all(graph.width == every[0].width and graph.classes == every[0].classes for graph in every)

    @classmethod
    def named(cls, name: str, *, root: str | Path | None = None, seed: int = 0, **options: Any) -> GraphDomains:
        """The graphs of a collection (`citation`, `twitch`, ... `simulated`, or a folder); options as in the class."""
        return cls(load(name, root=root, seed=seed), **options)

    def __getitem__(self, name: str) -> Graph:
        if name not in self._graphs:
            raise InputError("graph", got=repr(name), expected=f"one of {', '.join(self._graphs)}")
        return self._graphs[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._graphs)

    def __len__(self) -> int:
        return len(self._graphs)

    def without(self, *names: str) -> list[Graph]:
        """All graphs but those named, in order: the sources when those are targets."""
        for name in names:
            self[name]  # an unknown name is an error
        return [graph for name, graph in self._graphs.items() if name not in names]

    def _align(self) -> None:
        first, *others = self._graphs.values()
        for graph in others:
            assigned = looks_permuted(first, graph)
            if assigned is not None:
                y = np.where(graph.y >= 0, assigned[graph.y], -1)
                self._graphs[graph.name] = graph.with_labels(y)
                self.findings.append(("aligned", first.name, graph.name, _arrows(assigned)))

    def _check(self, allow_duplicates: bool) -> None:
        for one, other in combinations(self._graphs.values(), 2):
            if same_nodes(one, other):
                self.findings.append(("duplicate", one.name, other.name, "identical features and labels"))
                if not allow_duplicates:
                    got = f"{one.name} and {other.name} are the same nodes (identical features and labels)"
                    hint = "allow_duplicates=True goes on, and measures a leak"
                    raise InputError("graphs", got=got, expected="different graphs", hint=hint)
                continue
            shared, share = row_overlap(one, other)
            if share > OVERLAP:
                found = f"{shared} rows of features are the same ({100 * share:.0f} % of the smaller graph)"
                self._warn("overlap", one, other, found)
            assigned = looks_permuted(one, other)
            if assigned is not None:
                found = f"class ids look permuted: {other.name} {_arrows(assigned)} {one.name}"
                self._warn("permuted", one, other, found)

    def _warn(self, kind: str, one: Graph, other: Graph, found: str) -> None:
        self.findings.append((kind, one.name, other.name, found))
        warnings.warn(f"{one.name} and {other.name}: {found}", LeakWarning, stacklevel=4)


def _arrows(assigned: np.ndarray) -> str:
    ids = ",".join(map(str, range(assigned.size)))
    return f"{ids} -> {','.join(map(str, assigned))}"
