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
import scipy.linalg

from mldgg.datasets import Graph
from mldgg.domains import split_support
from mldgg.encoders import (
    Episode,
    InputEncoder,
    Kept,
    Ridge,
    hop_features,
    one_hot,
    reweighted,
    ridge_weights,
    with_constant,
)
from mldgg.structure import EdgeGate, Guess, features_only, pair_features, undirected_pairs

HOPS = ((0, 2), (0, 2, 6), (0, 1, 2, 4, 8))
POWERS = (0.0, 1.0, 2.0, 4.0, 8.0)  # of the gate's probability; 0 leaves the graph as it is
STRENGTHS = (0.1, 1.0, 10.0, 100.0, 1000.0)
SHOTS = (1, 5, 20)
_QUERY = 1500
_CHANCES = Kept(8)


@dataclass(frozen=True)
class GatedSolver:
    """The fitted parts.

    Attributes:
        encoder: input columns; None if graphs differ in features (then each graph gets its own).
        gate: edge gate; None without one. guess: class guesses for it; None without shared features and classes.
        hops, power, strength: as chosen on sources.
        ridge: W_src and the meta-learned strength.
        shared: whether W_src serves the target.
        trials: (hops, power, strength, accuracy) of each choice tried.
    """

    encoder: InputEncoder | None
    gate: EdgeGate | None
    guess: Guess | None
    hops: tuple[int, ...]
    power: float
    strength: float
    ridge: Ridge
    shared: bool
    trials: tuple[tuple[tuple[int, ...], float, float, float], ...] = ()

    @classmethod
    def fit(
        cls, sources: Sequence[Graph], *, shared: bool, seed: int = 0, gate: bool | str = True,
        encoder: InputEncoder | None = None,
    ) -> tuple[GatedSolver, list[np.ndarray | None]]:  # fmt: skip
        """Fit all parts; also the (E,) edge weights of each source under the others' gate (None: as they are)."""
        inputs = [encoder(graph) if encoder is not None else InputEncoder.fit([graph])(graph) for graph in sources]
        gates, guess, chances = _fit_gates(sources, inputs, shared, seed, gate) if gate else (None, None, None)
        search = _Search(sources, inputs, chances, shared, seed)
        for hops, power in product(HOPS, (0.0, 2.0) if gate else (0.0,)):
            search.trial(hops, power)
        for power in POWERS if gate else ():
            search.trial(search.hops, power)
        ridge = _meta_learned(sources, search.rows, search.strength, shared, seed)
        solver = cls(
            encoder, gates, guess, search.hops, search.power, search.strength, ridge, shared, tuple(search.trials)
        )
        return solver, search.weights

    @staticmethod
    def printed_space() -> str:
        """What `fit` chooses from, on one line."""
        hops = ", ".join(map(str, HOPS))
        return f"hops: {hops}; gate power: {', '.join(map(str, POWERS))}; strength: {', '.join(map(str, STRENGTHS))}"

    def inputs(self, graph: Graph) -> np.ndarray:
        """(N, d) input columns."""
        return self.encoder(graph) if self.encoder is not None else InputEncoder.fit([graph])(graph)

    def chances(self, graph: Graph, z: np.ndarray) -> np.ndarray:
        """(E,) probability that the ends of each edge have one label; ones without a gate."""
        if self.gate is None:
            return np.ones(graph.edge_index.shape[1], np.float32)
        gate = self.gate

        def judge() -> np.ndarray:
            pairs, place = undirected_pairs(graph.edge_index)
            return gate(pair_features(graph.adjacency, z, pairs, self.guess))[place]

        return _CHANCES((self, graph.x, graph.edge_index, z), None, judge)

    def weights(self, graph: Graph, z: np.ndarray) -> np.ndarray | None:
        """(E,) weights of the edges: the gate's probability to the chosen power; None where that is 0."""
        return _powered(self.chances(graph, z), self.power) if self.power else None

    def features(self, graph: Graph, z: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
        """(N, d') hops on the reweighted graph, and a constant."""
        return with_constant(hop_features(z, reweighted(graph, weight), self.hops))

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
        if self.guess is not None:
            held |= {f"guess/{name}": getattr(self.guess, name) for name in ("own", "around", "bias")}
        return held

    def about(self) -> dict[str, Any]:
        """What `load` needs beside the arrays, as JSON values."""
        return {"hops": list(self.hops), "power": self.power, "strength": self.strength, "shared": self.shared}

    @classmethod
    def load(cls, arrays: dict[str, np.ndarray], about: dict[str, Any]) -> GatedSolver:
        """The solver that gave both."""

        def part(name: str) -> dict[str, np.ndarray]:
            return {key.removeprefix(f"{name}/"): one for key, one in arrays.items() if key.startswith(f"{name}/")}

        encoder, gate, guess = part("encoder"), part("gate"), part("guess")
        return cls(
            InputEncoder.load(encoder) if encoder else None,
            EdgeGate.load(gate) if gate else None,
            Guess(guess["own"], guess["around"], guess["bias"]) if guess else None,
            tuple(about["hops"]), about["power"], about["strength"], Ridge.load(part("ridge")), about["shared"],
        )  # fmt: skip


class _Search:
    """Tries hops and powers on the sources and keeps the best with its features."""

    def __init__(
        self,
        sources: Sequence[Graph],
        inputs: Sequence[np.ndarray],
        chances: Sequence[np.ndarray] | None,
        shared: bool,
        seed: int,
    ) -> None:
        self._sources, self._inputs, self._chances, self._shared, self._seed = sources, inputs, chances, shared, seed
        self.trials: list[tuple[tuple[int, ...], float, float, float]] = []
        self.score, self.hops, self.power, self.strength = -1.0, HOPS[0], 0.0, STRENGTHS[0]
        self.rows: list[np.ndarray] = []
        self.weights: list[np.ndarray | None] = []

    def trial(self, hops: tuple[int, ...], power: float) -> None:
        """Score one choice with each strength of W_src, once."""
        if any(one[:2] == (hops, power) for one in self.trials):
            return
        some = [None] * len(self._sources) if self._chances is None else self._chances
        weights = [None if one is None else _powered(one, power) for one in some]
        rows = [
            with_constant(hop_features(z, reweighted(graph, weight), hops))
            for z, graph, weight in zip(self._inputs, self._sources, weights, strict=True)
        ]
        for strength, score in _scores(self._sources, rows, self._shared, self._seed):
            self.trials.append((hops, power, strength, score))
            if score > self.score + 1e-9:
                self.score, self.hops, self.power, self.strength = score, hops, power, strength
                self.rows, self.weights = rows, weights


def _powered(chances: np.ndarray, power: float) -> np.ndarray | None:
    return chances**power if power else None


def _others(items: Sequence[Any], left_out: int) -> list[Any]:
    """All but one, or that one if there is no other."""
    return [one for place, one in enumerate(items) if place != left_out] or list(items)


def _fit_gates(
    sources: Sequence[Graph], inputs: Sequence[np.ndarray], shared: bool, seed: int, kind: bool | str
) -> tuple[EdgeGate, Guess | None, list[np.ndarray]]:
    """The gate and guess for targets, and (E,) probabilities of each source's edges under the other sources'."""
    guessing = shared and len(sources) > 1 and kind is True
    learn = features_only if kind == "features" else EdgeGate.fit
    blocks, places, rows, truths = [], [], [], []
    for number, (graph, z) in enumerate(zip(sources, inputs, strict=True)):
        guess = fit_guess(_others(sources, number), _others(inputs, number)) if guessing else None
        pairs, place = undirected_pairs(graph.edge_index)
        block = pair_features(graph.adjacency, z, pairs, guess)
        ends = graph.y[pairs]
        known = (ends >= 0).all(axis=0)
        blocks.append(block)
        places.append(place)
        rows.append(block[known])
        truths.append((ends[0] == ends[1])[known])
    chances = []
    for number, (block, place) in enumerate(zip(blocks, places, strict=True)):
        judge = learn(_others(rows, number), _others(truths, number), seed=seed)
        chances.append(judge(block)[place])
    return learn(rows, truths, seed=seed), fit_guess(sources, inputs) if guessing else None, chances


def fit_guess(graphs: Sequence[Graph], inputs: Sequence[np.ndarray]) -> Guess:
    """A ridge from a node's unit features and its neighbours' mean to its class."""
    rows, targets = [], []
    for graph, z in zip(graphs, inputs, strict=True):
        unit = z / np.maximum(np.linalg.norm(z, axis=1, keepdims=True), 1e-9)
        degree = np.asarray(graph.adjacency.sum(axis=1)).ravel()
        around = (graph.adjacency @ unit) / np.maximum(degree, 1)[:, None]
        known = graph.y >= 0
        rows.append(with_constant(np.concatenate([unit, around], axis=1)[known]))
        targets.append(one_hot(graph.y[known], len(graph.classes)))
    weights = ridge_weights(np.concatenate(rows), np.concatenate(targets), 1.0)
    width = inputs[0].shape[1]
    return Guess(weights[:width], weights[width : 2 * width], weights[-1])


def _scores(sources: Sequence[Graph], rows: Sequence[np.ndarray], shared: bool, seed: int) -> list[tuple[float, float]]:
    """(strength of W_src, mean accuracy with each source as target), without labels and with five a class."""
    if not shared:
        found = []
        for graph, z in zip(sources, rows, strict=True):
            split = split_support(graph.y, shots=5, seed=seed)
            ridge = Ridge(np.zeros((z.shape[1], len(graph.classes)), np.float32))
            scores = z @ ridge.update(z[split.support], graph.y[split.support])
            found.append(float((scores[split.query].argmax(axis=1) == graph.y[split.query]).mean()))
        return [(1.0, float(np.mean(found)))]
    grams = _grams(sources, rows)
    results = []
    for strength in STRENGTHS:
        found = []
        for number, (graph, z) in enumerate(zip(sources, rows, strict=True)):
            ridge = Ridge(_solve(_others(grams, number), strength))
            split = split_support(graph.y, shots=5, seed=seed)
            for support in (np.zeros_like(split.support), split.support):
                scores = z[split.query] @ ridge.update(z[support], graph.y[support])
                found.append(float((scores.argmax(axis=1) == graph.y[split.query]).mean()))
        results.append((strength, float(np.mean(found))))
    return results


def _grams(sources: Sequence[Graph], rows: Sequence[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
    made = []
    for graph, z in zip(sources, rows, strict=True):
        known = z[graph.y >= 0]
        made.append((known.T @ known, known.T @ one_hot(graph.y[graph.y >= 0], len(graph.classes))))
    return made


def _solve(grams: Sequence[tuple[np.ndarray, np.ndarray]], strength: float) -> np.ndarray:
    gram = np.sum([one for one, _ in grams], axis=0).astype(np.float64)
    gram[np.diag_indices_from(gram)] += strength
    factor = scipy.linalg.cho_factor(gram, lower=True, overwrite_a=True, check_finite=False)
    targets = np.sum([one for _, one in grams], axis=0).astype(np.float64)
    return scipy.linalg.cho_solve(factor, targets, check_finite=False).astype(np.float32)


def _meta_learned(
    sources: Sequence[Graph], rows: Sequence[np.ndarray], strength: float, shared: bool, seed: int
) -> Ridge:
    grams = _grams(sources, rows) if shared else []
    episodes = []
    for number, (graph, z) in enumerate(zip(sources, rows, strict=True)):
        classes = len(graph.classes)
        weights = _solve(_others(grams, number), strength) if shared else np.zeros((z.shape[1], classes), np.float32)
        for shots, repeat in product((0, *SHOTS) if shared else SHOTS, range(2)):
            split = split_support(graph.y, shots=shots, seed=seed + repeat)
            draws = np.random.default_rng((seed, number, shots, repeat))
            some = draws.permutation(np.flatnonzero(split.query))[:_QUERY]
            support = np.flatnonzero(split.support)
            if some.size:
                scores = z @ weights if shots == 0 else z[[*support, *some]] @ weights
                at = scores[some] if shots == 0 else scores[support.size :]
                own = np.zeros((0, classes), np.float32) if shots == 0 else scores[: support.size]
                episodes.append(Episode(z[support], graph.y[support], own, z[some], graph.y[some], at))
    return Ridge(_solve(grams, strength) if shared else np.zeros((0, 0), np.float32)).meta_learn(episodes)
