"""Ours: an edge gate learnt from the sources' label agreement, hops on the gated graph, a source-centred ridge.

Each source is judged by the gate and the class guesses of the other sources, as a target is; the edge that is judged is
left out of its own features. Hops, strength of the gate and of the ridge are chosen with each source in turn as target.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
from ninefold_graphs import Graph, InputEncoder, Kept, Ridge, hop_features

from mldgg.meta._gates import GateRounds, fit_gates
from mldgg.meta._search import CHANGES, HOPS, POWERS, STRENGTHS, Search, Trial, powered, ridge_rows
from mldgg.meta._whole import check_encoder, check_shapes

_CHANCES = Kept(8)


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

    @classmethod
    def fit(
        cls, sources: Sequence[Graph], *, shared: bool, seed: int = 0, gate: bool | str = True, centre: bool = True,
        encoder: InputEncoder | None = None,
    ) -> tuple[GatedSolver, Search]:  # fmt: skip
        """Fit all parts; also the search, which has the edge weights of each source under the others' gate."""
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
        return solver, search

    @staticmethod
    def printed_space() -> str:
        """What `fit` chooses from, on one line."""
        hops = ", ".join(map(str, HOPS))
        values = {
            "centred": (False, True),
            "gate power": POWERS,
            "strength": STRENGTHS,
            "change at 1, 5 and 20 labels": CHANGES,
        }
        return "; ".join([f"hops: {hops}", *(f"{name}: {', '.join(map(str, one))}" for name, one in values.items())])

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
        return held

    def about(self) -> dict[str, Any]:
        """What `load` needs beside the arrays, as JSON values."""
        names = ("power", "centred", "strength", "shared")
        return {"hops": list(self.hops)} | {name: getattr(self, name) for name in names}

    def check(self, classes: int) -> None:
        """Refuse parts that do not fit each other or the number of classes (ValueError)."""
        columns = check_encoder(self.encoder, "solver/encoder/") if self.encoder is not None else None
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

        encoder, gate = part("encoder"), part("gate")
        return cls(
            InputEncoder.load(encoder) if encoder else None,
            GateRounds.load(gate) if gate else None,
            tuple(about["hops"]), about["power"], about["centred"], about["strength"],
            Ridge.load(part("ridge")), about["shared"],
        )  # fmt: skip
