"""A model adapted to one graph: predictions, edge weights and representations."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from ninefold import artifacts
from ninefold.errors import ArtifactError, InputError
from ninefold_graphs import Graph, InputEncoder, walked
from torch import Tensor

from mldgg.datasets import open_graph
from mldgg.meta._adapt import forward
from mldgg.meta._loop import Params
from mldgg.meta._model import Model
from mldgg.meta._network import Output
from mldgg.meta._solver import Seen
from mldgg.meta._trust import Trust
from mldgg.meta._unlabelled import Reading, WordHead
from mldgg.meta._whole import check_arrays, check_shapes, whole

KIND, FORMAT = "mldgg.adapted", 1


class Embedding(NamedTuple):
    """Representations of all nodes: r (N, hidden), s (N, 256) and v (N, 128)."""

    r: np.ndarray
    s: np.ndarray
    v: np.ndarray


def _check_weights(model: Model, arrays: dict[str, np.ndarray], classes: int) -> None:
    """Refuse adapted weights that do not fit the model or the joint words of the file (ValueError)."""
    if "weights" not in arrays or model.solver is None:
        return
    weights = arrays["weights"]
    rows = arrays.get("joint/plain", model.solver.ridge.weights).shape[0] if model.solver.shared else weights.shape[0]
    check_shapes({"weights": (weights.shape, (rows, classes))})


class Adapted:
    """What `MLDGG.adapt` returns.

    Attributes:
        model: the fitted model it came from.
        graph: name of the target; classes: names of its class ids.
        reading: what was read off its unlabelled nodes: class mix, shift, words, walk; None where nothing was.
        trust: what its labels say of the sources; None without a ridge.
    """

    def __init__(
        self, model: Model, data: Graph, params: dict[str, Tensor] | None, seen: Seen | None, trust: Trust | None
    ) -> None:
        self.model, self.graph, self.classes, self._data = model, data.name, data.classes, data
        self._params, self._head, self.trust = params, None if seen is None else seen.head, trust
        self.reading = None if seen is None else seen.reading
        self._seen: dict[int, tuple[Graph, Any]] = {}
        self._rows: dict[int, tuple[Graph, np.ndarray]] = {} if seen is None else {id(data): (data, seen.rows)}

    def predict(self, data: Any = None) -> np.ndarray:
        """(N,) class ids of all nodes of the target, or of another graph with its features and classes."""
        return self.predict_proba(data).argmax(axis=1)

    def predict_proba(self, data: Any = None) -> np.ndarray:
        """(N, C) class probabilities: of the network, the ridge, or their mean by the share chosen on sources.

        Where rehearsal has chosen a walk, they are spread over the graph's edges (personalised PageRank).
        """
        parts, share = self.parts(data), self.model.share
        both = "ridge" in parts and "network" in parts
        mean = share * parts["network"] + (1 - share) * parts["ridge"] if both else next(iter(parts.values()))
        if self.reading is None or not self.reading.walk:
            return mean
        graph, view = self._view(data)
        moved = walked(mean, graph.step(view.weight), self.reading.walk)
        return moved / moved.sum(axis=1, keepdims=True)

    def report(self) -> dict[str, Any]:
        """What to know before the answers are used, as JSON values.

        `expected accuracy` is the mean largest probability, moved by what rehearsals on the sources say of it, with the
        range that they saw; None without rehearsals. `class mix` is estimated without labels. `off` names the parts
        that rehearsal or the target's labels left out.
        """
        chances, solver = self.predict_proba(), self.model.solver
        gaps = np.array(solver.gaps if solver is not None else ())
        sure = float(chances.max(axis=1).mean())
        report: dict[str, Any] = {"nodes": len(chances), "mean largest probability": round(sure, 4)}
        report["expected accuracy"] = [round(float(np.clip(sure + one, 0, 1)), 4) for one in (
            gaps.mean(), gaps.min(), gaps.max())] if gaps.size else None  # fmt: skip
        off = []
        if solver is not None:
            off += ["edge gate"] * (solver.gate is None or solver.power == 0)
            off += ["network"] * (self._params is None or self.model.share == 0)
        if self.reading is not None:
            report["class mix"] = {
                str(one): round(float(share), 4) for one, share in zip(self.classes, self.reading.mix, strict=True)
            }
            report["distance of the mix to the sources'"] = round(self.reading.distance, 4)
            report |= {"features around": self.reading.around, "words": self.reading.words, "walk": self.reading.walk}
            off += ["walk"] * (self.reading.walk == 0) + ["joint words"] * (self.reading.words != "joint")
        if self.trust is not None:
            report["sources believed"] = self.trust.believed
        return report | {"off": off}

    def sure(self, risk: float) -> np.ndarray:
        """(N,) bool: the most nodes, surest first, among which at most a share `risk` is expected to be wrong.

        Expected is one minus each node's largest probability, moved by what rehearsals say of it.
        """
        if not 0 <= risk <= 1:
            raise InputError("risk", got=risk, expected="a share in [0, 1]")
        largest = self.predict_proba().max(axis=1)
        gaps = self.model.solver.gaps if self.model.solver is not None else ()
        wrong = np.clip(1 - largest - (min(gaps) if gaps else 0.0), 0, 1)
        order = np.argsort(wrong, kind="stable")
        within = np.cumsum(wrong[order]) / np.arange(1, len(order) + 1) <= risk
        answered = np.zeros(len(order), bool)
        answered[order[: int(np.flatnonzero(within).max(initial=-1)) + 1]] = True
        return answered

    def parts(self, data: Any = None) -> dict[str, np.ndarray]:
        """(N, C) class probabilities of each part that the model has: `ridge`, `network`, before any walk."""
        found = {}
        if self.trust is not None and self.model.solver is not None:
            found["ridge"] = self.model.solver.ridge.probabilities(self._ridge_rows(data), self.trust.weights)
        if self._params is not None:
            found["network"] = self._output(data).log_proba.exp().numpy()
        return found

    def ridge_rows(self) -> np.ndarray:
        """(N, d) rows that the ridge sees of the target (variant `gated`)."""
        if self.trust is None:
            raise InputError("ridge", got=f"variant {self.model.settings.variant}", expected="variant gated")
        return self._ridge_rows(None)

    def _ridge_rows(self, data: Any) -> np.ndarray:
        """Rows of the graph that was seen last, kept between calls."""
        graph, view = self._view(data)
        if id(graph) not in self._rows:
            assert self.model.solver is not None
            one = self.reading
            read = one is None or one.around != "nothing" or one.words == "joint" or one.walk > 0
            seen = self.model.solver.see(graph, view, transductive=read, head=self._head)
            self._rows = {id(graph): (graph, seen.rows)}
        return self._rows[id(graph)][1]

    def edge_weight(self, edge_index: Any = None) -> np.ndarray:
        """(E,) learned weights of edges of the target, all of its own by default.

        With a gate: the probability that both ends have one label, for edges that the graph has. Else: the share of a
        message that goes from node to node over the pivots, for any pair.

        Args:
            edge_index: (2, E) node indices.
        Raises: InputError that names the pair if a gate is asked for a pair without an edge.
        """
        graph, view = self._view(None)
        asked = graph.edge_index if edge_index is None else np.asarray(edge_index, np.int64)
        if asked.ndim != 2 or asked.shape[0] != 2 or asked.min(initial=0) < 0 or asked.max(initial=0) >= len(graph):
            raise InputError("edge_index", got=f"shape {asked.shape}", expected=f"(2, E) of nodes below {len(graph)}")
        if self.model.solver is not None and self.model.solver.gate is not None and view.z is not None:
            chances = self.model.solver.chances(graph, view.z)
            keys = graph.edge_index[0] * len(graph) + graph.edge_index[1]
            wanted = asked[0] * len(graph) + asked[1]
            at = np.minimum(np.searchsorted(keys, wanted), max(keys.size - 1, 0))
            missing = np.flatnonzero(keys[at] != wanted) if keys.size else np.arange(wanted.size)
            if missing.size:
                pair = tuple(int(one) for one in asked[:, missing[0]])
                raise InputError("edge_index", got=f"{pair}, which is no edge", expected="edges of the adapted graph")
            return chances[at]
        if self._params is None or self._output(None).structure is None:
            return np.ones(asked.shape[1], np.float32)
        b = self._output(None).structure
        assert b is not None
        rows, columns = b.sum(dim=1).clamp(min=1e-12), b.sum(dim=0).clamp(min=1e-12)
        i, j = torch.from_numpy(asked)
        found = [((b[i[k]] / columns * b[j[k]]).sum(dim=1)) for k in torch.arange(i.numel()).split(65_536)]
        both = torch.cat(found) if found else torch.zeros(0)
        return (both * (1 / rows[i] + 1 / rows[j]) / 2).numpy()

    def embed(self, data: Any = None) -> Embedding:
        """Representations r, s and v of the target, or of another graph with its features."""
        if self._params is None:
            raise InputError("embed", got="a model without a network", expected='variant "repaired" or "paper"')
        output = self._output(data)
        if output.latent is None:
            expected = 'variant "repaired" or "paper", or semantics=True'
            raise InputError("embed", got="a network without a causal learner (s, v)", expected=expected)
        return Embedding(output.r.numpy(), output.latent.s.numpy(), output.latent.v.numpy())

    def _view(self, data: Any) -> tuple[Graph, Any]:
        name = getattr(data, "name", None) or self.graph
        graph = self._data if data is None else open_graph(data, name, classes=self.classes)
        if id(graph) not in self._seen:
            self._seen = {id(graph): (graph, self.model.view(graph))}
        return self._seen[id(graph)]

    def _output(self, data: Any) -> Output:
        _, view = self._view(data)
        assert self._params is not None
        assert view.tensors is not None
        return forward(self.model.template(view.tensors.width, len(self.classes)), self._params, view.tensors, 0)

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Write model and adaptation to one safetensors file; the target's data is not in it."""
        arrays = self.model.arrays()
        if self._params is not None:
            arrays |= {f"adapted/{name}": one.numpy() for name, one in self._params.items()}
        meta = {"model": self.model.about(), "graph": self.graph, "classes": list(self.classes)}
        if self.trust is not None:
            arrays["weights"] = self.trust.weights
            meta["trust"] = {key: one for key, one in vars(self.trust).items() if key != "weights"}
        if self.reading is not None and self._head is not None:
            meta["reading"] = {**vars(self.reading), "mix": self.reading.mix.tolist()}
            if self.reading.words == "joint":
                arrays |= {f"joint/{name}": one for name, one in self._head.arrays().items()}
                arrays |= {f"joint/encoder/{name}": one for name, one in self._head.encoder.arrays().items()}
        about = {"kind": KIND, "format_version": FORMAT, "package": "mldgg"}
        artifacts.save(path, arrays, **about, meta=meta, force=force)

    @property
    def has_causal_learner(self) -> bool:
        """Whether `embed` has s and v to give."""
        return any(name.startswith("represent.") for name in self._params or {})

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
            check_arrays(arrays, held.meta, {"model": dict, "graph": str, "classes": list})
            model = Model.restored(arrays, held.meta["model"])
            _check_weights(model, arrays, len(held.meta["classes"]))
        graph = open_graph(data, held.meta["graph"], classes=held.meta["classes"])
        params = {
            name.removeprefix("adapted/"): torch.from_numpy(one)
            for name, one in arrays.items()
            if name.startswith("adapted/")
        }
        return cls._of_file(model, graph, params, arrays, held.meta)

    @classmethod
    def _of_file(
        cls, model: Model, graph: Graph, params: Params, arrays: dict[str, Any], meta: dict[str, Any]
    ) -> Adapted:
        """The parts of a file together."""
        made, solver = cls(model, graph, params or None, None, None), model.solver
        if "weights" in arrays:
            made.trust = Trust(arrays["weights"], **meta.get("trust", {"believed": True}))
        if "reading" in meta and solver is not None:
            made.reading = Reading(**{**meta["reading"], "mix": np.array(meta["reading"]["mix"])})
            made._head = solver.head
            if made.reading.words == "joint":
                part = {key.removeprefix("joint/"): one for key, one in arrays.items() if key.startswith("joint/")}
                encoder = {key.removeprefix("encoder/"): part.pop(key) for key in list(part) if "/" in key}
                made._head = WordHead.load(InputEncoder.load(encoder), part, solver.hops, solver.ridge.sharpness)
        return made
