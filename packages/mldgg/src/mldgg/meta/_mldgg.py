"""The public model: fit on several labelled graphs, adapt to one never seen."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from ninefold.errors import InputError
from ninefold_graphs import Graph

from mldgg.datasets import open_graph
from mldgg.domains import OVERLAP, GraphDomains, LeakWarning, Method, check_support, row_keys
from mldgg.meta._adapted import Adapted, Trust, judged
from mldgg.meta._model import Model
from mldgg.meta._solver import GatedSolver, Seen

FAR = 0.25  # total variation between class mixes above which a target is warned of


class ReadingWarning(UserWarning):
    """A target that differs from the sources in its class mix, or whose labels speak against them."""


class MLDGG(Model, Method):
    """Adapts to graphs that were never seen, from few labels or none: our method, not the published one.

    Args:
        seed: random seed, of the edge gate alone.
        options: see `Settings`: share="auto", gate=True, centre=True, joint=True.

    Attributes:
        settings: all options.
        names, classes: of the sources, of the class ids that they share (empty if they differ).
        shared: whether one head serves all graphs.
        solver: gate, hops and ridge.

    Examples:
        >>> from mldgg import MLDGG, GraphDomains, Simulated
        >>> domains = GraphDomains(Simulated(graphs=3, nodes=100).draw(seed=0))
        >>> model = MLDGG(gate=False).fit(domains.without("south"))
        >>> model.names
        ('north', 'east')
    """

    name = "mldgg"
    source = "ours; the setting is that of KDD 2025, arXiv 2411.12913"

    def __init__(self, *, seed: int = 0, **options: Any) -> None:
        Model.__init__(self, seed, options)

    @classmethod
    def printed_space(cls) -> str:
        """What `fit` chooses from, on one line."""
        return GatedSolver.printed_space()

    def fit(self, sources: Sequence[Any] | Mapping[str, Any]) -> Self:
        """Learn from labelled graphs.

        Args:
            sources: PyG `Data` or `Graph`s, or a mapping of them by name. Features and classes may differ.
        Raises: InputError for bad graphs, and for share=True where features or classes differ.
        """
        graphs, settings = _graphs(sources), self.settings
        self._check_sources(graphs)
        parts = {name: getattr(settings, name) for name in ("gate", "centre", "joint")}
        self.solver = GatedSolver.fit(graphs, shared=self.shared, seed=self.seed, **parts)
        return self

    def _check_sources(self, graphs: list[Graph]) -> None:
        for graph in graphs:
            if not (graph.y >= 0).any():
                raise InputError("y", got="no labelled node", expected="labels", where=f"source {graph.name!r}")
        first = graphs[0]
        alike = all(one.width == first.width and one.classes == first.classes for one in graphs)
        if self.settings.share is True and not alike:
            widths = ", ".join(f"{one.name}: {one.width} features, {len(one.classes)} classes" for one in graphs)
            raise InputError("share", got=f"True with {widths}", expected="equal features and classes")
        if len(graphs) == 1:
            warnings.warn("one source only: no variation between domains to learn from", LeakWarning, stacklevel=3)
        self.shared = alike and self.settings.share is not False
        self.names = tuple(graph.name for graph in graphs)
        names = first.classes if alike else ()
        self.classes = tuple(one.item() if isinstance(one, np.generic) else one for one in names)  # for files
        self.rows = [row_keys(graph) for graph in graphs]

    def adapt(self, data: Any, support_mask: Any = None, *, transductive: bool = True) -> Adapted:
        """Adapt to a graph by its few labels, or without any where features and classes are the sources'.

        Args:
            data: PyG `Data` or `Graph`; y has the support's labels and -1 (or nothing at all) everywhere else.
            support_mask: (N,) bool; the labelled nodes by default.
            transductive: read the class mix, the shift of features and shared words off the target's unlabelled nodes
                (with shared features and classes); False leaves them.
        Raises: InputError if a label outside the support can be seen, or a class lacks one where no head is shared.
        """
        if not self.names:
            raise InputError("model", got="not fitted", expected="fit(...) first")
        name = getattr(data, "name", None)
        classes = self.classes if self.shared else None
        graph = data if isinstance(data, Graph) else open_graph(data, name or "target", classes=classes)
        if self.shared and graph.classes != self.classes:
            expected = f"those of the sources: {', '.join(map(str, self.classes))}"
            raise InputError("classes", got=", ".join(map(str, graph.classes)), expected=expected)
        support = check_support(graph, support_mask, every_class=not self.shared)
        if self.shared and support.any():
            absent = [str(one) for label, one in enumerate(graph.classes) if not (graph.y == label).any()]
            if absent:
                text = f"{graph.name}: no support node of class {', '.join(absent)}; the sources' is used"
                warnings.warn(text, LeakWarning, stacklevel=2)
        self._warn_of_overlap(graph)
        seen = self.fitted.see(graph, transductive=transductive)
        trust = judged(seen.rows[support], graph.y[support], seen.ridge)
        self._warn_of_reading(graph, seen, trust)
        return Adapted(self, graph, seen, trust)

    def _warn_of_reading(self, graph: Graph, seen: Seen, trust: Trust) -> None:
        if seen.reading is not None and seen.reading.distance > FAR:
            text = f"{graph.name}: its class mix looks {100 * seen.reading.distance:.0f} % away from the sources'"
            warnings.warn(text, ReadingWarning, stacklevel=3)
        if not trust.believed:
            text = f"{graph.name}: its own labels speak against the sources, which are left out"
            warnings.warn(text, ReadingWarning, stacklevel=3)

    def _warn_of_overlap(self, graph: Graph) -> None:
        own = row_keys(graph)
        for name, keys in zip(self.names, self.rows, strict=True):
            shared = np.intersect1d(own, keys, assume_unique=True).size
            share = shared / max(min(len(own), len(keys)), 1)
            if share > OVERLAP:
                text = f"{shared} rows of target {graph.name} are rows of source {name} ({100 * share:.0f} %)"
                warnings.warn(text, LeakWarning, stacklevel=3)

    def predict_proba(self, target: Graph) -> np.ndarray:
        """(N, C) class probabilities of a target after adaptation to the labels that it shows."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ReadingWarning)  # of one target among many: `adapt` says it
            return self.adapt(target).predict_proba()


def _graphs(sources: Sequence[Any] | Mapping[str, Any]) -> list[Graph]:
    if isinstance(sources, Mapping):
        return list((sources if isinstance(sources, GraphDomains) else GraphDomains(sources)).values())
    if sources and all(isinstance(one, Graph) for one in sources):  # checked when they were made
        return list(sources)
    names = [getattr(one, "name", None) for one in sources]
    named = all(isinstance(name, str) for name in names) and len(set(names)) == len(names)
    return list(GraphDomains({names[k] if named else f"graph{k}": one for k, one in enumerate(sources)}).values())
