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
from ninefold_graphs import Graph, HopRows, InputEncoder, Kept, Ridge, hop_features, softmax, under

from mldgg.meta._gates import GateRounds, fit_gates
from mldgg.meta._search import CHANGES, HOPS, POWERS, STRENGTHS, Search, Trial, around, powered
from mldgg.meta._unlabelled import AGAIN, FORMS, WALKS, Choice, Part, Reading, Setting, WordHead, chosen
from mldgg.meta._whole import check_encoder

_CHANCES, _READ = Kept(8), Kept(1)
_NONE = np.zeros((0, 0), np.float32)


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
        encoder: input columns; None if graphs differ in features or classes (then each graph gets its own).
        gate: edge gate in rounds; None without one.
        hops, power, strength: as chosen on sources. centred: whether a target is taken around its own mean where its
            edges do not decide; it cost the sources at most a point.
        ridge: the meta-learned strengths and sharpness; its weights come with a target.
        trials: (hops, power, centred, strength, score) of each choice tried.
        head: ridges on the sources' words, which decide what a target is taken around; None without an encoder.
        choice: what rehearsals without labels have chosen; its scores are not in the file.
        kept: the sources and their edge weights, where words are joint.
        centre: whether a target may be taken around its own mean.
    """

    encoder: InputEncoder | None
    gate: GateRounds | None
    hops: tuple[int, ...]
    power: float
    centred: bool
    strength: float
    ridge: Ridge
    trials: tuple[Trial, ...] = ()
    head: WordHead | None = None
    choice: Choice = field(default_factory=Choice)
    kept: tuple[tuple[Graph, np.ndarray | None], ...] = ()
    centre: bool = True

    @classmethod
    def fit(
        cls, sources: Sequence[Graph], *, shared: bool, seed: int = 0, gate: bool | str = True, centre: bool = True,
        joint: bool = True,
    ) -> GatedSolver:  # fmt: skip
        """Fit all parts."""
        encoder = InputEncoder.fit(sources) if shared else None
        encoders = [encoder or InputEncoder.fit([graph]) for graph in sources]
        inputs = [one(graph) for one, graph in zip(encoders, sources, strict=True)]
        gates, chances = fit_gates(sources, inputs, shared, seed, gate) if gate else (None, None)
        units = [one.directions for one in encoders]
        search = Search(sources, inputs, units, chances, shared=shared, centre=centre, seed=seed)
        for hops, power in product(HOPS, (0.0, 2.0) if gate else (0.0,)):
            search.trial(hops, power)
        for power in POWERS if gate else ():
            search.trial(search.hops, power)
        ridge, trials = search.ridge(), tuple(search.trials)
        found = (search.hops, search.power, search.centring_is_free, search.strength, ridge, trials)
        solver = cls(encoder, gates, *found, centre=centre)
        if encoder is None:
            return solver
        head = WordHead.fit(encoder, sources, search.weights, search.hops, search.strength, ridge.sharpness)
        form = (search.centring_is_free, centre, ridge.sharpness, search.metric, joint, seed)
        setting = Setting(search.hops, search.strength, *form)
        choice = chosen(sources, search.weights, encoder, setting)
        joint = any(part.words == "joint" for part in choice.parts.values())
        kept = tuple(zip(sources, search.weights, strict=True)) if joint else ()
        return replace(solver, head=head, choice=choice, kept=kept)

    def see(self, graph: Graph, *, transductive: bool = True, head: WordHead | None = None) -> Seen:
        """What the ridge sees of a target, read off its unlabelled nodes unless `transductive` is off; the last one is
        kept, since other labels of the same graph change nothing.

        head: of the joint words of an earlier target; made anew from the kept sources and this one by default.
        """
        made = (self, graph.x, graph.edge_index, graph.weight, head)
        return _READ(made, transductive, lambda: self._see(graph, transductive, head))

    def _see(self, graph: Graph, transductive: bool, head: WordHead | None) -> Seen:
        weight = self.weights(graph)
        if self.head is None:  # without shared features and classes: its own rows, and weights of zero
            encoder = InputEncoder.fit([graph])
            unit = encoder.directions
            rows = hop_features(encoder(graph), graph.step(weight), self.hops, unit=unit, constant=True)
            if self.centred:
                rows = around(rows, rows[:, :-1].mean(axis=0))
            none = np.zeros((rows.shape[1], len(graph.classes)), np.float32)
            return Seen(None, None, rows, replace(self.ridge, weights=none))
        own = self.head.blocks(graph, weight)
        if not transductive:
            reading = Reading(self.head.prior, 0.0, "nothing")
            return Seen(self.head, reading, own, replace(self.ridge, weights=self.head.plain))
        reading = self.head.reading(own, graph, weight, rehearsed=self.centred, may_centre=self.centre)
        used = self.head
        part = self.choice.parts[reading.around]
        reading = replace(reading, words=part.words, walk=part.walk, again=part.again)
        if part.words == "joint":
            sources, weights = zip(*self.kept, strict=True) if self.kept else ((), ())
            fit = (sources, weights, self.hops, self.strength, self.ridge.sharpness)
            used = head or WordHead.fit(InputEncoder.fit([*sources, graph]), *fit)
            own = used.blocks(graph, weight)
        rows, source_weights = used.rows(own, reading)
        if part.again and used.grams is not None:  # an adaptation that was read from a file has its weights
            source_weights = used.again(rows, source_weights, graph.step(weight), reading, self.strength)
        return Seen(used, reading, rows, replace(self.ridge, weights=source_weights))

    @staticmethod
    def printed_space() -> str:
        """What `fit` chooses from, on one line."""
        hops = ", ".join(map(str, HOPS))
        values: dict[str, tuple[object, ...]] = {
            "centred": (False, True), "gate power": POWERS, "strength": STRENGTHS,
            "change at 1, 5 and 20 labels": CHANGES, "words": ("sources", "joint"), "restart of the walk": WALKS,
            "fitted again to answers of": ("none", *AGAIN),
        }  # fmt: skip
        return "; ".join([f"hops: {hops}", *(f"{name}: {', '.join(map(str, one))}" for name, one in values.items())])

    def probabilities(self, rows: np.ndarray | HopRows, weights: np.ndarray) -> np.ndarray:
        """(N, C) of a target's rows and (d, C) weights, before any walk."""
        return softmax(self.choice.sharper * self.ridge.sharpness * (rows @ weights))

    def inputs(self, graph: Graph) -> np.ndarray:
        """(N, d) input columns."""
        return (self.encoder or InputEncoder.fit([graph]))(graph)

    def chances(self, graph: Graph) -> np.ndarray:
        """(E,) probability that the ends of each edge have one label; ones without a gate."""
        if self.gate is None:
            return np.ones(graph.edge_index.shape[1], np.float32)
        gate = self.gate
        return _CHANCES((self, graph.x, graph.edge_index, graph.weight), None, lambda: gate(graph, self.inputs(graph)))

    def weights(self, graph: Graph) -> np.ndarray | None:
        """(E,) weights of the edges: the gate's probability to the chosen power; None where that is 0."""
        return powered(self.chances(graph), self.power) if self.power else None

    def arrays(self) -> dict[str, np.ndarray]:
        """What `load` needs, by path."""
        parts = {"encoder": self.encoder, "gate": self.gate, "head": self.head}
        there = {name: part.arrays() for name, part in parts.items() if part is not None}
        held = {f"{name}/{key}": one for name, arrays in there.items() for key, one in arrays.items()}
        for number, (graph, weight) in enumerate(self.kept):
            x = sp.csr_array(graph.x)
            kept = {"data": x.data, "indices": x.indices, "indptr": x.indptr, "edges": graph.edge_index, "y": graph.y}
            kept |= {} if weight is None else {"weight": weight}
            kept |= {} if graph.weight is None else {"edge_weight": graph.weight}
            held |= {f"source/{number}/{name}": one for name, one in kept.items()}
        return held

    def about(self) -> dict[str, Any]:
        """What `load` needs in addition to the arrays, as JSON values."""
        about = {name: getattr(self, name) for name in ("hops", "power", "centred", "strength", "centre")}
        parts = {
            form: {name: one for name, one in vars(part).items() if name != "scores"}
            for form, part in self.choice.parts.items()
        }
        choice = {"parts": parts, "sharper": self.choice.sharper, "gaps": self.choice.gaps}
        return about | {"strengths": self.ridge.strengths, "sharpness": self.ridge.sharpness, "choice": choice}

    @classmethod
    def load(cls, arrays: dict[str, np.ndarray], about: dict[str, Any], classes: int) -> GatedSolver:
        """The solver that gave both; ValueError if parts do not fit each other or the number of classes."""
        encoder, gate, head = (under(arrays, f"{name}/") for name in ("encoder", "gate", "head"))
        hops, ridge = tuple(about["hops"]), Ridge(_NONE, tuple(about["strengths"]), about["sharpness"])
        parts = {form: Part(**about["choice"]["parts"][form]) for form in FORMS}
        choice = Choice(parts, about["choice"]["sharper"], tuple(about["choice"]["gaps"]))
        if not hops or any(not isinstance(one, int) or one < 0 for one in hops):
            raise ValueError(f"hops are {hops}")
        loaded = InputEncoder.load(encoder) if encoder else None
        if loaded is not None:
            check_encoder(loaded, "solver/encoder/")
        made = WordHead.load(loaded, head, hops, ridge.sharpness) if loaded is not None else None
        if made is not None and made.prior.size != classes:
            raise ValueError(f"solver/head is of {made.prior.size} classes, where {classes} are needed")
        kept = []
        while made is not None and (one := under(arrays, f"source/{len(kept)}/")):
            shape = (one["indptr"].size - 1, made.encoder.words.size)
            x = sp.csr_array((one["data"], one["indices"], one["indptr"]), shape=shape)
            x.check_format(full_check=True)
            own = one.get("edge_weight")
            graph = Graph.of(x, one["edges"], one["y"], classes=range(classes), undirected=False, weight=own)
            kept.append((graph, one.get("weight")))
        for part in parts.values():
            if part.words not in ("sources", "joint") or (part.words == "joint" and not kept):
                raise ValueError(f"words are {part.words!r}, with {len(kept)} sources in the file")
        power, centred, strength, centre = (about[name] for name in ("power", "centred", "strength", "centre"))
        gates = GateRounds.load(gate) if gate else None
        form = (hops, power, centred, strength, ridge)
        return cls(loaded, gates, *form, head=made, choice=choice, kept=tuple(kept), centre=centre)
