"""Ours: an edge gate learnt from the sources' label agreement, hops on the gated graph, a source-centred ridge.

Each source is judged by the gate and the class guesses of the other sources, as a target is; the edge that is judged is
left out of its own features. Hops, strength of the gate and of the ridge are chosen with each source in turn as target.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

import numpy as np
import scipy.sparse as sp
from ninefold_graphs import Graph, HopRows, InputEncoder, Kept, Ridge, hop_features, softmax

from mldgg.meta._gates import GateRounds, fit_gates
from mldgg.meta._search import CHANGES, HOPS, POWERS, STRENGTHS, Search, Trial, powered, ridge_rows
from mldgg.meta._unlabelled import AGAIN, WALKS, Reading, Setting, WordHead, chosen, joint_encoder
from mldgg.meta._whole import check_encoder, check_shapes

_CHANCES, _READ = Kept(8), Kept(1)


@dataclass(frozen=True)
class Seen:
    """A target as the ridge sees it: (N, d + 1) rows, and the ridge with the sources' weights for them."""

    head: WordHead | None
    reading: Reading | None
    rows: np.ndarray | HopRows
    ridge: Ridge


@dataclass(frozen=True)
class GatedSolver:
    """The fitted parts.

    Attributes:
        encoder: input columns; None if graphs differ in features (then each graph gets its own).
        gate: edge gate in rounds; None without one.
        hops, power, centred, strength: as chosen on sources.
        ridge: W_src and the meta-learned strength.
        shared: whether W_src serves the target.
        trials: (hops, power, centred, strength, score) of each choice tried.
        head: ridges on the sources' words, by which a target's class mix is estimated; None without shared classes.
        words, walk, again: whose words a target's features are made of ("sources" or "joint"), restart of the walk over
            its probabilities (0: none), to whose answers the head is fitted again.
        choices: mean score of each in rehearsals, not in the file.
        sharper: factor of the scores in the probabilities of a target's classes.
        gaps: of accuracy over the mean largest probability in these rehearsals.
        kept: the sources and their edge weights, where words are joint.
    """

    encoder: InputEncoder | None
    gate: GateRounds | None
    hops: tuple[int, ...]
    power: float
    centred: bool
    strength: float
    ridge: Ridge
    shared: bool
    trials: tuple[Trial, ...] = ()
    head: WordHead | None = None
    words: str = "sources"
    walk: float = 0.0
    again: str = ""
    kept: tuple[tuple[Graph, np.ndarray | None], ...] = ()
    choices: dict[tuple[str, float, str], float] = field(default_factory=dict)
    sharper: float = 1.0
    gaps: tuple[float, ...] = ()

    @classmethod
    def fit(
        cls, sources: Sequence[Graph], *, shared: bool, seed: int = 0, gate: bool | str = True, centre: bool = True,
        encoder: InputEncoder | None = None, joint: bool = True,
    ) -> GatedSolver:  # fmt: skip
        """Fit all parts."""
        inputs = [encoder(graph) if encoder is not None else InputEncoder.fit([graph])(graph) for graph in sources]
        gates, chances = fit_gates(sources, inputs, shared, seed, gate) if gate else (None, None)
        search = Search(sources, inputs, chances, shared=shared, centre=centre, seed=seed)
        for hops, power in product(HOPS, (0.0, 2.0) if gate else (0.0,)):
            search.trial(hops, power)
        for power in POWERS if gate else ():
            search.trial(search.hops, power)
        solver = cls(
            encoder, gates, search.hops, search.power, search.centred, search.strength, search.ridge(),
            shared, tuple(search.trials),
        )  # fmt: skip
        if encoder is None or not shared or not search.weights:
            return solver
        sharpness = solver.ridge.sharpness
        head = WordHead.fit(encoder, sources, search.weights, search.hops, search.strength, sharpness)
        setting = Setting(search.hops, search.strength, search.centred, sharpness, search.metric, joint, seed)
        choice = chosen(sources, search.weights, encoder, setting)
        kept = tuple(zip(sources, search.weights, strict=True)) if choice.words == "joint" else ()
        found = {"words": choice.words, "walk": choice.walk, "again": choice.again}
        found |= {"choices": choice.scores, "sharper": choice.sharper, "gaps": choice.gaps}
        return replace(solver, head=head, kept=kept, **found)

    def see(self, graph: Graph, view: Any, *, transductive: bool = True, head: WordHead | None = None) -> Seen:
        """A target as the ridge sees it; without shared classes and features its own rows and weights of zero."""
        if self.head is not None:
            return self.read(graph, view.weight, transductive=transductive, head=head)
        rows = self.features(graph, view.z, view.weight)
        return Seen(None, None, rows, self.for_classes(rows, len(graph.classes)))

    def read(
        self, graph: Graph, weight: np.ndarray | None, *, transductive: bool = True, head: WordHead | None = None
    ) -> Seen:
        """What the ridge sees of a target, read off its unlabelled nodes unless `transductive` is off; the last one is
        kept, since other labels of the same graph change nothing.

        head: of the joint words of an earlier target; made anew from the kept sources and this one by default.
        """
        made = (self, graph.x, graph.edge_index, head)
        return _READ(made, transductive, lambda: self._read(graph, weight, transductive, head))

    def _read(self, graph: Graph, weight: np.ndarray | None, transductive: bool, head: WordHead | None) -> Seen:
        assert self.head is not None
        own = self.head.blocks(graph, weight)
        if not transductive:
            reading = Reading(self.head.prior, 0.0, "nothing")
            return Seen(self.head, reading, own, replace(self.ridge, weights=self.head.plain))
        reading = self.head.reading(own, self.centred)
        again = self.again if reading.around != "nothing" else ""
        reading = replace(reading, words=self.words, walk=self.walk, again=again)
        used = self.head
        if self.words == "joint":
            sources, weights = zip(*self.kept, strict=True) if self.kept else ((), ())
            used = head or WordHead.fit(
                joint_encoder(sources, graph), sources, weights, self.hops, self.strength, self.ridge.sharpness
            )
            own = used.blocks(graph, weight)
        rows, source_weights = used.rows(own, reading)
        if again and used.grams is not None:  # an adaptation that was read from a file has its weights
            source_weights = used.again(rows, source_weights, graph.step(weight), reading, self.strength)
        return Seen(used, reading, rows, replace(self.ridge, weights=source_weights))

    @staticmethod
    def printed_space() -> str:
        """What `fit` chooses from, on one line."""
        hops = ", ".join(map(str, HOPS))
        values = {
            "centred": (False, True),
            "gate power": POWERS,
            "strength": STRENGTHS,
            "change at 1, 5 and 20 labels": CHANGES,
            "words": ("sources", "joint"),
            "restart of the walk": WALKS,
            "fitted again to answers of": ("none", *AGAIN),
        }
        return "; ".join([f"hops: {hops}", *(f"{name}: {', '.join(map(str, one))}" for name, one in values.items())])

    def probabilities(self, rows: np.ndarray | HopRows, weights: np.ndarray) -> np.ndarray:
        """(N, C) of a target's rows and (d, C) weights, before any walk."""
        return softmax(self.sharper * self.ridge.sharpness * (rows @ weights))

    def inputs(self, graph: Graph) -> np.ndarray:
        """(N, d) input columns."""
        return self.encoder(graph) if self.encoder is not None else InputEncoder.fit([graph])(graph)

    def chances(self, graph: Graph, z: np.ndarray) -> np.ndarray:
        """(E,) probability that the ends of each edge have one label; ones without a gate."""
        if self.gate is None:
            return np.ones(graph.edge_index.shape[1], np.float32)
        gate = self.gate
        return _CHANCES((self, graph.x, graph.edge_index, z), None, lambda: gate(graph, z))

    def weights(self, graph: Graph, z: np.ndarray) -> np.ndarray | None:
        """(E,) weights of the edges: the gate's probability to the chosen power; None where that is 0."""
        return powered(self.chances(graph, z), self.power) if self.power else None

    def features(self, graph: Graph, z: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
        """(N, d') hops on the reweighted graph, and a constant."""
        return ridge_rows(hop_features(z, graph.step(weight), self.hops), self.centred)

    def for_classes(self, rows: np.ndarray, classes: int) -> Ridge:
        """The ridge for a target: with W_src, or with zeros where features or classes are its own."""
        if self.shared:
            return self.ridge
        return replace(self.ridge, weights=np.zeros((rows.shape[1], classes), np.float32))

    def arrays(self) -> dict[str, np.ndarray]:
        """What `load` needs, by path."""
        held = {f"ridge/{name}": one for name, one in self.ridge.arrays().items()}
        if self.encoder is not None:
            held |= {f"encoder/{name}": one for name, one in self.encoder.arrays().items()}
        if self.gate is not None:
            held |= {f"gate/{name}": one for name, one in self.gate.arrays().items()}
        if self.head is not None:
            held |= {f"head/{name}": one for name, one in self.head.arrays().items()}
        for number, (graph, weight) in enumerate(self.kept):
            x = sp.csr_array(graph.x)
            parts = {"data": x.data, "indices": x.indices, "indptr": x.indptr, "edges": graph.edge_index, "y": graph.y}
            parts |= {} if weight is None else {"weight": weight}
            held |= {f"source/{number}/{name}": one for name, one in parts.items()}
        return held

    def about(self) -> dict[str, Any]:
        """What `load` needs beside the arrays, as JSON values."""
        names = ("power", "centred", "strength", "shared", "words", "walk", "again", "sharper")
        return {"hops": list(self.hops), "gaps": list(self.gaps)} | {name: getattr(self, name) for name in names}

    def check(self, classes: int) -> None:
        """Refuse parts that do not fit each other or the number of classes (ValueError)."""
        columns = check_encoder(self.encoder, "solver/encoder/") if self.encoder is not None else None
        if self.words not in ("sources", "joint") or (self.words == "joint" and not self.kept):
            raise ValueError(f"words are {self.words!r}, with {len(self.kept)} sources in the file")
        if not self.hops or any(not isinstance(one, int) or one < 0 for one in self.hops):
            raise ValueError(f"hops are {self.hops}")
        needed = (0, 0)
        if self.shared and columns is not None:
            needed = (columns * len(self.hops) + 1, classes)
        check_shapes({"solver/ridge/weights": (self.ridge.weights.shape, needed)})
        for number, gate in enumerate(self.gate.gates if self.gate is not None else ()):
            seen, hidden = len(gate.columns), gate.bias.shape[-1]
            needed_of = {"mean": (seen,), "scale": (seen,), "hidden": (seen, hidden), "out": (hidden + 1,)}
            for name, one in needed_of.items():
                check_shapes({f"solver/gate/{number}/{name}": (getattr(gate, name).shape, one)})

    @classmethod
    def load(cls, arrays: dict[str, np.ndarray], about: dict[str, Any]) -> GatedSolver:
        """The solver that gave both."""

        def part(name: str) -> dict[str, np.ndarray]:
            return {key.removeprefix(f"{name}/"): one for key, one in arrays.items() if key.startswith(f"{name}/")}

        encoder, gate, head = part("encoder"), part("gate"), part("head")
        loaded, ridge, hops = InputEncoder.load(encoder) if encoder else None, Ridge.load(part("ridge")), about["hops"]
        kept = []
        while loaded is not None and (one := part(f"source/{len(kept)}")):
            shape = (one["indptr"].size - 1, loaded.words.size)
            x = sp.csr_array((one["data"], one["indices"], one["indptr"]), shape=shape)
            x.check_format(full_check=True)
            classes = tuple(range(ridge.weights.shape[1]))
            kept.append((Graph.of(x, one["edges"], one["y"], classes=classes, undirected=False), one.get("weight")))
        return cls(
            loaded,
            GateRounds.load(gate) if gate else None,
            tuple(hops), about["power"], about["centred"], about["strength"], ridge, about["shared"],
            head=WordHead.load(loaded, head, tuple(hops), ridge.sharpness) if loaded is not None and head else None,
            words=about["words"], walk=about["walk"], again=about["again"], sharper=about["sharper"], kept=tuple(kept),
            gaps=tuple(about["gaps"]),
        )  # fmt: skip
