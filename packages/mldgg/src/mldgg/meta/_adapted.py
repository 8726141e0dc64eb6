"""A model adapted to one graph: predictions, edge weights and representations."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from ninefold import artifacts
from ninefold.errors import ArtifactError, InputError
from ninefold_graphs import Graph, HopRows, InputEncoder

from mldgg.datasets import open_graph
from mldgg.meta._model import Model
from mldgg.meta._solver import Seen
from mldgg.meta._trust import Trust
from mldgg.meta._unlabelled import Reading, WordHead, spread_over
from mldgg.meta._whole import check_arrays, check_shapes, whole

KIND, FORMAT = "mldgg.adapted", 2


def _check_weights(model: Model, arrays: dict[str, np.ndarray], classes: int) -> None:
    """Refuse adapted weights that do not fit the model or the joint words of the file (ValueError)."""
    weights, solver = arrays["weights"], model.fitted
    rows = arrays.get("joint/plain", solver.ridge.weights).shape[0] if solver.shared else weights.shape[0]
    check_shapes({"weights": (weights.shape, (rows, classes))})


class Adapted:
    """What `MLDGG.adapt` returns.

    Attributes:
        model: the fitted model it came from.
        graph: name of the target; classes: names of its class ids.
        reading: what was read off its unlabelled nodes: class mix, shift, words, walk; None where nothing was.
        trust: what its labels say of the sources.

    Examples:
        >>> from mldgg import MLDGG, GraphDomains, Simulated, split_support
        >>> domains = GraphDomains(Simulated(graphs=3, nodes=100).draw(seed=0))
        >>> target = domains["south"]
        >>> support = split_support(target.y, shots=2, seed=0).support
        >>> adapted = MLDGG(gate=False).fit(domains.without("south")).adapt(target.hidden(support))
        >>> adapted.predict().shape, adapted.trust.believed
        ((100,), True)
    """

    def __init__(self, model: Model, data: Graph, seen: Seen | None, trust: Trust) -> None:
        self.model, self.graph, self.classes, self._data = model, data.name, data.classes, data
        self._head, self.trust = None if seen is None else seen.head, trust
        self.reading = None if seen is None else seen.reading
        self._seen: dict[int, tuple[Graph, Any]] = {}
        self._rows: dict[int, tuple[Graph, np.ndarray | HopRows]] = (
            {} if seen is None else {id(data): (data, seen.rows)}
        )

    def predict(self, data: Any = None) -> np.ndarray:
        """(N,) class ids of all nodes of the target, or of another graph with its features and classes."""
        return self.predict_proba(data).argmax(axis=1)

    def predict_proba(self, data: Any = None) -> np.ndarray:
        """(N, C) class probabilities.

        Where rehearsal has chosen a walk, they are spread over the graph's edges (personalised PageRank).
        """
        walk = 0.0 if self.reading is None else self.reading.walk
        graph, view = self._view(data)
        return spread_over(self.scores(data), graph.step(view.weight) if walk else None, walk)

    def scores(self, data: Any = None) -> np.ndarray:
        """(N, C) class probabilities of the ridge, before any walk."""
        return self.model.fitted.probabilities(self.ridge_rows(data), self.trust.weights)

    def report(self) -> dict[str, Any]:
        """What to know before the answers are used, as JSON values.

        `expected accuracy` is the mean largest probability, moved by the median of what rehearsals on the sources say
        of it, with the range that they saw; None without rehearsals. `class mix` is estimated without labels, and
        `off` has the parts that rehearsal or the target's labels left out.
        """
        chances, solver = self.predict_proba(), self.model.fitted
        gaps = np.array(solver.gaps)
        sure = float(chances.max(axis=1).mean())
        report: dict[str, Any] = {"nodes": len(chances), "mean largest probability": round(sure, 4)}
        report["expected accuracy"] = [round(float(np.clip(sure + one, 0, 1)), 4) for one in (
            np.median(gaps), gaps.min(), gaps.max())] if gaps.size else None  # fmt: skip
        off = ["edge gate"] * (solver.gate is None or solver.power == 0)
        if self.reading is not None:
            report["class mix"] = {
                str(one): round(float(share), 4) for one, share in zip(self.classes, self.reading.mix, strict=True)
            }
            report["distance of the mix to the sources'"] = round(self.reading.distance, 4)
            report |= {"features around": self.reading.around, "words": self.reading.words, "walk": self.reading.walk}
            off += ["walk"] * (self.reading.walk == 0) + ["joint words"] * (self.reading.words != "joint")
            off += ["second fit to answers on the target"] * (not self.reading.again)
        return report | {"sources believed": self.trust.believed, "off": off}

    def sure(self, risk: float) -> np.ndarray:
        """(N,) bool: the most nodes, surest first, among which at most a share `risk` is expected to be wrong.

        Expected is one minus each node's largest probability, moved by what rehearsals say of it.
        """
        if not 0 <= risk <= 1:
            raise InputError("risk", got=risk, expected="a share in [0, 1]")
        largest = self.predict_proba().max(axis=1)
        gaps = np.array(self.model.fitted.gaps or (0.0,))
        wrong = np.clip(1 - largest - (gaps.min() + np.median(gaps)) / 2, 0, 1)  # on the safe side of the middle
        order = np.argsort(wrong, kind="stable")
        within = np.cumsum(wrong[order]) / np.arange(1, len(order) + 1) <= risk
        answered = np.zeros(len(order), bool)
        answered[order[: int(np.flatnonzero(within).max(initial=-1)) + 1]] = True
        return answered

    def ridge_rows(self, data: Any = None) -> np.ndarray | HopRows:
        """(N, d) rows that the ridge sees, kept between calls for the graph that was seen last."""
        graph, view = self._view(data)
        if id(graph) not in self._rows:
            one = self.reading
            read = one is None or one.around != "nothing" or one.words == "joint" or one.walk > 0
            seen = self.model.fitted.see(graph, view, transductive=read, head=self._head)
            self._rows = {id(graph): (graph, seen.rows)}
        return self._rows[id(graph)][1]

    def edge_weight(self, edge_index: Any = None) -> np.ndarray:
        """(E,) learned weights of edges of the target, all of its own by default.

        The gate's probability that both ends have one label, for edges that the graph has; ones without a gate.

        Args:
            edge_index: (2, E) node indices.
        Raises: InputError that names a pair without an edge.
        """
        graph, solver = self._view(None)[0], self.model.fitted
        asked = graph.edge_index if edge_index is None else np.asarray(edge_index, np.int64)
        if asked.ndim != 2 or asked.shape[0] != 2 or asked.min(initial=0) < 0 or asked.max(initial=0) >= len(graph):
            raise InputError("edge_index", got=f"shape {asked.shape}", expected=f"(2, E) of nodes below {len(graph)}")
        chances = solver.chances(graph, solver.inputs(graph))
        keys, wanted = (one[0] * len(graph) + one[1] for one in (graph.edge_index, asked))
        at = np.minimum(np.searchsorted(keys, wanted), max(keys.size - 1, 0))
        missing = np.flatnonzero(keys[at] != wanted) if keys.size else np.arange(wanted.size)
        if missing.size:
            pair = tuple(int(one) for one in asked[:, missing[0]])
            raise InputError("edge_index", got=f"{pair}, which is no edge", expected="edges of the adapted graph")
        return chances[at]

    def _view(self, data: Any) -> tuple[Graph, Any]:
        name = getattr(data, "name", None) or self.graph
        graph = self._data if data is None else open_graph(data, name, classes=self.classes)
        if id(graph) not in self._seen:
            self._seen = {id(graph): (graph, self.model.view(graph))}
        return self._seen[id(graph)]

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Write model and adaptation to one safetensors file; the target's data is not in it."""
        arrays = {**self.model.arrays(), "weights": self.trust.weights}
        meta = {"model": self.model.about(), "graph": self.graph, "classes": list(self.classes)}
        meta["trust"] = {key: one for key, one in vars(self.trust).items() if key != "weights"}
        if self.reading is not None and self._head is not None:
            meta["reading"] = {**vars(self.reading), "mix": self.reading.mix.tolist()}
            if self.reading.words == "joint":
                head = replace(self._head, grams=None)  # the weights that they lead to are in the file
                arrays |= {f"joint/{name}": one for name, one in head.arrays().items()}
                arrays |= {f"joint/encoder/{name}": one for name, one in self._head.encoder.arrays().items()}
        about = {"kind": KIND, "format_version": FORMAT, "package": "mldgg"}
        artifacts.save(path, arrays, **about, meta=meta, force=force)

    @staticmethod
    def is_file(path: str | Path) -> bool:
        """Whether `path` is a file that `save` of this class wrote, and not one of another kind."""
        try:
            artifacts.Artifact(path, kind=KIND, format_version=FORMAT)
        except ArtifactError as error:
            if "not a mldgg.adapted" in str(error):
                return False
            raise
        return True

    @staticmethod
    def about_file(path: str | Path) -> dict[str, Any]:
        """Graph, classes, seed and model of a file that `save` wrote."""
        with whole(path, "adapted model"):
            meta = artifacts.Artifact(path, kind=KIND, format_version=FORMAT).meta
            check_arrays({}, meta, {"model": dict, "graph": str, "classes": list})
            return {**meta, "seed": meta["model"]["seed"]}

    @classmethod
    def load(cls, path: str | Path, data: Any) -> Adapted:
        """Read what `save` wrote, for the graph it was adapted to (or another one with its features and classes)."""
        held = artifacts.Artifact(path, kind=KIND, format_version=FORMAT)
        with whole(path, "adapted model"):
            arrays = {name: held.numpy(name) for name in held.names}
            check_arrays(arrays, held.meta, {"model": dict, "graph": str, "classes": list, "trust": dict})
            model = Model.restored(arrays, held.meta["model"])
            _check_weights(model, arrays, len(held.meta["classes"]))
        graph = open_graph(data, held.meta["graph"], classes=held.meta["classes"])
        return cls._of_file(model, graph, arrays, held.meta)

    @classmethod
    def _of_file(cls, model: Model, graph: Graph, arrays: dict[str, Any], meta: dict[str, Any]) -> Adapted:
        """The parts of a file together."""
        made, solver = cls(model, graph, None, Trust(arrays["weights"], **meta["trust"])), model.fitted
        if "reading" in meta:
            made.reading = Reading(**{**meta["reading"], "mix": np.array(meta["reading"]["mix"])})
            made._head = solver.head
            if made.reading.words == "joint":
                part = {key.removeprefix("joint/"): one for key, one in arrays.items() if key.startswith("joint/")}
                encoder = {key.removeprefix("encoder/"): part.pop(key) for key in list(part) if "/" in key}
                made._head = WordHead.load(InputEncoder.load(encoder), part, solver.hops, solver.ridge.sharpness)
        return made
